"""The requests of one health poll: one or two, under one deadline, and what their replies mean together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH, Reply
from nomad_exporter.nomad.sources.health import STALE_PATH
from tests.support.answers import HEALTHY, REFUSED, FakeClock, FakeWire, recorded

FOLLOWER = "2.0.5/healthy/s1-follower"
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 3.75s")

HEALTHY_SERVER = recorded(FOLLOWER, HEALTH.path)
NO_HEALTH = Reply(200, b"{}")
NO_LEADER = Reply(500, b'{"server": {"ok": false, "message": "no leader"}}')


NOT_HEALTH = Failure(FailureReason.DECODE, "no health check of a server or a client")


def polled(
    stale: Reply | Failure, plain: Reply | Failure, seconds: float = 4.0, takes: float = 0.25
) -> tuple[Health | Failure, FakeWire]:
    """Return the outcome of a poll with these replies, each of which takes ``takes`` seconds, and the wire."""
    clock = FakeClock()
    wire = FakeWire({STALE_PATH: stale, HEALTH.path: plain}, clock, takes)
    return HEALTH.poll(wire.get, clock, seconds), wire


def polled_health(stale: Reply | Failure, plain: Reply | Failure) -> tuple[Health | Failure, list[str]]:
    """Return the outcome of a poll with these replies, and the requested paths."""
    outcome, wire = polled(stale, plain)
    return outcome, wire.paths


def test_healthy_server_gets_two_requests_and_reaches_leader() -> None:
    outcome, paths = polled_health(stale=HEALTHY_SERVER, plain=HEALTHY_SERVER)

    healthy = HealthAnswer(200, {Role.SERVER: HEALTHY})
    assert outcome == Health(plain=healthy, stale=healthy, leader_reachable=True)
    assert paths == [STALE_PATH, HEALTH.path]


@pytest.mark.parametrize(("takes", "remaining"), [(0.25, 3.75), (3.75, 0.25)], ids=["much left", "little left"])
def test_both_requests_share_one_deadline(takes: float, remaining: float) -> None:
    _, wire = polled(HEALTHY_SERVER, HEALTHY_SERVER, takes=takes)

    assert [seconds for _, seconds in wire.requests] == [4.0, remaining]


def test_server_without_leader_gets_no_plain_request() -> None:
    outcome, paths = polled_health(stale=NO_LEADER, plain=HEALTHY_SERVER)

    unhealthy = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="no leader")})
    assert outcome == Health(plain=unhealthy, stale=unhealthy, leader_reachable=False)
    assert paths == [STALE_PATH]


@pytest.mark.parametrize("name", ["2.0.5/healthy/c1-client", "2.0.5/no-servers/c8-client"])
def test_client_gets_one_request_and_needs_no_leader(name: str) -> None:
    reply = recorded(name, STALE_PATH)
    outcome, paths = polled_health(stale=reply, plain=HEALTHY_SERVER)

    assert isinstance(outcome, Health)
    assert outcome.plain == outcome.stale
    assert outcome.leader_reachable is None
    assert paths == [STALE_PATH]


def test_agent_with_both_roles_gets_two_requests() -> None:
    reply = recorded("2.0.5/single/bacon-mac", HEALTH.path)
    outcome, paths = polled_health(stale=reply, plain=reply)

    assert isinstance(outcome, Health)
    assert outcome.roles == {Role.CLIENT, Role.SERVER}
    assert outcome.leader_reachable is True
    assert paths == [STALE_PATH, HEALTH.path]


def test_healthy_server_with_unhealthy_client_reaches_leader() -> None:
    stale = Reply(500, b'{"server": {"ok": true}, "client": {"ok": false, "message": "no known servers"}}')
    outcome, paths = polled_health(stale=stale, plain=stale)

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is True
    assert paths == [STALE_PATH, HEALTH.path]


def test_plain_response_shows_dead_leader() -> None:
    name = "2.0.5/leader-just-died/s3-follower"
    outcome, _ = polled_health(recorded(name, STALE_PATH), recorded(name, HEALTH.path))

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
    outcome, _ = polled_health(stale=recorded("2.0.5/single/bacon-mac", HEALTH.path), plain=TIMED_OUT)

    assert isinstance(outcome, Health)
    assert {role: check.ok for role, check in outcome.plain.checks.items()} == {Role.CLIENT: True, Role.SERVER: False}


def test_poll_fails_if_no_time_is_left_for_the_leader() -> None:
    outcome, wire = polled(HEALTHY_SERVER, HEALTHY_SERVER, takes=4.0)

    assert outcome == Failure(FailureReason.TIMEOUT, "no time left to reach the leader", has_partial_response=True)
    assert wire.paths == [STALE_PATH]


def test_leader_with_little_time_left_is_not_blamed() -> None:
    timed_out = Failure(FailureReason.TIMEOUT, "no complete response within 1.9s")
    outcome, _ = polled(HEALTHY_SERVER, timed_out, takes=2.1)

    assert outcome == replace(timed_out, has_partial_response=True)


@pytest.mark.parametrize(
    ("plain", "failure"),
    [
        pytest.param(REFUSED, REFUSED, id="agent died in between"),
        pytest.param(Reply(429, b""), Failure(FailureReason.STATUS, "HTTP 429", status=429), id="too many connections"),
        pytest.param(NO_HEALTH, NOT_HEALTH, id="no health"),
    ],
)
def test_other_failure_of_plain_request_fails_the_poll(plain: Reply | Failure, failure: Failure) -> None:
    outcome, _ = polled_health(stale=HEALTHY_SERVER, plain=plain)

    assert outcome == replace(failure, has_partial_response=True)


def test_agent_that_became_a_client_needs_no_leader() -> None:
    outcome, _ = polled_health(stale=HEALTHY_SERVER, plain=recorded("2.0.5/healthy/c1-client", HEALTH.path))

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is None
    assert outcome.roles == {Role.CLIENT}
