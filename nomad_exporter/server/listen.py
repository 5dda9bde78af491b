"""Addresses to listen on, and the sockets bound to them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on: a TCP host and port, or the path of a Unix socket. An empty host means all addresses."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def raise_file_limit() -> int:
    """Raise the soft limit of open files, sockets included, to the hard limit if allowed; return the soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # Refused, for example by seccomp.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class CannotListen(Exception):
    """An address cannot be listened on; the text is the address and the cause."""


def listen(address: Listen) -> socket.socket:
    """Return a socket that listens on ``address``. Raise CannotListen if that is not possible."""
    try:
        return _unix(address.path) if address.path else _tcp(address.host, address.port)
    except OSError as error:
        raise CannotListen(f"{address}: {_cause(error)}") from None
    except UnicodeError:
        raise CannotListen(f"{address}: not a host name") from None


def _cause(error: OSError) -> str:
    """Return the system's error message, without the address that Python appends."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _tcp(host: str, port: int) -> socket.socket:
    if host:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=1024)


def _unix(path: str) -> socket.socket:
    """Return a Unix socket that listens on ``path``, after removing a socket on which no process listens."""
    if _is_stale(path):  # A crashed exporter leaves its socket behind.
        Path(path).unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        bound.listen(1024)
    except OSError:
        bound.close()
        raise
    return bound


def _is_stale(path: str) -> bool:
    """Return whether ``path`` is a socket on which no process listens."""
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(path) == errno.ECONNREFUSED
