"""The limits of one connection of a client."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from nomad_exporter.server.protocol import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from tests.support.hostile_clients import CLOSED, read_status
from tests.support.server import RunningServer, running_server
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow  # Real sockets and timeouts.

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(str(tmp_path_factory.mktemp("server") / "socket")) as running:
        yield running


@contextlib.contextmanager
def connected(server: RunningServer, *parts: bytes) -> Iterator[socket.socket]:
    """Connect to the server within the block, and send these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        for part in parts:
            client.sendall(part)
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(b"a:b\r\n" * MAX_HEADERS, 200, id="most headers"),
        pytest.param(b"a:b\r\n" * (MAX_HEADERS + 1), 431, id="more headers"),
        pytest.param(b"a:%b\r\n" % (b"x" * (MAX_HEAD_BYTES - 2)), 200, id="longest head"),
        pytest.param(b"a:%b\r\n" % (b"x" * (MAX_HEAD_BYTES - 1)), 431, id="longer head"),
    ],
)
def test_head_is_limited(headers: bytes, status: int, server: RunningServer) -> None:
    with connected(server, b"GET / HTTP/1.1\r\n", headers, b"\r\n") as client:
        assert read_status(client) == status


def test_each_request_of_a_connection_has_its_own_limit(server: RunningServer) -> None:
    long = b"GET / HTTP/1.1\r\na:%b\r\n\r\n" % (b"x" * (MAX_HEAD_BYTES - 2))
    with connected(server) as client:
        for _ in range(3):
            client.sendall(long)
            assert read_response(client).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(("number", "status"), [(MAX_PIPELINED + 1, 200), (MAX_PIPELINED + 2, CLOSED)])
def test_pipelined_requests_are_limited(number: int, status: int, server: RunningServer) -> None:
    with connected(server, REQUEST * number) as client:
        assert read_status(client) == status


def test_refused_request_has_one_response_and_ends_the_connection(server: RunningServer) -> None:
    with connected(server, b"a:b\r\n\r\n" + REQUEST) as client:
        response = read_to_the_end(client)

    assert response.count(b"HTTP/1.1 ") == 1
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in response


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nHost: x", b"\r\n"], ids=["no bytes", "half of the headers", "an empty line"]
)
def test_connection_with_incomplete_headers_is_closed(begun: bytes, server: RunningServer) -> None:
    with connected(server, begun) as client:
        assert read_to_the_end(client) == b""


def test_connection_with_an_empty_line_after_a_response_is_closed(server: RunningServer) -> None:
    with connected(server, REQUEST) as client:
        read_response(client)
        client.sendall(b"\r\n")

        assert read_to_the_end(client) == b""


def test_header_timeout_does_not_limit_the_response(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: b"begun" in client.recv(65536, socket.MSG_PEEK))
        client.recv(65536)

        with pytest.raises(TimeoutError):
            client.recv(1)


def read_response(client: socket.socket) -> bytes:
    """Return a response up to its last chunk."""
    response = b""
    while not response.endswith(b"0\r\n\r\n"):
        response += client.recv(65536)
    return response


def read_to_the_end(client: socket.socket) -> bytes:
    response = b""
    with contextlib.suppress(ConnectionResetError):
        while read := client.recv(65536):
            response += read
    return response
