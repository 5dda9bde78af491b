"""Doors: places to listen that open and shut while the loop runs, each with an application of its own."""

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
from uvicorn.server import ServerState

from nomad_exporter.serving.asgi import Application, Message, Receive, Send
from nomad_exporter.serving.listen import Listen, listen
from nomad_exporter.serving.server import Protocol, configuration

HANDSHAKE_SECONDS = 5
"""How long a client may take for the TLS handshake."""

PAUSE_SECONDS = 0.1
"""How long no connection is taken after one could not be, as when the process may open no more files."""

TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)
"""What a client hears that has too many connections already, in the words of a Nomad agent since 1.3.4."""

NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What a client hears that speaks plain HTTP where TLS is spoken, in the words of Go's net/http."""

_BEGINNINGS_OF_TLS = frozenset({b"\x15", b"\x16"})
_BEGINNINGS_OF_HTTP = frozenset({b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"})


class Door:
    """A place to listen that opens and shuts while the loop runs, each time for the same ``application``.

    ``tls`` is one of ``serving.tls``, so that a client learns why it is refused. ``most`` is the number of connections
    that a client address may have at a time, 0 for any; the next one hears ``refusal`` and is closed.
    """

    def __init__(
        self,
        application: Application,
        address: Listen,
        tls: ssl.SSLContext | None = None,
        most: int = 100,
        refusal: bytes = TOO_MANY,
    ) -> None:
        self._config = configuration(_ended_quietly(application))
        self._address = address
        self._tls = tls
        self._most = most
        self._refusal = refusal
        self._held: Counter[str] = Counter()
        self._life: asyncio.Task[None] | None = None

    @property
    def address(self) -> Listen:
        """Where it listens, or will. Its port is 0 only where it was told so and has not been open yet."""
        return self._address

    async def open(self) -> None:
        """Listens from now on; a door that is open stays as it is. Raises CannotListen."""
        if self._life is None:
            listener = listen(self._address)
            listener.setblocking(False)
            if not self._address.path:
                self._address = replace(self._address, port=listener.getsockname()[1])
            self._life = asyncio.create_task(self._attend_all(listener))
            self._life.add_done_callback(partial(_close, listener))  # It may be shut before it begins.

    async def shut(self) -> None:
        """As when a process is killed: nobody can connect from now on, and every connection is cut.

        Returns once the requests that were being answered have been cancelled and have ended.
        """
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.wait([life])

    async def _attend_all(self, listener: socket.socket) -> None:
        async with asyncio.TaskGroup() as attending:
            with listener:
                while True:
                    connection, host = await _accept(listener)
                    task = attending.create_task(self._attend(connection, host))
                    task.add_done_callback(partial(_close, connection))

    async def _attend(self, connection: socket.socket, host: str) -> None:
        """Lasts as long as the connection does."""
        with self._counted(host) as number, contextlib.suppress(OSError):
            caller = _Caller(self._config, self._refusal if 0 < self._most < number else None)
            try:
                await self._begin(connection, caller)
                await caller.gone.wait()
            finally:
                await caller.cut()

    @contextlib.contextmanager
    def _counted(self, host: str) -> Iterator[int]:
        """The number of connections that ``host`` has now, this one included."""
        self._held[host] += 1
        try:
            yield self._held[host]
        finally:
            self._held[host] -= 1

    async def _begin(self, connection: socket.socket, caller: _Caller) -> None:
        """Lets the caller speak, over TLS once the hands are shaken. Raises OSError where it does not come to that."""
        connection.setblocking(False)
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if self._tls is not None:
                await _readable(connection)
                _refuse_what_is_not_tls(connection)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: caller, connection, ssl=self._tls)


class _Caller(Protocol):
    """One connection. Its ServerState is its own, so that ``tasks`` are the requests of this connection alone."""

    def __init__(self, config: uvicorn.Config, refusal: bytes | None) -> None:
        super().__init__(config, ServerState(), {})
        self.gone = asyncio.Event()
        self._refusal = refusal

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._refusal is not None:
            transport.write(self._refusal)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.is_set():
            super().connection_lost(exc)
            for task in self.tasks:
                task.cancel()
            self.gone.set()

    async def cut(self) -> None:
        """Ends the connection, where there is one, and waits for the end of its requests."""
        if self.transport is not None and not self.gone.is_set():
            self.transport.abort()
            self.connection_lost(None)  # uvloop does not tell so of one that was cancelled while it was made.
        if self.tasks:
            await asyncio.wait(self.tasks)


def _ended_quietly(application: Application) -> Application:
    """A request that is cancelled has lost its client; uvicorn would log a traceback."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await application(scope, receive, send)

    return answer


async def _accept(listener: socket.socket) -> tuple[socket.socket, str]:
    """The next connection, and the host that it comes from; all that come by a Unix socket are of the host ``""``."""
    while True:
        await _readable(listener)
        try:
            connection, peer = listener.accept()
        except OSError:
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return connection, peer[0] if peer else ""


def _close(connection: socket.socket, _: asyncio.Task[None]) -> None:
    connection.close()


async def _readable(connection: socket.socket) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)


def _refuse_what_is_not_tls(connection: socket.socket) -> None:
    """Answers what begins as plain HTTP. Raises ConnectionRefusedError where it is no TLS that can be read now."""
    begun = connection.recv(5, socket.MSG_PEEK)
    if begun[:1] in _BEGINNINGS_OF_TLS:
        return
    connection.recv(65536)  # What is left unread when a connection is closed can cost the client our answer.
    if begun in _BEGINNINGS_OF_HTTP:
        connection.send(NOT_TLS)
    raise ConnectionRefusedError("this is not TLS")
