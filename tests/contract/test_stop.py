"""The stop: SIGTERM and SIGINT end the exporter with code 0, soon and quietly, whatever it is doing."""

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

SECONDS = 2.0

Scene = Callable[[], AbstractContextManager[Exporter]]


@contextmanager
def at_rest() -> Iterator[Exporter]:
    with RecordedAgent("2.0.5/healthy/s1-follower") as agent, running("--nomad.address", agent.url) as exporter:
        exporter.wait_for_line("agent answers")
        yield exporter


@contextmanager
def while_polls_hang() -> Iterator[Exporter]:
    yield from hanging("http")


@contextmanager
def while_handshakes_hang() -> Iterator[Exporter]:
    yield from hanging("https")


def hanging(scheme: str) -> Iterator[Exporter]:
    """Both rounds have asked an agent that takes the connection and says nothing."""
    taken = threading.Semaphore(0)

    def silence(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1)
        taken.release()
        over.wait()

    patience = ("--poll.health-interval", "60s", "--poll.interval", "60s", "--poll.timeout", "40s")
    with (
        scripted(silence) as address,
        running("--nomad.address", f"{scheme}://{address.host_port}", *patience) as exporter,
    ):
        assert taken.acquire(timeout=10)
        assert taken.acquire(timeout=10)
        yield exporter


def with_members(members: bytes) -> Script:
    """A server that knows ``members`` and has nothing else to say."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        while request := connection.recv(65536):
            body = members if b"/members" in request else b'{"stats": {"nomad": {}}, "server": {"ok": true}}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return script


@contextmanager
def during_a_slow_download() -> Iterator[Exporter]:
    """Somebody has asked for a page of many megabytes and reads none of it."""
    members = [{"Name": f"{number}-{'x' * 900}", "Status": "alive", "Tags": {}} for number in range(4000)]
    told = json.dumps({"Members": members}).encode()
    with scripted(with_members(told)) as address, running("--nomad.address", str(address)) as exporter:
        eventually(lambda: "nomad_agent_members" in exporter.get("/metrics").text)
        host, port = exporter.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert slow.recv(1)
            yield exporter


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: str(s.name))
@pytest.mark.parametrize(
    "scene", [at_rest, while_polls_hang, while_handshakes_hang, during_a_slow_download], ids=lambda s: str(s.__name__)
)
def test_it_ends_soon_and_quietly(scene: Scene, number: signal.Signals) -> None:
    with scene() as exporter:
        began = time.monotonic()
        code = exporter.stop(number)
        took = time.monotonic() - began

    assert code == 0
    assert took < SECONDS
    assert not [line for line in exporter.log if "Traceback" in line or "level=error" in line]
