"""Snapshots: each reading gives the next, and a failure erases nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.answers import Health, Members, Role
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.nomad.stats import Kind
from nomad_exporter.watch.snapshot import AnyReading, Reading, Snapshot
from tests.support.answers import AGENT, REFUSED, START, WELL, health, own

ANSWERS: dict[Source, Any] = {
    Source.HEALTH: health({Role.SERVER: WELL}),
    Source.SELF: own(Role.SERVER, version="2.0.5"),
    Source.MEMBERS: Members(()),
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

    assert [seen.source for seen in before.seen if seen not in changed.seen] == [source]


def test_a_snapshot_that_somebody_holds_never_changes() -> None:
    held = after(*map(reading, Source))

    with pytest.raises(FrozenInstanceError):
        held.own = held.own.forgotten()  # type: ignore[misc]  # This is what must not work.


def test_what_was_seen_stands_in_the_order_of_the_sources() -> None:
    assert [seen.source for seen in Snapshot(AGENT).seen] == list(Source)


def test_the_age_of_an_answer_does_not_mind_a_step_of_the_wall_clock() -> None:
    seen = after(reading(Source.SELF)).own

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
    assert after(*readings).attempted is attempted


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


# Whatever comes.

OUTCOMES = st.one_of(
    st.builds(lambda reason, text: Failure(reason, text), st.sampled_from(Reason), st.text(max_size=5)),
    st.integers(min_value=0, max_value=9).map(str),
)
EVENTS = st.lists(st.tuples(st.sampled_from(Source), OUTCOMES), max_size=30)


def numbered(source: Source, number: str) -> object:
    """An answer to ``source`` that is told from the others by a number."""
    if source is Source.SELF:
        return own(version=number)
    if source is Source.MEMBERS:
        return Members((), flaws=(number,))
    return Health(ANSWERS[Source.HEALTH].plain, ANSWERS[Source.HEALTH].stale, flaws=(number,))


@given(events=EVENTS)
@settings(deadline=None)
def test_the_newest_good_answer_is_never_lost_and_every_attempt_is_counted(
    events: list[tuple[Source, Failure | str]],
) -> None:
    outcomes = [(source, o if isinstance(o, Failure) else numbered(source, o)) for source, o in events]
    snapshot = after(*(reading(source, outcome, at=at) for at, (source, outcome) in enumerate(outcomes)))

    for seen in snapshot.seen:
        mine = [outcome for source, outcome in outcomes if source is seen.source]
        good = [outcome for outcome in mine if not isinstance(outcome, Failure)]
        assert seen.answer == (good[-1] if good else None)
        assert (seen.polls, seen.failures) == (len(mine), len(mine) - len(good))


@every_source
def test_a_reading_that_began_before_the_newest_is_counted_and_changes_nothing_else(source: Source) -> None:
    newest = after(reading(source, at=10))
    late = newest.after(reading(source, REFUSED, at=5, seconds=20)).of(source)

    assert (late.failure, late.answered, late.polls, late.failures) == (None, START + 10, 2, 1)
