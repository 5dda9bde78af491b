"""Name resolution: within a deadline, once for each name at a time, and never twice as long as the system takes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nomad_exporter.nomad import resolver as module
from nomad_exporter.nomad.resolver import Resolver
from tests.support.waiting import PATIENCE, eventually

ADDRESS = (socket.AF_INET, ("127.0.0.1", 4646))


class FakeLookup:
    """Replaces ``getaddrinfo``: blocks until the test releases it, and then returns or raises ``outcome``."""

    def __init__(self) -> None:
        self.released, self.outcome, self.names = threading.Event(), [ADDRESS], list[str]()
        self.error: Exception | None = None

    def __call__(self, host: str, port: int, type: int, flags: int) -> list[Any]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no IP address")
        self.names.append(host)
        assert self.released.wait(PATIENCE)
        if self.error:
            raise self.error
        return [(family, type, 6, "", target) for family, target in self.outcome]


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLookup]:
    fake = FakeLookup()
    monkeypatch.setattr(socket, "getaddrinfo", fake)
    yield fake
    fake.released.set()
    eventually(lambda: not any(thread.name == "lookup" for thread in threading.enumerate()))


def soon() -> float:
    return time.monotonic() + 0.02


def later() -> float:
    return time.monotonic() + PATIENCE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ip_address_needs_no_lookup(host: str) -> None:
    ((_, target),) = Resolver().resolve(host, 4646, deadline=0.0)

    assert target[:2] == (host, 4646)


def test_name_is_looked_up(lookup: FakeLookup) -> None:
    lookup.released.set()

    assert Resolver().resolve("nomad.example", 4646, later()) == [ADDRESS]


def test_slow_lookup_fails_at_the_deadline(lookup: FakeLookup) -> None:
    with pytest.raises(socket.gaierror, match="takes too long"):
        Resolver().resolve("nomad.example", 4646, soon())


def test_slow_lookup_is_not_repeated_and_serves_the_next_request(lookup: FakeLookup) -> None:
    resolver = Resolver()
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            resolver.resolve("nomad.example", 4646, soon())
    lookup.released.set()

    assert resolver.resolve("nomad.example", 4646, later()) == [ADDRESS]
    assert len(lookup.names) <= 2  # The first one may have ended before the last request.


def test_slow_lookup_delays_no_other_name(lookup: FakeLookup) -> None:
    resolver = Resolver()
    for number in range(3):
        with pytest.raises(socket.gaierror):
            resolver.resolve(f"s{number}.example", 4646, soon())

    assert sorted(lookup.names) == ["s0.example", "s1.example", "s2.example"]


def test_number_of_lookups_is_limited(lookup: FakeLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOOKUPS", 1)
    resolver = Resolver()
    with pytest.raises(socket.gaierror, match="takes too long"):
        resolver.resolve("s1.example", 4646, soon())

    with pytest.raises(socket.gaierror, match="too many"):
        resolver.resolve("s2.example", 4646, later())


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
def test_failure_is_raised(lookup: FakeLookup, error: Exception) -> None:
    lookup.error = error
    lookup.released.set()

    with pytest.raises(type(error), match=str(error.args[-1])):
        Resolver().resolve("nomad.example", 4646, later())
