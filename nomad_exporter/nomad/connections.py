"""Connections to one agent under one deadline.

requests and urllib3 know time-outs for a single ``recv`` only: an agent that sends a byte a second is read for ever.
Here every connection has the instant at which its request must be over, and a read waits no longer than what is left.
"""

from __future__ import annotations

import socket
import ssl
import time
import weakref
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from nomad_exporter.nomad.agent import Address, Tls
from nomad_exporter.nomad.certificates import not_after

CONNECT_SECONDS = 1.0
"""The most that a TCP connection may take, all addresses of the host together."""


class ConnectTimeout(TimeoutError):
    """No connection came about within ``CONNECT_SECONDS``."""


def _left(deadline: float) -> float:
    """The seconds until ``deadline``. Raises TimeoutError where none is left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the request is over")
    return left


class _Bounded:
    """A socket whose reads end at ``deadline``, however little each of them brings; ``received`` once any byte came."""

    deadline = float("inf")
    received = False

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left(self.deadline))  # type: ignore[attr-defined]  # of the socket class beside this one
        count: int = super().recv_into(*args, **kwargs)  # type: ignore[misc]  # likewise
        self.received = self.received or count > 0
        return count


class BoundedSocket(_Bounded, socket.socket):
    """A plain socket with a deadline."""


class BoundedTlsSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket with a deadline; Python bounds its handshake by the time-out of the socket that it wraps."""


def connect(address: Address, deadline: float) -> BoundedSocket:
    """A connection to ``address``, made within ``CONNECT_SECONDS`` and before ``deadline`` (monotonic seconds).

    Raises OSError: socket.gaierror where the host is unknown, ConnectTimeout, ConnectionRefusedError and their like.
    """
    end = min(deadline, time.monotonic() + CONNECT_SECONDS)
    targets = _targets(address)
    for more, (family, target) in zip(reversed(range(len(targets))), targets, strict=True):
        try:
            sock = _connect(family, target, _left(end) / (more + 1))
        except OSError as error:
            if not more:
                if isinstance(error, TimeoutError):
                    raise ConnectTimeout from None
                raise
        else:
            sock.settimeout(_left(deadline))
            return sock
    raise socket.gaierror(socket.EAI_NONAME, "the host has no address")


def _connect(family: int, target: Any, seconds: float) -> BoundedSocket:
    sock = BoundedSocket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


def _targets(address: Address) -> list[tuple[int, Any]]:
    if address.scheme == "unix":
        return [(socket.AF_UNIX, address.path)]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [(family, target) for family, _, _, _, target in found]


class _AgentConnection(HTTPConnection):
    """A connection to ``address`` whose requests end at ``deadline``."""

    address: Address
    deadline = float("inf")
    opened: Callable[[socket.socket], None]
    bare: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock = connect(self.address, self.deadline)
        self.bare = sock.dup()  # TLS takes the socket for itself; through this one a handshake can be cut.
        self.opened(self.bare)
        if self.address.scheme != "unix":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            if self.bare:
                self.bare.close()
                self.bare = None
        self.opened(self.sock)
        self.apply_deadline()

    def apply_deadline(self) -> None:
        """Puts the open socket, where there is one, under the deadline of the next request."""
        if isinstance(self.sock, BoundedSocket | BoundedTlsSocket):
            self.sock.deadline, self.sock.received = self.deadline, False
            self.sock.settimeout(_left(self.deadline))


class _AgentTlsConnection(_AgentConnection, HTTPSConnection):
    """The same over TLS."""


class AgentPool(urllib3.HTTPConnectionPool):
    """The connections to one agent: at most one for each of its sources that is asked at the same time."""

    def __init__(self, address: Address, **kwargs: Any) -> None:
        super().__init__(address.host or "127.0.0.1", address.port or None, maxsize=2, retries=False, **kwargs)
        self.address = address
        self.live: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.peer_not_after: float | None = None
        self.closed = False

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.address, connection.opened = self.address, self._opened  # type: ignore[attr-defined]  # ours
        return connection

    def _opened(self, sock: socket.socket) -> None:
        self.live.add(sock)
        if self.closed:
            self.abort()
        if isinstance(sock, ssl.SSLSocket):
            self.peer_not_after = not_after(sock.getpeercert(binary_form=True))

    def _validate_conn(self, conn: Any) -> None:
        """Connects before urllib3 sends, which would pass over a connection that is reset as it is made.

        Of TLS without verification it says nothing, unlike urllib3: that was the user's own choice.
        """
        if conn.is_closed:
            conn.connect()

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        """One request under one deadline; once more where the agent had closed a kept connection just before it."""
        conn.deadline = time.monotonic() + kwargs["timeout"].total
        conn.apply_deadline()
        kept = conn.sock  # Entry here too, for http.client forgets it when the connection breaks.
        try:
            return super()._make_request(conn, *args, **kwargs)
        except ConnectionError:
            if kept is None or kept.received or self.closed:
                raise
        conn.close()  # Outside of the except block, so that a second failure does not carry the first one with it.
        return super()._make_request(conn, *args, **kwargs)

    def abort(self) -> None:
        """Ends every live connection, so that a thread that reads from one returns at once; so does one made later."""
        self.closed = True
        for sock in list(self.live):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                continue  # It is closed already, which is all that was wanted.


class _PlainPool(AgentPool):
    ConnectionCls = _AgentConnection


class _TlsPool(AgentPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _AgentTlsConnection


def pool(address: Address, tls: Tls, context: ssl.SSLContext | None) -> AgentPool:
    """The connections to ``address``; an ``https`` one needs the ``context`` that ``tls`` describes."""
    if address.scheme != "https":
        return _PlainPool(address)
    # The context checks the name. urllib3, told one, would check it in the context's place, with errors of its own.
    check = False if tls.skip_verify else None
    return _TlsPool(address, ssl_context=context, server_hostname=tls.server_name or None, assert_hostname=check)
