"""The deadline: however an agent stalls, an attempt ends when its time is over."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable

import pytest

from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import Script, scripted

SECONDS = 0.5
TOLERANCE = 0.1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip(connection: socket.socket, over: threading.Event, first: bytes, then: bytes) -> None:
    """Sends ``first`` at once and then ``then``, over and over, a byte every twentieth of a second."""
    connection.recv(65536)
    connection.sendall(first)
    for byte in itertools.cycle(then):
        if over.wait(0.05):
            return
        connection.sendall(bytes([byte]))


def header_drip(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, b"HTTP/1.1 200 OK\r\n", b"X-Nomad: a\r\n")


def body_drip(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, HEAD + b"Content-Length: 5000\r\n\r\n", b"{")


def chunk_drip(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n")


def trailer_drip(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Nomad: a\r\n")


def silence(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def endless_body(connection: socket.socket, over: threading.Event) -> None:
    """A body without end, slow enough never to reach the cap in time."""
    connection.recv(65536)
    connection.sendall(HEAD + b"\r\n")
    while not over.wait(0.01):
        connection.sendall(b"x" * 1000)


def overshoot(address: Address) -> tuple[float, object]:
    """By how many seconds an attempt outlasts its time, and what it gave."""
    transport = Transport(Agent("a", address), Contexts())
    began = time.monotonic()
    outcome = transport.get("/v1/agent/self", SECONDS)
    return time.monotonic() - began - SECONDS, outcome


def https(address: Address) -> Address:
    return Address("https", address.host, address.port)


def as_it_is(address: Address) -> Address:
    return address


@pytest.mark.parametrize(
    ("script", "seen_as"),
    [
        pytest.param(header_drip, as_it_is, id="header drip"),
        pytest.param(body_drip, as_it_is, id="body drip"),
        pytest.param(chunk_drip, as_it_is, id="chunk drip"),
        pytest.param(trailer_drip, as_it_is, id="trailer drip"),
        pytest.param(silence, as_it_is, id="silence"),
        pytest.param(silence, https, id="silent handshake"),
        pytest.param(endless_body, as_it_is, id="endless body"),
    ],
)
def test_an_attempt_at_a_stalling_agent_ends_in_time(script: Script, seen_as: Callable[[Address], Address]) -> None:
    with scripted(script) as address:
        # A busy machine can make one attempt late; nothing can make three late but a missing deadline.
        attempts = [overshoot(seen_as(address)) for _ in range(3)]

    assert all(isinstance(outcome, Failure) and outcome.reason is FailureReason.TIMEOUT for _, outcome in attempts)
    assert 0 <= min(late for late, _ in attempts) <= TOLERANCE


def test_an_endless_body_that_comes_fast_ends_at_the_cap() -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65536)

    with scripted(flood) as address:
        late, outcome = overshoot(address)

    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE
    assert late < 0
