"""The deadline of a request: it ends in time, however the agent stalls."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable

import pytest

from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.connections import Network
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import Script, scripted

pytestmark = pytest.mark.alone

SECONDS = 0.5
TOLERANCE = 0.1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip(connection: socket.socket, stopping: threading.Event, first: bytes, then: bytes) -> None:
    """Send ``first`` at once, then repeat ``then`` at one byte every 50 ms."""
    connection.recv(65536)
    connection.sendall(first)
    for byte in itertools.cycle(then):
        if stopping.wait(0.05):
            return
        connection.sendall(bytes([byte]))


def header_drip(connection: socket.socket, stopping: threading.Event) -> None:
    drip(connection, stopping, b"HTTP/1.1 200 OK\r\n", b"X-Nomad: a\r\n")


def body_drip(connection: socket.socket, stopping: threading.Event) -> None:
    drip(connection, stopping, HEAD + b"Content-Length: 5000\r\n\r\n", b"{")


def chunk_drip(connection: socket.socket, stopping: threading.Event) -> None:
    drip(connection, stopping, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n")


def trailer_drip(connection: socket.socket, stopping: threading.Event) -> None:
    drip(connection, stopping, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Nomad: a\r\n")


def silence(connection: socket.socket, stopping: threading.Event) -> None:
    stopping.wait()


def endless_body(connection: socket.socket, stopping: threading.Event) -> None:
    """Send an endless body, too slowly to reach the size limit in time."""
    connection.recv(65536)
    connection.sendall(HEAD + b"\r\n")
    while not stopping.wait(0.01):
        connection.sendall(b"x" * 1000)


def overshoot(transport: Transport) -> tuple[float, object]:
    """Send a request, and return by how many seconds it exceeds its timeout, and its outcome."""
    began = time.monotonic()
    outcome = transport.get("/v1/agent/self", SECONDS)
    return time.monotonic() - began - SECONDS, outcome


def https(address: Address) -> Address:
    return Address("https", address.host, address.port)


def http(address: Address) -> Address:
    return address


@pytest.mark.parametrize(
    ("script", "scheme"),
    [
        pytest.param(header_drip, http, id="header drip"),
        pytest.param(body_drip, http, id="body drip"),
        pytest.param(chunk_drip, http, id="chunk drip"),
        pytest.param(trailer_drip, http, id="trailer drip"),
        pytest.param(silence, http, id="silence"),
        pytest.param(silence, https, id="silent handshake"),
        pytest.param(endless_body, http, id="endless body"),
    ],
)
def test_request_to_a_stalling_agent_ends_in_time(script: Script, scheme: Callable[[Address], Address]) -> None:
    with scripted(script) as address:
        transport = Transport(Agent("a", scheme(address)), Contexts(), Network())
        # The first request also loads the trusted CAs, and on a busy machine another request can be late.
        # Three are late only without a deadline.
        outcomes = [overshoot(transport) for _ in range(3)]

    assert all(isinstance(outcome, Failure) and outcome.reason is FailureReason.TIMEOUT for _, outcome in outcomes)
    assert 0 <= min(late for late, _ in outcomes) <= TOLERANCE


def test_fast_endless_body_ends_at_the_size_limit() -> None:
    def flood(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n")
        while not stopping.is_set():
            connection.sendall(b"x" * 65536)

    with scripted(flood) as address:
        late, outcome = overshoot(Transport(Agent("a", address), Contexts(), Network()))

    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE
    assert late < 0
