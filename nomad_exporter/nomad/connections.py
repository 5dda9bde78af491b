"""Connections to one agent, with a deadline and a limit of bytes for each request.

The timeouts of requests and urllib3 apply to each ``recv``: an agent that sends one byte a second is read without end.
Here every connection knows the deadline of its request, and no read waits past that deadline.

http.client and urllib3 also read some parts of a response without a limit, such as a chunk of the size -1 or trailers.
Here every connection counts the bytes of the response, whatever their meaning in HTTP.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from nomad_exporter.nomad.agent import Address, Tls
from nomad_exporter.nomad.resolver import Resolver, Target
from nomad_exporter.nomad.sources.source import KIB, format_size
from nomad_exporter.nomad.tls import not_after

MIN_CONNECT_SECONDS = 2.0
"""How long a TCP connect may take at least if the timeout allows it: a lost SYN is sent again after one second."""


HEAD_BYTES = 64 * KIB
"""Maximum size of what precedes a response body; Nomad sends less than 1 kB. The framing of chunks is in the body."""


class ConnectTimeout(TimeoutError):
    """No connection was established within ``connect_timeout``."""


def connect_timeout(seconds: float) -> float:
    """Return how long a TCP connect may take, all addresses together, if ``seconds`` are left for the request."""
    return min(seconds, max(seconds / 2, MIN_CONNECT_SECONDS))


class TooManyBytes(OSError):
    """A response with more bytes than the request accepts; the message names the limit of the body."""


class RequestLimits(urllib3.Timeout):
    """The timeout of one request in seconds, which also limits the size of the response body in bytes."""

    def __init__(self, seconds: float, body_limit: int) -> None:
        super().__init__(total=seconds)
        self.seconds, self.body_limit = seconds, body_limit

    def clone(self) -> RequestLimits:
        """Return a copy, as urllib3 makes for each request."""
        return RequestLimits(self.seconds, self.body_limit)


def _remaining(deadline: float) -> float:
    """Return the seconds until ``deadline``. Raises TimeoutError if the deadline has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("request deadline exceeded")
    return seconds


@dataclass(frozen=True, slots=True)
class Network:
    """What the connections to all agents share: name resolution, the limit of files, and how a thread waits.

    A connection whose file descriptor would be greater than ``max_descriptor`` is not opened.
    ``waiting`` returns the context of a block in which a thread waits for an agent and does not compute.
    """

    resolver: Resolver = field(default_factory=Resolver)
    max_descriptor: float = math.inf
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext


class _Limited:
    """A socket mixin whose reads end at ``deadline``, or when a part of a response has more than ``limit`` bytes.

    ``received`` is the number of bytes of the part so far. The first bytes of a body can count as those of the head.
    """

    deadline = float("inf")
    limit = HEAD_BYTES
    received = 0
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_remaining(self.deadline))  # type: ignore[attr-defined]  # defined by the socket class
        with self.waiting():
            count: int = super().recv_into(*args, **kwargs)  # type: ignore[misc]  # likewise
            arrived = time.monotonic()
        # The time until this thread goes on is not the agent's.
        self.deadline += time.monotonic() - arrived
        self.received += count
        if self.received > self.limit:
            raise TooManyBytes(f"response is larger than {format_size(self.limit)}")
        return count

    def begin_part(self, limit: int) -> None:
        """Begin the head or the body of a response, which has at most ``limit`` bytes."""
        self.limit, self.received = limit, 0


class LimitedSocket(_Limited, socket.socket):
    """A plain socket with a deadline and a limit of bytes."""


class LimitedTlsSocket(_Limited, ssl.SSLSocket):
    """A TLS socket with a deadline and a limit of bytes."""

    # The handshake needs no code here: Python applies the timeout of the wrapped socket to it.


def connect(address: Address, network: Network, deadline: float) -> LimitedSocket:
    """Resolve the host of ``address`` and connect to it, both before ``deadline`` (monotonic seconds).

    Raises OSError, among others socket.gaierror for an unknown host, ConnectTimeout and ConnectionRefusedError.
    """
    targets = _resolve(address, network.resolver, deadline)
    now = time.monotonic()
    end = now + connect_timeout(deadline - now)
    # Each target gets an equal share of the remaining time, so that a silent one leaves time for the next.
    for others, (family, target) in zip(reversed(range(len(targets))), targets, strict=True):
        try:
            sock = _connect(family, target, _remaining(end) / (others + 1), network.max_descriptor)
        except OSError as error:
            if not others:
                if isinstance(error, TimeoutError):
                    raise ConnectTimeout from None
                raise
        else:
            sock.settimeout(_remaining(deadline))
            return sock
    raise socket.gaierror(socket.EAI_NONAME, "the host has no address")


def _connect(family: int, target: Any, seconds: float, max_descriptor: float) -> LimitedSocket:
    sock = LimitedSocket(family, socket.SOCK_STREAM)
    try:
        _check_descriptor(sock.fileno(), max_descriptor)
        sock.settimeout(seconds)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


def _check_descriptor(descriptor: int, maximum: float) -> None:
    """Raise OSError as the system does for too many open files, but earlier: the system uses the lowest number."""
    if descriptor > maximum:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _resolve(address: Address, resolver: Resolver, deadline: float) -> list[Target]:
    if address.scheme == "unix":
        return [(socket.AF_UNIX, address.path)]
    return resolver.resolve(address.host, address.port, deadline)


class _AgentConnection(HTTPConnection):
    """A connection to ``address``; ``on_open`` receives each new socket.

    A request ends at ``deadline``. ``limited`` is the socket of the newest request, also after the connection has
    handed it over to the response.
    """

    address: Address
    network: Network
    deadline = float("inf")
    limited: LimitedSocket | LimitedTlsSocket | None = None
    on_open: Callable[[socket.socket], None]
    raw_sock: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock = connect(self.address, self.network, self.deadline)
        self.raw_sock = sock.dup()  # TLS detaches the socket; a handshake can only be aborted through this duplicate.
        self.on_open(self.raw_sock)
        if self.address.scheme != "unix":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self) -> None:
        try:
            with self.network.waiting():
                super().connect()
        finally:
            if self.raw_sock:
                self.raw_sock.close()
                self.raw_sock = None
        self.on_open(self.sock)
        self.apply_limits()

    def apply_limits(self) -> None:
        """Apply the limits of the next request to the open socket, if any."""
        if isinstance(self.sock, LimitedSocket | LimitedTlsSocket):
            self.limited = self.sock
            self.limited.deadline, self.limited.waiting = self.deadline, self.network.waiting
            self.limited.settimeout(_remaining(self.deadline))
            self.limited.begin_part(HEAD_BYTES)


class _AgentTlsConnection(_AgentConnection, HTTPSConnection):
    """The same over TLS."""


def received_bytes(connection: object) -> int:
    """Return how many bytes of the body of its response a connection has received; 0 if it is not of this module."""
    return connection.limited.received if isinstance(connection, _AgentConnection) and connection.limited else 0


def _unverified() -> ssl.SSLContext:
    """Return a context that accepts any certificate and has none of its own."""
    new = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    new.sslsocket_class = LimitedTlsSocket
    new.check_hostname, new.verify_mode = False, ssl.CERT_NONE
    return new


class AgentPool(urllib3.HTTPConnectionPool):
    """The connections to one agent, one for each concurrent request: usually one, at most three."""

    def __init__(self, address: Address, network: Network, **kwargs: Any) -> None:
        super().__init__(address.http_host or "127.0.0.1", address.port or None, maxsize=3, retries=False, **kwargs)
        self.address, self.network = address, network
        self.open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.peer_not_after: float | None = None
        self.closed = False

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.address, connection.network = self.address, self.network  # type: ignore[attr-defined]  # ours
        connection.on_open = self._on_open  # type: ignore[attr-defined]  # likewise
        return connection

    def _on_open(self, sock: socket.socket) -> None:
        self.open_sockets.add(sock)
        if self.closed:
            self.abort()
        if isinstance(sock, ssl.SSLSocket):
            self.peer_not_after = not_after(sock.getpeercert(binary_form=True))

    def read_refused_certificate(self, deadline: float) -> None:
        """Read the expiry time of a certificate that could not be verified; None if that fails before ``deadline``.

        The connection is for the handshake only: without verification, client certificate, token or request.
        """
        self.peer_not_after = None
        connection = self._new_conn()
        connection.ssl_context, connection.cert_reqs, connection.assert_hostname = _unverified(), ssl.CERT_NONE, False
        connection.deadline = deadline
        with suppress(Exception), closing(connection):  # Anything can be wrong with a certificate that was refused.
            connection.connect()

    def _validate_conn(self, conn: Any) -> None:
        """Connect before urllib3 sends."""
        # urllib3 ignores a reset during its own connect. It also warns about TLS without verification, which the user
        # configured.
        if conn.is_closed:
            conn.connect()

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one request under its limits, and return the response."""
        limits: RequestLimits = kwargs["timeout"]
        conn.deadline = time.monotonic() + limits.seconds
        conn.apply_limits()
        response = self._send(conn, *args, **kwargs)
        conn.limited.begin_part(limits.body_limit)
        return response

    def _send(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request and return the response, with its head; once more after a reused connection was closed."""
        reused = conn.sock  # Kept here because http.client drops the socket when the connection breaks.
        try:
            return super()._make_request(conn, *args, **kwargs)
        except ConnectionError:
            if reused is None or reused.received or self.closed:
                raise
        conn.close()  # Outside of the except block, so that a second failure does not have the first as its context.
        return super()._make_request(conn, *args, **kwargs)

    def abort(self) -> None:
        """Shut down every open connection, so that a thread reading from one returns at once; also later ones."""
        self.closed = True
        for sock in list(self.open_sockets):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                continue  # Closed already.


class _PlainPool(AgentPool):
    ConnectionCls = _AgentConnection


class _TlsPool(AgentPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _AgentTlsConnection


def make_pool(address: Address, tls: Tls, context: ssl.SSLContext | None, network: Network) -> AgentPool:
    """Return a pool of connections to ``address``; the scheme ``https`` requires the ``context`` made for ``tls``.

    From then on, the context makes sockets with a deadline.
    """
    if address.scheme != "https":
        return _PlainPool(address, network)
    if context:
        context.sslsocket_class = LimitedTlsSocket
    # The context verifies the host name. With a name in assert_hostname, urllib3 would do so instead, with errors of
    # its own.
    check = False if tls.skip_verify else None
    server_name = tls.server_name or None
    return _TlsPool(address, network, ssl_context=context, server_hostname=server_name, assert_hostname=check)
