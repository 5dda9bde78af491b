"""TCP addresses, the sockets that listen on them, and the limit on open files."""

from __future__ import annotations

import errno
import os
import resource
import socket
from dataclasses import dataclass

from nomad_sim.go import join_host_port


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port to listen on; port 0 is any free port."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        return join_host_port(self.host, self.port)


class ListenError(Exception):
    """A failure to listen; the message names the address and the reason."""


class PortInUse(ListenError):
    """A failure to listen on ``port``, because another socket does."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"cannot listen on {address}: {os.strerror(errno.EADDRINUSE)}")
        self.port = address.port


def listen(address: Address) -> socket.socket:
    """Return a socket that listens on ``address``. Raises ListenError."""
    where = (address.host, address.port)
    try:
        family = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server(where, family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(address) from None
        raise ListenError(f"cannot listen on {address}: {_reason(error)}") from None
    except UnicodeError:
        raise ListenError(f"cannot listen on {address}: not a host name") from None


def raise_file_limit() -> None:
    """Raise the soft limit on open files to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _reason(error: OSError) -> str:
    """Return the system's message, without the address that Python adds."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
