"""Agents on real sockets: recorded agents, which respond as recorded, and scripted agents, which send any bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nomad_exporter.nomad.agent import Address
from tests.support.recordings import situation


class RecordedAgent:
    """An agent on loopback that responds as recorded; ``play`` changes the situation while it runs.

    ``requests`` lists the path and headers of each request. Header names are in lower case.
    """

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._situation = situation(name)
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def address(self) -> Address:
        return Address("https" if self._scheme == "https" else "http", "127.0.0.1", self._server.server_port)

    @property
    def url(self) -> str:
        return str(self.address)

    def play(self, name: str) -> None:
        """Respond as the recorded agent ``name`` from now on, and close connections whose requests are pending."""
        self._released.set()
        self._released = threading.Event()
        self._situation = situation(name)

    def __enter__(self) -> RecordedAgent:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to a request after the recorded time; never, if the recorded agent did not respond."""
        self.requests.append((handler.path, {name.lower(): value for name, value in handler.headers.items()}))
        recorded = self._situation.answer(handler.path)
        if self._released.wait(None if recorded.status is None else recorded.seconds) or recorded.status is None:
            handler.close_connection = True
            return
        handler.send_response(recorded.status)
        if recorded.content_type:
            handler.send_header("Content-Type", recorded.content_type)
        handler.send_header("Content-Length", str(len(recorded.body)))
        handler.end_headers()
        handler.wfile.write(recorded.body)


def _handler(agent: RecordedAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                agent.respond(self)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return Handler


Script = Callable[[socket.socket, threading.Event], None]
"""A function that serves a connection of a scripted agent; it must return when the event is set."""


def blackholed_leader(connection: socket.socket, stopping: threading.Event) -> None:
    """Serve as a server whose leader is unresponsive: healthy with ``?stale``, and without it no response."""
    body = b'{"server":{"ok":true,"message":"ok"}}'
    while request := connection.recv(65536):
        if b"health?stale" not in request:
            stopping.wait()
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@contextlib.contextmanager
def scripted(script: Script) -> Iterator[Address]:
    """Serve each connection with ``script`` within the block, and yield the address."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while not stopping.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connections.append(connection)
                    threads.append(threading.Thread(target=_play, args=(script, connection, stopping)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield Address("http", "127.0.0.1", listener.getsockname()[1])
        finally:
            stopping.set()
            # A script may be blocked in a send that its client never reads.
            for each in (listener, *connections):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *threads):
                thread.join()


def _play(script: Script, connection: socket.socket, stopping: threading.Event) -> None:
    with connection, contextlib.suppress(OSError):
        script(connection, stopping)


def answer(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> Script:
    """Return a script that reads a request and sends one complete response."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    return script


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
