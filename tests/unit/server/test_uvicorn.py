"""The HTTP server, in a process of its own because only a main thread handles signals."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow  # Real sockets and timeouts.

PROGRAM = """
import asyncio, sys
from nomad_exporter.server.listen import Listen, listen
from nomad_exporter.server.uvicorn import Protocol, serve

class QuickProtocol(Protocol):
    header_seconds = 0.2

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    if scope["path"] == "/endless":
        await asyncio.Event().wait()
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": scope["method"].encode()})

sockets = [listen(Listen("127.0.0.1", 0)), listen(Listen(path=sys.argv[1]))]
print(sockets[0].getsockname()[1], flush=True)
serve(
    application,
    sockets,
    on_start=lambda: None,
    every_second=lambda: print("a second passed", flush=True),
    on_hangup=lambda: print("hangup", flush=True),
    protocol=QuickProtocol,
)
print("served", flush=True)
"""


@dataclass
class RunningServer:
    """A running ``PROGRAM``: its output, and the path and the port on which it listens."""

    process: subprocess.Popen[str]
    output: IO[str]
    path: str
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def is_stopping(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) != 0

    def wait(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the last line of output."""
        last = self.output.read().splitlines()[-1]
        return self.process.wait(PATIENCE), last


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Yield a server that has responded once, so that its signal handlers are installed."""
    path = str(tmp_path / "socket")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        running = RunningServer(process, process.stdout, path, int(process.stdout.readline()))
        body(running.connect())
        yield running
        process.kill()


def body(connection: http.client.HTTPConnection) -> bytes:
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def test_every_socket_is_served(server: RunningServer) -> None:
    by_path = server.connect()
    by_path.sock = socket.socket(socket.AF_UNIX)
    by_path.sock.connect(server.path)

    assert body(server.connect()) == b"begun GET"
    assert body(by_path) == b"begun GET"


def test_response_has_no_server_header(server: RunningServer) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()

        assert response.getheader("Server") is None


def test_function_is_called_every_second(server: RunningServer) -> None:
    assert server.output.readline() == "a second passed\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_ends_serve_but_not_the_program(number: signal.Signals, server: RunningServer) -> None:
    server.stop(number)

    assert server.wait() == (0, "served")


def test_idle_connection_does_not_delay_the_stop(server: RunningServer) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        server.stop()

        assert server.wait() == (0, "served")


def test_running_response_is_completed_after_a_stop(server: RunningServer) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "4")
        connection.endheaders(b"do")
        response = connection.getresponse()
        begun = response.read(6)
        server.stop()
        eventually(server.is_stopping)
        connection.send(b"ne")
        rest = response.read()

    assert (begun, rest) == (b"begun ", b"POST")
    assert server.wait() == (0, "served")


def test_endless_response_does_not_delay_the_stop(server: RunningServer) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/endless")
        connection.getresponse().read(6)
        server.stop()

        assert server.wait() == (0, "served")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x"], ids=["no bytes", "half of the headers"])
def test_connection_with_incomplete_headers_is_closed(begun: bytes, server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(begun)

        assert read_to_the_end(client) == b""


def test_header_timeout_does_not_limit_the_response(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: b"begun" in client.recv(65536, socket.MSG_PEEK))
        client.recv(65536)

        with pytest.raises(TimeoutError):
            client.recv(1)


def read_to_the_end(client: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return client.recv(1)
    return b""
