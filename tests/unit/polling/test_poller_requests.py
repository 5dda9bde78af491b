"""One poll of one source: its requests, their order and timeouts, and the outcome for each reply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.nomad import sources
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Check, Health, HealthAnswer, Members, Role
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.snapshot import AnyReading
from tests.support.answers import HEALTHY, REFUSED, START, FakeClock, FakeWire, recorded

FOLLOWER = "2.0.5/healthy/s1-follower"
LEADER = "2.0.5/healthy/s2-leader"
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 3.75s")

HEALTHY_SERVER = recorded(FOLLOWER, HEALTH_PATH)
NO_HEALTH = Reply(200, b"{}")
NO_LEADER = Reply(500, b'{"server": {"ok": false, "message": "no leader"}}')


def polled(
    source: Source, *replies: tuple[str, Reply | Failure], seconds: float = 4.0, takes: float = 0.25
) -> tuple[AnyReading, FakeWire]:
    """Return the reading of ``source`` and the wire, whose replies take ``takes`` seconds each."""
    clock = FakeClock()
    wire = FakeWire(dict(replies), clock, takes)
    return poll(source, wire, clock, seconds, lateness=0.5), wire


def polled_health(stale: Reply | Failure, plain: Reply | Failure) -> tuple[object, list[str]]:
    """Return the outcome of ``health`` for these replies, and the requested paths."""
    reading, wire = polled(Source.HEALTH, (STALE_HEALTH_PATH, stale), (HEALTH_PATH, plain))
    return reading.outcome, wire.paths


@pytest.mark.parametrize(
    ("source", "path", "answer_type"),
    [
        (Source.SELF, SELF_PATH, AgentSelf),
        (Source.MEMBERS, MEMBERS_PATH, Members),
        (Source.AUTOPILOT, AUTOPILOT_PATH, Autopilot),
    ],
)
def test_one_request_returns_an_answer(source: Source, path: str, answer_type: type) -> None:
    reading, wire = polled(source, (path, recorded(LEADER, path)))

    assert isinstance(reading.outcome, answer_type)
    assert wire.requests == [(path, 4.0)]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (Source.SELF, SELF_PATH),
        (Source.MEMBERS, MEMBERS_PATH),
        (Source.HEALTH, STALE_HEALTH_PATH),
        (Source.AUTOPILOT, AUTOPILOT_PATH),
    ],
)
def test_failure_of_the_wire_is_the_outcome(source: Source, path: str) -> None:
    reading, wire = polled(source, (path, REFUSED))

    assert reading.outcome == REFUSED
    assert wire.paths == [path]


def test_reading_has_start_duration_and_lateness() -> None:
    reading, _ = polled(Source.SELF, (SELF_PATH, REFUSED), takes=0.25)

    assert (reading.source, reading.began, reading.seconds, reading.lateness) == (Source.SELF, START, 0.25, 0.5)


def test_lateness_is_zero_by_default() -> None:
    assert poll(Source.SELF, FakeWire({SELF_PATH: REFUSED}), FakeClock(), 4.0).lateness == 0.0


def test_reading_has_certificates_as_of_after_the_poll() -> None:
    wire = FakeWire({SELF_PATH: REFUSED})
    wire.certificates = Certificates(peer=1.0, own=2.0)

    assert poll(Source.SELF, wire, FakeClock(), 4.0).certificates == Certificates(peer=1.0, own=2.0)


def test_duration_ignores_step_of_wall_clock() -> None:
    clock = FakeClock()

    class SteppingWire:
        certificates = Certificates()

        def get(self, path: str, seconds: float) -> Failure:
            clock.step(-3600)
            clock.advance(0.25)
            return REFUSED

    reading = poll(Source.SELF, SteppingWire(), clock, 4.0)

    assert reading.seconds == 0.25


# Health: one or two requests.


def test_healthy_server_gets_two_requests_and_reaches_leader() -> None:
    outcome, paths = polled_health(stale=HEALTHY_SERVER, plain=HEALTHY_SERVER)

    healthy = HealthAnswer(200, {Role.SERVER: HEALTHY})
    assert outcome == Health(plain=healthy, stale=healthy, leader_reachable=True)
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


@pytest.mark.parametrize(("takes", "remaining"), [(0.25, 3.75), (3.75, 0.25)], ids=["much left", "little left"])
def test_both_requests_share_one_deadline(takes: float, remaining: float) -> None:
    _, wire = polled(Source.HEALTH, (STALE_HEALTH_PATH, HEALTHY_SERVER), (HEALTH_PATH, HEALTHY_SERVER), takes=takes)

    assert [seconds for _, seconds in wire.requests] == [4.0, remaining]


def test_server_without_leader_gets_no_plain_request() -> None:
    outcome, paths = polled_health(stale=NO_LEADER, plain=HEALTHY_SERVER)

    unhealthy = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="no leader")})
    assert outcome == Health(plain=unhealthy, stale=unhealthy, leader_reachable=False)
    assert paths == [STALE_HEALTH_PATH]


@pytest.mark.parametrize("name", ["2.0.5/healthy/c1-client", "2.0.5/no-servers/c8-client"])
def test_client_gets_one_request_and_needs_no_leader(name: str) -> None:
    reply = recorded(name, STALE_HEALTH_PATH)
    outcome, paths = polled_health(stale=reply, plain=HEALTHY_SERVER)

    assert isinstance(outcome, Health)
    assert outcome.plain == outcome.stale
    assert outcome.leader_reachable is None
    assert paths == [STALE_HEALTH_PATH]


def test_agent_with_both_roles_gets_two_requests() -> None:
    reply = recorded("2.0.5/single/bacon-mac", HEALTH_PATH)
    outcome, paths = polled_health(stale=reply, plain=reply)

    assert isinstance(outcome, Health)
    assert outcome.roles == {Role.CLIENT, Role.SERVER}
    assert outcome.leader_reachable is True
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


def test_healthy_server_with_unhealthy_client_reaches_leader() -> None:
    stale = Reply(500, b'{"server": {"ok": true}, "client": {"ok": false, "message": "no known servers"}}')
    outcome, paths = polled_health(stale=stale, plain=stale)

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is True
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


def test_plain_response_shows_dead_leader() -> None:
    name = "2.0.5/leader-just-died/s3-follower"
    outcome, _ = polled_health(recorded(name, STALE_HEALTH_PATH), recorded(name, HEALTH_PATH))

    assert isinstance(outcome, Health)
    assert (outcome.stale.status, outcome.plain.status) == (200, 500)
    assert "connection refused" in outcome.plain.checks[Role.SERVER].message
    assert outcome.leader_reachable is False


def test_slow_leader_makes_server_unhealthy() -> None:
    outcome, _ = polled_health(stale=HEALTHY_SERVER, plain=TIMED_OUT)

    unreachable = Check(ok=False, message="leader did not respond within 4s")
    assert outcome == Health(
        plain=HealthAnswer(500, {Role.SERVER: unreachable}),
        stale=HealthAnswer(200, {Role.SERVER: HEALTHY}),
        leader_reachable=False,
    )


def test_slow_leader_leaves_client_role_healthy() -> None:
    outcome, _ = polled_health(stale=recorded("2.0.5/single/bacon-mac", HEALTH_PATH), plain=TIMED_OUT)

    assert isinstance(outcome, Health)
    assert {role: check.ok for role, check in outcome.plain.checks.items()} == {Role.CLIENT: True, Role.SERVER: False}


def test_poll_fails_if_no_time_is_left_for_the_leader() -> None:
    reading, wire = polled(Source.HEALTH, (STALE_HEALTH_PATH, HEALTHY_SERVER), (HEALTH_PATH, HEALTHY_SERVER), takes=4.0)

    assert reading.outcome == Failure(
        FailureReason.TIMEOUT, "no time left to reach the leader", has_partial_response=True
    )
    assert wire.paths == [STALE_HEALTH_PATH]


def test_leader_with_little_time_left_is_not_blamed() -> None:
    timed_out = Failure(FailureReason.TIMEOUT, "no complete response within 1.9s")
    reading, _ = polled(Source.HEALTH, (STALE_HEALTH_PATH, HEALTHY_SERVER), (HEALTH_PATH, timed_out), takes=2.1)

    assert reading.outcome == replace(timed_out, has_partial_response=True)


@pytest.mark.parametrize(
    ("plain", "failure"),
    [
        pytest.param(REFUSED, REFUSED, id="agent died in between"),
        pytest.param(Reply(429, b""), Failure(FailureReason.STATUS, "HTTP 429", status=429), id="too many connections"),
        pytest.param(NO_HEALTH, sources.health(NO_HEALTH), id="no health"),
    ],
)
def test_other_failure_of_plain_request_fails_the_poll(plain: Reply | Failure, failure: Failure) -> None:
    outcome, _ = polled_health(stale=HEALTHY_SERVER, plain=plain)

    assert outcome == replace(failure, has_partial_response=True)


def test_agent_that_became_a_client_needs_no_leader() -> None:
    outcome, _ = polled_health(stale=HEALTHY_SERVER, plain=recorded("2.0.5/healthy/c1-client", HEALTH_PATH))

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is None
    assert outcome.roles == {Role.CLIENT}
