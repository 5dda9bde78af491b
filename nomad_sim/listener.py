"""Listeners that start and stop while the event loop runs, each with its own application."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nomad_sim.asgi import Application, Message, Receive, Send
from nomad_sim.sockets import Address, listen

HEADER_SECONDS = 10
"""Timeout for the headers of a request, and for the first request of a connection."""

HANDSHAKE_SECONDS = 5
"""Timeout for the TLS handshake."""

ACCEPT_RETRY_SECONDS = 0.1
"""The pause after a failed accept, for example when the process has too many open files."""

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)
"""The response of a Nomad agent since 1.3.4 to a client with too many connections."""

HTTP_TO_TLS_PORT = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""The response of Go's net/http to a plain HTTP request on an HTTPS port."""

_TLS_PREFIXES = frozenset({b"\x15", b"\x16"})
_HTTP_PREFIXES = frozenset({b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"})


class Listener:
    """A listener that serves ``application`` and can be started again after it was stopped.

    ``tls`` is a context of ``certificates.server_context``, which sends alerts to rejected clients. A client address
    can have ``max_connections``, 0 is unlimited; each further connection is sent ``refusal`` and closed.
    """

    def __init__(
        self,
        application: Application,
        address: Address,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 100,
        refusal: bytes = TOO_MANY_CONNECTIONS,
    ) -> None:
        self._config = _uvicorn_config(_ignore_cancellation(application))
        self._address = address
        self._tls = tls
        self._max_connections = max_connections
        self._refusal = refusal
        self._connections: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        """The address to listen on; port 0 is replaced by the actual port at the first start."""
        return self._address

    async def start(self) -> None:
        """Start to listen, unless the listener has started already. Raises ListenError."""
        if self._task is None:
            listener = listen(self._address)
            listener.setblocking(False)
            self._address = replace(self._address, port=listener.getsockname()[1])
            self._task = asyncio.create_task(self._serve(listener))
            self._task.add_done_callback(partial(_close, listener))  # The task may be cancelled before it begins.

    async def stop(self) -> None:
        """Stop to listen and abort every connection, as when a process is killed.

        Returns when all requests have been cancelled and have ended. Does nothing if the listener is stopped.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _serve(self, listener: socket.socket) -> None:
        async with asyncio.TaskGroup() as group:
            with listener:
                while True:
                    connection, host = await _accept(listener)
                    task = group.create_task(self._serve_connection(connection, host))
                    task.add_done_callback(partial(_close, connection))

    async def _serve_connection(self, connection: socket.socket, host: str) -> None:
        """Serve a connection until it ends."""
        with self._count(host) as number, contextlib.suppress(OSError):
            client = _Connection(self._config, self._refusal if 0 < self._max_connections < number else None)
            try:
                await self._connect(connection, client)
                await client.closed.wait()
            finally:
                await client.abort()

    @contextlib.contextmanager
    def _count(self, host: str) -> Iterator[int]:
        """Count a connection of ``host``; yield the number of its connections, including this one."""
        self._connections[host] += 1
        try:
            yield self._connections[host]
        finally:
            self._connections[host] -= 1

    async def _connect(self, connection: socket.socket, client: _Connection) -> None:
        """Connect a client to its protocol, after the TLS handshake if any. Raises OSError if the handshake fails."""
        connection.setblocking(False)
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if self._tls is not None:
                await _wait_until_readable(connection)
                _reject_non_tls(connection)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: client, connection, ssl=self._tls)


class _Connection(HttpToolsProtocol):
    """The protocol of one connection."""

    def __init__(self, config: uvicorn.Config, refusal: bytes | None) -> None:
        # With its own ServerState, `tasks` are the requests of this connection only.
        super().__init__(config, ServerState(), {})
        self.closed = asyncio.Event()
        self._refusal = refusal
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start_timer()
        if self._refusal is not None:
            transport.write(self._refusal)
            transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if not self.closed.is_set():
            super().connection_lost(exc)
            for task in self.tasks:
                task.cancel()
            self.closed.set()

    async def abort(self) -> None:
        """Abort the connection, if it is open, and wait until its requests have ended."""
        if self.transport is not None and not self.closed.is_set():
            self.transport.abort()
            self.connection_lost(None)  # uvloop does not call it if the connection was cancelled during its setup.
        if self.tasks:
            await asyncio.wait(self.tasks)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()


def _uvicorn_config(application: Application) -> uvicorn.Config:
    """Return a configuration that adds no header to the application's own, and logs nothing."""
    return uvicorn.Config(
        application,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )


def _ignore_cancellation(application: Application) -> Application:
    """Return an application whose cancelled requests end without an error."""

    # A cancelled request has lost its client; uvicorn would log a traceback.
    async def respond(scope: Message, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await application(scope, receive, send)

    return respond


async def _accept(listener: socket.socket) -> tuple[socket.socket, str]:
    """Return the next connection and the client's host."""
    while True:
        await _wait_until_readable(listener)
        try:
            connection, peer = listener.accept()
        except OSError:
            await asyncio.sleep(ACCEPT_RETRY_SECONDS)
        else:
            return connection, str(peer[0])


def _close(connection: socket.socket, _: asyncio.Task[None]) -> None:
    connection.close()


async def _wait_until_readable(connection: socket.socket) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)


def _reject_non_tls(connection: socket.socket) -> None:
    """Raise ConnectionRefusedError unless the client starts a TLS handshake; respond to plain HTTP as Go does."""
    prefix = connection.recv(5, socket.MSG_PEEK)
    if prefix[:1] in _TLS_PREFIXES:
        return
    connection.recv(65536)  # Closing a socket with unread data may discard the response.
    if prefix in _HTTP_PREFIXES:
        connection.send(HTTP_TO_TLS_PORT)
    raise ConnectionRefusedError("this is not TLS")
