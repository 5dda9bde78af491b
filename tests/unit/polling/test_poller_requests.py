"""One attempt at one source: what is asked, in what order, with how much time, and what is made of the replies."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
from tests.support.answers import REFUSED, START, WELL, FakeClock, FakeWire, recorded

FOLLOWER = "2.0.5/healthy/s1-follower"
LEADER = "2.0.5/healthy/s2-leader"
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 3.75s")

WELL_SERVER = recorded(FOLLOWER, HEALTH_PATH)
NO_LEADER = Reply(500, b'{"server": {"ok": false, "message": "no leader"}}')


def asked(
    source: Source, *replies: tuple[str, Reply | Failure], seconds: float = 4.0, takes: float = 0.25
) -> tuple[AnyReading, FakeWire]:
    """The reading of ``source`` where each reply takes ``takes`` seconds, and the wire that was asked."""
    clock = FakeClock()
    wire = FakeWire(dict(replies), clock, takes)
    return poll(source, wire, clock, seconds, lateness=0.5), wire


def asked_health(stale: Reply | Failure, plain: Reply | Failure) -> tuple[object, list[str]]:
    """The outcome of ``health`` for these replies, and the paths that were asked."""
    reading, wire = asked(Source.HEALTH, (STALE_HEALTH_PATH, stale), (HEALTH_PATH, plain))
    return reading.outcome, wire.paths


@pytest.mark.parametrize(
    ("source", "path", "kind"),
    [
        (Source.SELF, SELF_PATH, AgentSelf),
        (Source.MEMBERS, MEMBERS_PATH, Members),
        (Source.AUTOPILOT, AUTOPILOT_PATH, Autopilot),
    ],
)
def test_one_question_gives_an_answer(source: Source, path: str, kind: type) -> None:
    reading, wire = asked(source, (path, recorded(LEADER, path)))

    assert isinstance(reading.outcome, kind)
    assert wire.asked == [(path, 4.0)]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (Source.SELF, SELF_PATH),
        (Source.MEMBERS, MEMBERS_PATH),
        (Source.HEALTH, STALE_HEALTH_PATH),
        (Source.AUTOPILOT, AUTOPILOT_PATH),
    ],
)
def test_a_failure_of_the_wire_is_the_outcome(source: Source, path: str) -> None:
    reading, wire = asked(source, (path, REFUSED))

    assert reading.outcome == REFUSED
    assert wire.paths == [path]


def test_a_reading_tells_when_it_was_made_how_long_it_took_and_how_late_it_was() -> None:
    reading, _ = asked(Source.SELF, (SELF_PATH, REFUSED), takes=0.25)

    assert (reading.source, reading.began, reading.seconds, reading.lateness) == (Source.SELF, START, 0.25, 0.5)


def test_an_attempt_of_which_nobody_says_that_it_is_late_is_not() -> None:
    assert poll(Source.SELF, FakeWire({SELF_PATH: REFUSED}), FakeClock(), 4.0).lateness == 0.0


def test_a_reading_tells_the_certificates_of_the_wire_as_they_are_after_the_question() -> None:
    wire = FakeWire({SELF_PATH: REFUSED})
    wire.certificates = Certificates(peer=1.0, own=2.0)

    assert poll(Source.SELF, wire, FakeClock(), 4.0).certificates == Certificates(peer=1.0, own=2.0)


def test_how_long_it_took_does_not_mind_a_step_of_the_wall_clock() -> None:
    clock = FakeClock()

    class SteppingWire:
        certificates = Certificates()

        def get(self, path: str, seconds: float) -> Failure:
            clock.step(-3600)
            clock.go_on(0.25)
            return REFUSED

    reading = poll(Source.SELF, SteppingWire(), clock, 4.0)

    assert reading.seconds == 0.25


# Health, in one cycle.


def test_a_well_server_is_asked_twice_and_reaches_its_leader() -> None:
    outcome, paths = asked_health(stale=WELL_SERVER, plain=WELL_SERVER)

    well = HealthAnswer(200, {Role.SERVER: WELL})
    assert outcome == Health(plain=well, stale=well, leader_reachable=True)
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


@pytest.mark.parametrize(("takes", "left"), [(0.25, 3.75), (3.75, 0.25)], ids=["much is left", "little is left"])
def test_both_questions_share_one_deadline(takes: float, left: float) -> None:
    _, wire = asked(Source.HEALTH, (STALE_HEALTH_PATH, WELL_SERVER), (HEALTH_PATH, WELL_SERVER), takes=takes)

    assert [seconds for _, seconds in wire.asked] == [4.0, left]


def test_a_server_without_a_leader_is_not_asked_what_it_would_hold() -> None:
    outcome, paths = asked_health(stale=NO_LEADER, plain=WELL_SERVER)

    red = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="no leader")})
    assert outcome == Health(plain=red, stale=red, leader_reachable=False)
    assert paths == [STALE_HEALTH_PATH]


@pytest.mark.parametrize("name", ["2.0.5/healthy/c1-client", "2.0.5/no-servers/c8-client"])
def test_a_client_is_asked_once_and_has_no_leader_to_reach(name: str) -> None:
    reply = recorded(name, STALE_HEALTH_PATH)
    outcome, paths = asked_health(stale=reply, plain=WELL_SERVER)

    assert isinstance(outcome, Health)
    assert outcome.plain == outcome.stale
    assert outcome.leader_reachable is None
    assert paths == [STALE_HEALTH_PATH]


def test_the_leader_of_an_agent_with_both_roles_is_asked_for_too() -> None:
    reply = recorded("2.0.5/single/bacon-mac", HEALTH_PATH)
    outcome, paths = asked_health(stale=reply, plain=reply)

    assert isinstance(outcome, Health)
    assert outcome.roles == {Role.CLIENT, Role.SERVER}
    assert outcome.leader_reachable is True
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


def test_a_server_whose_client_alone_is_red_is_asked_for_its_leader() -> None:
    stale = Reply(500, b'{"server": {"ok": true}, "client": {"ok": false, "message": "no known servers"}}')
    outcome, paths = asked_health(stale=stale, plain=stale)

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is True
    assert paths == [STALE_HEALTH_PATH, HEALTH_PATH]


def test_a_leader_that_just_died_is_told_by_the_plain_answer() -> None:
    name = "2.0.5/leader-just-died/s3-follower"
    outcome, _ = asked_health(recorded(name, STALE_HEALTH_PATH), recorded(name, HEALTH_PATH))

    assert isinstance(outcome, Health)
    assert (outcome.stale.status, outcome.plain.status) == (200, 500)
    assert "connection refused" in outcome.plain.checks[Role.SERVER].message
    assert outcome.leader_reachable is False


def test_a_leader_that_does_not_answer_in_time_makes_the_server_red() -> None:
    outcome, _ = asked_health(stale=WELL_SERVER, plain=TIMED_OUT)

    silent = Check(ok=False, message="leader did not answer within 4s")
    assert outcome == Health(
        plain=HealthAnswer(500, {Role.SERVER: silent}),
        stale=HealthAnswer(200, {Role.SERVER: WELL}),
        leader_reachable=False,
    )


def test_a_leader_that_does_not_answer_leaves_the_client_beside_as_it_is() -> None:
    outcome, _ = asked_health(stale=recorded("2.0.5/single/bacon-mac", HEALTH_PATH), plain=TIMED_OUT)

    assert isinstance(outcome, Health)
    assert {role: check.ok for role, check in outcome.plain.checks.items()} == {Role.CLIENT: True, Role.SERVER: False}


def test_where_the_agent_left_no_time_for_the_leader_it_is_not_asked_for_and_the_attempt_has_failed() -> None:
    reading, wire = asked(Source.HEALTH, (STALE_HEALTH_PATH, WELL_SERVER), (HEALTH_PATH, WELL_SERVER), takes=4.0)

    assert reading.outcome == Failure(
        FailureReason.TIMEOUT, "no time was left for the leader", has_partial_response=True
    )
    assert wire.paths == [STALE_HEALTH_PATH]


def test_a_leader_who_had_less_than_half_of_the_time_is_not_blamed() -> None:
    silent = Failure(FailureReason.TIMEOUT, "no whole answer within 1.9s")
    reading, _ = asked(Source.HEALTH, (STALE_HEALTH_PATH, WELL_SERVER), (HEALTH_PATH, silent), takes=2.1)

    assert reading.outcome == replace(silent, has_partial_response=True)


@pytest.mark.parametrize(
    ("plain", "failure"),
    [
        pytest.param(REFUSED, REFUSED, id="the agent died in between"),
        pytest.param(Reply(429, b""), Failure(FailureReason.STATUS, "HTTP 429", status=429), id="too many connections"),
        pytest.param(
            Reply(200, b"{}"),
            Failure(FailureReason.DECODE, "it judges neither a server nor a client"),
            id="no health",
        ),
    ],
)
def test_a_plain_question_that_fails_otherwise_fails_the_attempt(plain: Reply | Failure, failure: Failure) -> None:
    outcome, _ = asked_health(stale=WELL_SERVER, plain=plain)

    assert outcome == replace(failure, has_partial_response=True)


def test_an_agent_that_ceased_to_be_a_server_in_between_has_no_leader_to_reach() -> None:
    outcome, _ = asked_health(stale=WELL_SERVER, plain=recorded("2.0.5/healthy/c1-client", HEALTH_PATH))

    assert isinstance(outcome, Health)
    assert outcome.leader_reachable is None
    assert outcome.roles == {Role.CLIENT}
