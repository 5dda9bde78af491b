"""Snapshots: each reading gives the next, and a failure erases nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Autopilot, Health, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.nomad.stats import Kind
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from tests.support.answers import AGENT, REFUSED, START, WELL, health, own

LEADS = {"nomad.leader": 1}

ANSWERS: dict[Source, Any] = {
    Source.HEALTH: health({Role.SERVER: WELL}),
    Source.SELF: own(Role.SERVER, version="2.0.5", numbers=LEADS),
    Source.MEMBERS: Members(()),
    Source.AUTOPILOT: Autopilot(healthy=True),
}


def reading(source: Source, outcome: Any = None, at: float = 0.0, seconds: float = 0.0) -> AnyReading:
    """A reading that began ``at`` seconds after the start; a good one, where no outcome is given."""
    return Reading(source, ANSWERS[source] if outcome is None else outcome, START + at, seconds)


def after(*readings: AnyReading) -> Snapshot:
    snapshot = Snapshot(AGENT)
    for one in readings:
        snapshot = snapshot.after(one)
    return snapshot


every_source = pytest.mark.parametrize("source", Source)


@every_source
def test_at_first_nothing_is_known(source: Source) -> None:
    seen = Snapshot(AGENT).of(source)

    assert (seen.last, seen.answer, seen.failure, seen.polls, seen.failures) == (None, None, None, 0, 0)
    assert seen.age(START) == float("inf")


@every_source
def test_an_answer_is_known_from_the_moment_it_came(source: Source) -> None:
    seen = after(reading(source, at=10, seconds=0.5)).of(source)

    assert seen.answer == ANSWERS[source]
    assert seen.answered == START + 10.5
    assert seen.age(START + 12) == 1.5


@every_source
def test_a_failure_erases_nothing(source: Source) -> None:
    seen = after(reading(source), reading(source, REFUSED, at=5)).of(source)

    assert seen.answer == ANSWERS[source]
    assert seen.answered == START
    assert seen.failure == REFUSED


@every_source
def test_an_answer_ends_a_failure(source: Source) -> None:
    seen = after(reading(source, REFUSED), reading(source, at=5)).of(source)

    assert seen.failure is None
    assert (seen.polls, seen.failures) == (2, 1)


@every_source
def test_a_reading_changes_its_own_source_only(source: Source) -> None:
    before = after(*map(reading, Source))
    changed = before.after(reading(source, REFUSED))

    assert [seen.source for seen in before.source_states if seen not in changed.source_states] == [source]


def test_a_snapshot_that_somebody_holds_never_changes() -> None:
    held = after(*map(reading, Source))

    with pytest.raises(FrozenInstanceError):
        held.agent_self = held.agent_self.cleared()  # type: ignore[misc]  # This is what must not work.


def test_what_was_seen_stands_in_the_order_of_the_sources() -> None:
    assert [seen.source for seen in after(*map(reading, Source)).source_states] == list(Source)


def test_of_an_agent_that_was_never_asked_for_autopilot_nothing_is_said_of_it() -> None:
    assert [seen.source for seen in Snapshot(AGENT).source_states] == [Source.HEALTH, Source.SELF, Source.MEMBERS]


def test_of_a_source_that_is_not_asked_for_any_more_only_the_counts_are_kept() -> None:
    seen = after(reading(Source.AUTOPILOT), reading(Source.AUTOPILOT, REFUSED)).cleared(Source.AUTOPILOT).autopilot

    assert (seen.last, seen.answer, seen.answered, seen.failure) == (None, None, None, None)
    assert (seen.polls, seen.failures) == (2, 1)


def test_of_an_agent_that_is_no_server_any_more_neither_members_nor_autopilot_are_kept() -> None:
    was = after(reading(Source.SELF), reading(Source.MEMBERS), reading(Source.AUTOPILOT))
    now = was.after(reading(Source.SELF, own(Role.CLIENT), at=5))

    assert (now.members.answer, now.autopilot.answer) == (None, None)


def test_the_age_of_an_answer_does_not_mind_a_step_of_the_wall_clock() -> None:
    seen = after(reading(Source.SELF)).agent_self

    assert seen.age(Instant(wall=START.wall - 3600, monotonic=START.monotonic + 2)) == 2


def test_a_reading_ends_when_its_seconds_are_over() -> None:
    assert reading(Source.SELF, at=1, seconds=0.25).ended == START + 1.25


# Roles.


def test_the_roles_of_an_agent_that_never_answered_are_not_known() -> None:
    assert after(reading(Source.SELF, REFUSED), reading(Source.HEALTH, REFUSED)).roles == frozenset()


@pytest.mark.parametrize(
    ("readings", "roles"),
    [
        pytest.param([reading(Source.HEALTH)], {Role.SERVER}, id="by health alone"),
        pytest.param([reading(Source.SELF)], {Role.SERVER}, id="by self alone"),
        pytest.param(
            [reading(Source.HEALTH), reading(Source.SELF, own(Role.CLIENT), at=1)], {Role.CLIENT}, id="self is newer"
        ),
        pytest.param(
            [reading(Source.SELF, own(Role.CLIENT)), reading(Source.HEALTH, at=1)], {Role.SERVER}, id="health is newer"
        ),
        pytest.param(
            [reading(Source.SELF, own(Role.CLIENT), at=1), reading(Source.HEALTH, at=0, seconds=3)],
            {Role.SERVER},
            id="health began first and came last",
        ),
        pytest.param(
            [reading(Source.SELF, own(Role.CLIENT)), reading(Source.HEALTH)], {Role.SERVER}, id="at once, by health"
        ),
        pytest.param(
            [reading(Source.SELF, own(Role.CLIENT)), reading(Source.HEALTH, REFUSED, at=1)],
            {Role.CLIENT},
            id="a failure says nothing of roles",
        ),
        pytest.param(
            [reading(Source.HEALTH, health({Role.CLIENT: WELL, Role.SERVER: WELL}))],
            {Role.CLIENT, Role.SERVER},
            id="both",
        ),
    ],
)
def test_the_roles_are_those_of_the_newest_answer(readings: list[AnyReading], roles: set[Role]) -> None:
    assert after(*readings).roles == roles


@pytest.mark.parametrize(
    ("readings", "attempted"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([reading(Source.HEALTH)], False, id="health only"),
        pytest.param([reading(Source.SELF), reading(Source.MEMBERS)], False, id="all but health"),
        pytest.param([reading(Source.HEALTH), reading(Source.SELF)], True, id="both"),
        pytest.param([reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED)], True, id="both in vain"),
    ],
)
def test_an_agent_was_attempted_once_health_and_self_were(readings: list[AnyReading], attempted: bool) -> None:
    assert after(*readings).is_polled is attempted


def test_of_an_agent_that_is_no_server_any_more_the_members_are_forgotten_but_not_how_often_it_was_asked() -> None:
    members = after(reading(Source.SELF), reading(Source.MEMBERS), reading(Source.SELF, own(Role.CLIENT), at=1)).members

    assert (members.last, members.answer, members.answered) == (None, None, None)
    assert (members.polls, members.failures) == (1, 0)


def test_of_an_agent_whose_roles_are_not_known_nothing_is_forgotten() -> None:
    members = after(reading(Source.MEMBERS, REFUSED), reading(Source.HEALTH, REFUSED)).members

    assert members.failure == REFUSED


# Certificates.


@pytest.mark.parametrize("outcome", [None, REFUSED], ids=["an answer", "a failure"])
def test_the_certificates_are_those_of_the_newest_reading(outcome: object) -> None:
    newest = Certificates(peer=2.0, own=3.0)
    snapshot = after(
        replace(reading(Source.SELF), certificates=Certificates(peer=1.0)),
        replace(reading(Source.HEALTH, outcome), certificates=newest),
    )

    assert snapshot.certificates == newest


# Kinds of unknown stats.


def test_the_kind_of_an_unknown_stat_is_fixed_by_its_first_telling_value() -> None:
    told = ("0", "12ms", "7")
    snapshot = after(*(reading(Source.SELF, own(unknown={"raft.waits": text})) for text in told))

    assert snapshot.kinds == {"raft.waits": Kind.DURATION}


def test_a_failure_forgets_no_kind() -> None:
    snapshot = after(reading(Source.SELF, own(unknown={"raft.waits": "12ms"})), reading(Source.SELF, REFUSED))

    assert snapshot.kinds == {"raft.waits": Kind.DURATION}


# Signs of life.

TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")


def silences(*outcomes: Any, source: Source = Source.HEALTH) -> int:
    return after(*(reading(source, outcome, at) for at, outcome in enumerate(outcomes))).consecutive_failures


@pytest.mark.parametrize(
    ("outcomes", "counted"),
    [
        pytest.param([], 0, id="nothing asked"),
        pytest.param([None], 0, id="an answer"),
        pytest.param([REFUSED], 1, id="refused"),
        pytest.param([REFUSED, TIMED_OUT, Failure(FailureReason.RESET, "reset")], 3, id="three kinds of silence"),
        pytest.param([REFUSED, REFUSED, None], 0, id="until it answers"),
        pytest.param([REFUSED, None, REFUSED], 1, id="and then anew"),
        pytest.param(
            [REFUSED, Failure(FailureReason.TLS, "certificate expired")], 0, id="until it refuses our certificate"
        ),
        pytest.param(
            [REFUSED, Failure(FailureReason.STATUS, "HTTP 429", status=429)], 0, id="until it answers anything"
        ),
        pytest.param([REFUSED, replace(TIMED_OUT, has_partial_response=True)], 0, id="until it answers a part"),
        pytest.param([REFUSED, Failure(FailureReason.DNS, "no such host")], 0, id="until it could not be asked"),
    ],
)
def test_silent_attempts_at_health_are_counted_in_a_row(outcomes: list[Any], counted: int) -> None:
    assert silences(*outcomes) == counted


@pytest.mark.parametrize("source", [Source.SELF, Source.MEMBERS, Source.AUTOPILOT])
@pytest.mark.parametrize("failure", [REFUSED, TIMED_OUT, Failure(FailureReason.DNS, "no such host")], ids=str)
def test_silence_to_another_question_is_not_counted_and_ends_no_row(source: Source, failure: Failure) -> None:
    assert after(reading(Source.HEALTH, REFUSED), reading(source, failure, at=1)).consecutive_failures == 1


@pytest.mark.parametrize("source", [Source.SELF, Source.MEMBERS, Source.AUTOPILOT])
@pytest.mark.parametrize(
    "outcome",
    [None, Failure(FailureReason.UNAUTHORIZED, "HTTP 403"), replace(TIMED_OUT, has_partial_response=True)],
    ids=["an answer", "a refusal", "a part of an answer"],
)
def test_any_sign_of_life_of_any_source_ends_the_row(source: Source, outcome: Any) -> None:
    assert after(reading(Source.HEALTH, REFUSED), reading(source, outcome, at=1)).consecutive_failures == 0


ONE_LEADER = own(texts={"nomad.leader_addr": "10.0.0.1:4647"})
ANOTHER = own(texts={"nomad.leader_addr": "10.0.0.2:4647"})
OTHER_SERVERS = replace(ONE_LEADER, configuration=())


@pytest.mark.parametrize(
    ("outcomes", "steady"),
    [
        pytest.param([], 0, id="nothing told"),
        pytest.param([ONE_LEADER], 1, id="once"),
        pytest.param([ONE_LEADER, ONE_LEADER, replace(ONE_LEADER, version="2.0.6")], 3, id="the same leader"),
        pytest.param([ONE_LEADER, ONE_LEADER, ANOTHER], 1, id="another leader"),
        pytest.param([ONE_LEADER, OTHER_SERVERS], 1, id="another configuration"),
        pytest.param([ONE_LEADER, REFUSED, ONE_LEADER], 2, id="a failure tells nothing"),
    ],
)
def test_answers_in_a_row_that_told_the_same_leader_and_configuration_are_counted(
    outcomes: list[Any], steady: int
) -> None:
    assert (
        after(*(reading(Source.SELF, outcome, at) for at, outcome in enumerate(outcomes))).unchanged_answers == steady
    )


@pytest.mark.parametrize(
    ("readings", "ended"),
    [
        pytest.param([], None, id="none"),
        pytest.param([reading(Source.HEALTH, REFUSED, at=2, seconds=0.5)], 2.5, id="one in vain"),
        pytest.param([reading(Source.SELF, at=2), reading(Source.HEALTH, at=1)], 2, id="the newest"),
        pytest.param(
            [reading(Source.SELF, at=2), reading(Source.HEALTH, at=1, seconds=4)], 5, id="the newest is what ended last"
        ),
        pytest.param([reading(Source.SELF), reading(Source.AUTOPILOT, REFUSED, at=3)], 3, id="at any source"),
    ],
)
def test_the_last_attempt_is_the_one_that_ended_last(readings: list[AnyReading], ended: float | None) -> None:
    assert after(*readings).last_poll_ended == (None if ended is None else START + ended)


# Whatever comes.

OUTCOMES = st.one_of(
    st.builds(lambda reason, text: Failure(reason, text), st.sampled_from(FailureReason), st.text(max_size=5)),
    st.integers(min_value=0, max_value=9).map(str),
)
EVENTS = st.lists(st.tuples(st.sampled_from(Source), OUTCOMES), max_size=30)


def numbered(source: Source, number: str) -> object:
    """An answer to ``source`` that is told from the others by a number."""
    if source is Source.SELF:
        return own(version=number, numbers=LEADS)
    if source is Source.MEMBERS:
        return Members((), invalid_fields=(number,))
    if source is Source.AUTOPILOT:
        return Autopilot(healthy=True, invalid_fields=(number,))
    return Health(ANSWERS[Source.HEALTH].plain, ANSWERS[Source.HEALTH].stale, invalid_fields=(number,))


@given(events=EVENTS)
@settings(deadline=None)
def test_the_newest_good_answer_is_never_lost_and_every_attempt_is_counted(
    events: list[tuple[Source, Failure | str]],
) -> None:
    outcomes = [(source, o if isinstance(o, Failure) else numbered(source, o)) for source, o in events]
    snapshot = after(*(reading(source, outcome, at=at) for at, (source, outcome) in enumerate(outcomes)))

    for seen in snapshot.source_states:
        mine = [outcome for source, outcome in outcomes if source is seen.source]
        good = [outcome for outcome in mine if not isinstance(outcome, Failure)]
        assert seen.answer == (good[-1] if good else None)
        assert (seen.polls, seen.failures) == (len(mine), len(mine) - len(good))


@every_source
def test_a_reading_that_began_before_the_newest_is_counted_and_changes_nothing_else(source: Source) -> None:
    newest = after(reading(source, at=10))
    late = newest.after(reading(source, REFUSED, at=5, seconds=20)).of(source)

    assert (late.failure, late.answered, late.polls, late.failures) == (None, START + 10, 2, 1)
