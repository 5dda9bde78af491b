"""Agents on real sockets: recorded ones that answer as they were recorded, and scripts of bytes that answer worse."""

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
    """An agent on loopback that answers as a recorded one did; ``play`` changes the situation while it runs."""

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
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
        """From now on answers as the agent ``name`` did; what it held so far it lets go."""
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
        """Answers one request: holds it as long as the real agent did, for ever where that one never answered."""
        self.asked.append((handler.path, {name.lower(): value for name, value in handler.headers.items()}))
        told = self._situation.answer(handler.path)
        if self._released.wait(None if told.status is None else told.seconds) or told.status is None:
            handler.close_connection = True
            return
        handler.send_response(told.status)
        if told.content_type:
            handler.send_header("Content-Type", told.content_type)
        handler.send_header("Content-Length", str(len(told.body)))
        handler.end_headers()
        handler.wfile.write(told.body)


def _handler(agent: RecordedAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                agent.respond(self)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    return Handler


Script = Callable[[socket.socket, threading.Event], None]
"""What a scripted agent does with a connection; the event is set when it must end."""


def blackholed_leader(connection: socket.socket, over: threading.Event) -> None:
    """A server that believes in a leader whose machine is gone: well by itself, silent where it must ask the leader."""
    body = b'{"server":{"ok":true,"message":"ok"}}'
    while request := connection.recv(65536):
        if b"health?stale" not in request:
            over.wait()
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@contextlib.contextmanager
def scripted(script: Script) -> Iterator[Address]:
    """An agent that does ``script`` with each connection, at the address given."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=_play, args=(script, connection, over)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield Address("http", "127.0.0.1", listener.getsockname()[1])
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *threads):
                thread.join()


def _play(script: Script, connection: socket.socket, over: threading.Event) -> None:
    with connection, contextlib.suppress(OSError):
        script(connection, over)


def answer(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> Script:
    """A script that reads a request and sends one answer, whole and well."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    return script


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
