"""One poll of one source: its requests, their order and timeouts, and the outcome for each reply."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Members
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Reply, Source
from nomad_exporter.nomad.sources.health import STALE_PATH
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.snapshot import Reading
from tests.support.answers import REFUSED, START, FakeClock, FakeWire, recorded

LEADER = "2.0.5/healthy/s2-leader"


def polled(
    source: Source[Any], *replies: tuple[str, Reply | Failure], seconds: float = 4.0, takes: float = 0.25
) -> tuple[Reading[Any], FakeWire]:
    """Return the reading of ``source`` and the wire, whose replies take ``takes`` seconds each."""
    clock = FakeClock()
    wire = FakeWire(dict(replies), clock, takes)
    return poll(source, wire, clock, seconds, lateness=0.5), wire


@pytest.mark.parametrize(
    ("source", "path", "answer_type"),
    [
        (SELF, SELF.path, AgentSelf),
        (MEMBERS, MEMBERS.path, Members),
        (AUTOPILOT, AUTOPILOT.path, Autopilot),
    ],
)
def test_one_request_returns_an_answer(source: Source[Any], path: str, answer_type: type) -> None:
    reading, wire = polled(source, (path, recorded(LEADER, path)))

    assert isinstance(reading.outcome, answer_type)
    assert wire.requests == [(path, 4.0)]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (SELF, SELF.path),
        (MEMBERS, MEMBERS.path),
        (HEALTH, STALE_PATH),
        (AUTOPILOT, AUTOPILOT.path),
    ],
)
def test_failure_of_the_wire_is_the_outcome(source: Source[Any], path: str) -> None:
    reading, wire = polled(source, (path, REFUSED))

    assert reading.outcome == REFUSED
    assert wire.paths == [path]


def test_reading_has_start_duration_and_lateness() -> None:
    reading, _ = polled(SELF, (SELF.path, REFUSED), takes=0.25)

    assert (reading.source, reading.began, reading.seconds, reading.lateness) == (SELF, START, 0.25, 0.5)


def test_lateness_is_zero_by_default() -> None:
    assert poll(SELF, FakeWire({SELF.path: REFUSED}), FakeClock(), 4.0).lateness == 0.0


def test_reading_has_certificates_as_of_after_the_poll() -> None:
    wire = FakeWire({SELF.path: REFUSED})
    wire.certificates = Certificates(peer=1.0, own=2.0)

    assert poll(SELF, wire, FakeClock(), 4.0).certificates == Certificates(peer=1.0, own=2.0)


def test_duration_ignores_step_of_wall_clock() -> None:
    clock = FakeClock()

    class SteppingWire:
        certificates = Certificates()

        def get(self, path: str, seconds: float, body_limit: int) -> Failure:
            clock.step(-3600)
            clock.advance(0.25)
            return REFUSED

    reading = poll(SELF, SteppingWire(), clock, 4.0)

    assert reading.seconds == 0.25
