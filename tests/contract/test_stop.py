"""SIGTERM and SIGINT end the exporter within seconds, with exit code 0 and without errors, whatever it is doing."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.support.agents import RecordedAgent, Script, scripted
from tests.support.exporter import Exporter, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.alone

MAX_SECONDS = 2.0

PIPELINED = 15
"""Number of requests that are sent at once: as many as the server lets wait."""

RunningExporter = Callable[[], AbstractContextManager[Exporter]]


@contextmanager
def idle() -> Iterator[Exporter]:
    with RecordedAgent("2.0.5/healthy/s1-follower") as agent, running("--nomad.address", agent.url) as exporter:
        exporter.wait_for_line("agent is up")
        yield exporter


@contextmanager
def while_polls_hang() -> Iterator[Exporter]:
    yield from hanging("http")


@contextmanager
def while_handshakes_hang() -> Iterator[Exporter]:
    yield from hanging("https")


def hanging(scheme: str) -> Iterator[Exporter]:
    """Yield an exporter with two polls of an agent that accepts connections but does not respond."""
    accepted = threading.Semaphore(0)

    def silence(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(1)
        accepted.release()
        stopping.wait()

    intervals = ("--poll.health-interval", "60s", "--poll.interval", "60s", "--poll.timeout", "40s")
    with (
        scripted(silence) as address,
        running("--nomad.address", f"{scheme}://{address.host_port}", *intervals) as exporter,
    ):
        assert accepted.acquire(timeout=10)
        assert accepted.acquire(timeout=10)
        yield exporter


def with_members(members: bytes) -> Script:
    """Return a script of a server with this answer to members, and minimal other answers."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        while request := connection.recv(65536):
            body = members if b"/members" in request else b'{"stats": {"nomad": {}}, "server": {"ok": true}}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return script


@contextmanager
def during_a_slow_download() -> Iterator[Exporter]:
    """Yield an exporter whose client requested pages of many megabytes together but does not read them."""
    members = [{"Name": f"{number}-{'x' * 280}", "Status": "alive", "Tags": {}} for number in range(400)]
    body = json.dumps({"Members": members}).encode()
    with scripted(with_members(body)) as address, running("--nomad.address", str(address)) as exporter:
        eventually(lambda: "nomad_agent_members" in exporter.get("/metrics").text)
        host, port = exporter.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(PIPELINED * b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1)
            yield exporter


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: str(s.name))
@pytest.mark.parametrize(
    "exporter_while",
    [idle, while_polls_hang, while_handshakes_hang, during_a_slow_download],
    ids=lambda s: str(s.__name__),
)
def test_signal_stops_the_exporter(exporter_while: RunningExporter, number: signal.Signals) -> None:
    with exporter_while() as exporter:
        began = time.monotonic()
        code = exporter.stop(number)
        seconds = time.monotonic() - began

    assert code == 0
    assert seconds < MAX_SECONDS
    assert not [line for line in exporter.log if "Traceback" in line or "level=error" in line]
