"""The server, in a process of its own, for signals are meant for a main thread."""

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

PROGRAM = """
import asyncio, sys
from nomad_exporter.server.listen import Listen, listen
from nomad_exporter.server import server
from nomad_exporter.server.uvicorn import serve

server.HEADER_SECONDS = 0.5

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
serve(application, sockets, lambda: print("a second passed", flush=True), lambda: print("hung up", flush=True))
print("served", flush=True)
"""


@dataclass
class Served:
    """A server of ``PROGRAM``: where it listens, and what it prints."""

    process: subprocess.Popen[str]
    output: IO[str]
    path: str
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def stop_has_begun(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) != 0

    def end(self) -> tuple[int, str]:
        """The exit code and the last line."""
        last = self.output.read().splitlines()[-1]
        return self.process.wait(PATIENCE), last


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that has answered once, so that it surely heeds signals."""
    path = str(tmp_path / "socket")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        running = Served(process, process.stdout, path, int(process.stdout.readline()))
        body(running.connect())
        yield running
        process.kill()


def body(connection: http.client.HTTPConnection) -> bytes:
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def test_every_socket_is_served(served: Served) -> None:
    by_path = served.connect()
    by_path.sock = socket.socket(socket.AF_UNIX)
    by_path.sock.connect(served.path)

    assert body(served.connect()) == b"begun GET"
    assert body(by_path) == b"begun GET"


def test_a_response_does_not_tell_what_serves_it(served: Served) -> None:
    with contextlib.closing(served.connect()) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()

        assert response.getheader("Server") is None


def test_the_work_of_every_second_is_done_while_it_serves(served: Served) -> None:
    assert served.output.readline() == "a second passed\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_serving_and_the_program_goes_on(number: signal.Signals, served: Served) -> None:
    served.stop(number)

    assert served.end() == (0, "served")


def test_a_connection_that_is_kept_alive_does_not_hold_up_the_stop(served: Served) -> None:
    with contextlib.closing(served.connect()) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        served.stop()

        assert served.end() == (0, "served")


def test_a_response_that_is_being_sent_is_sent_to_its_end(served: Served) -> None:
    with contextlib.closing(served.connect()) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "4")
        connection.endheaders(b"do")
        response = connection.getresponse()
        begun = response.read(6)
        served.stop()
        eventually(served.stop_has_begun)
        connection.send(b"ne")
        rest = response.read()

    assert (begun, rest) == (b"begun ", b"POST")
    assert served.end() == (0, "served")


def test_a_response_without_end_does_not_hold_up_the_stop(served: Served) -> None:
    with contextlib.closing(served.connect()) as connection:
        connection.request("GET", "/endless")
        connection.getresponse().read(6)
        served.stop()

        assert served.end() == (0, "served")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x"], ids=["nothing", "half of the headers"])
def test_a_client_that_never_ends_its_headers_is_let_go(begun: bytes, served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as slow:
        slow.sendall(begun)

        assert read_to_the_end(slow) == b""


def test_a_response_may_take_longer_than_headers_may(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=1.0) as patient:
        patient.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: b"begun" in patient.recv(65536, socket.MSG_PEEK))
        patient.recv(65536)

        with pytest.raises(TimeoutError):
            patient.recv(1)


def read_to_the_end(slow: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return slow.recv(1)
    return b""
