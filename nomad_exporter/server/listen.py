"""Addresses to listen on, and the sockets bound to them."""

from __future__ import annotations

import errno
import os
import resource
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a TCP host (empty for all addresses of the machine) and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def raise_file_limit() -> None:
    """Lets this process open as many files and connections as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class CannotListen(Exception):
    """An address is taken or not ours; the text names it and says why."""


def listen(address: Listen) -> socket.socket:
    """A socket that listens on ``address``. Raises CannotListen."""
    try:
        return _unix(address.path) if address.path else _tcp(address.host, address.port)
    except OSError as error:
        raise CannotListen(f"{address}: {_why(error)}") from None
    except UnicodeError:
        raise CannotListen(f"{address}: not a host name") from None


def _why(error: OSError) -> str:
    """The system's own words, without the address that Python adds to them."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _tcp(host: str, port: int) -> socket.socket:
    if host:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=1024)


def _unix(path: str) -> socket.socket:
    """A socket that a crashed exporter left behind is replaced; one that somebody listens on is not."""
    if _is_left_behind(path):
        Path(path).unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        bound.listen(1024)
    except OSError:
        bound.close()
        raise
    return bound


def _is_left_behind(path: str) -> bool:
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(path) == errno.ECONNREFUSED
