"""The HTTP server: its sockets, its signals and its stop."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, body, running_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # Real sockets and timeouts.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(str(tmp_path / "socket")) as running:
        yield running


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
