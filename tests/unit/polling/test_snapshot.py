"""Snapshots: each reading leads to the next snapshot, and a failure discards nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import RESPONSIVE, UNRESPONSIVE, Failure, FailureReason
from nomad_exporter.nomad.models import Autopilot, Health, Members, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Source
from nomad_exporter.nomad.stats import Kind
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.snapshot import REGIONS_PER_HOUR, Reading, Snapshot
from tests.support.answers import AGENT, HEALTHY, REFUSED, START, health, self_answer

LEADER = {"nomad.leader": 1}

ANSWERS: dict[Source[Any], Any] = {
    HEALTH: health({Role.SERVER: HEALTHY}),
    SELF: self_answer(Role.SERVER, version="2.0.5", numbers=LEADER),
    MEMBERS: Members(()),
    AUTOPILOT: Autopilot(healthy=True),
}


def reading(source: Source[Any], outcome: Any = None, at: float = 0.0, seconds: float = 0.0) -> Reading[Any]:
    """Return a reading that began ``at`` seconds after ``START``; with an answer unless another outcome is named."""
    return Reading(source, ANSWERS[source] if outcome is None else outcome, START + at, seconds)


def after(*readings: Reading[Any]) -> Snapshot:
    snapshot = Snapshot(AGENT)
    for reading in readings:
        snapshot = snapshot.after(reading)
    return snapshot


all_sources = pytest.mark.parametrize("source", ANSWERS, ids=str)


@all_sources
def test_first_snapshot_is_empty(source: Source[Any]) -> None:
    state = Snapshot(AGENT)[source]

    assert (state.last, state.answer, state.failure, state.polls, state.failures) == (None, None, None, 0, 0)
    assert state.age(START) == float("inf")


@all_sources
def test_age_starts_when_the_answer_arrives(source: Source[Any]) -> None:
    state = after(reading(source, at=10, seconds=0.5))[source]

    assert state.answer == ANSWERS[source]
    assert state.answered == START + 10.5
    assert state.age(START + 12) == 1.5


@all_sources
def test_failure_discards_nothing(source: Source[Any]) -> None:
    state = after(reading(source), reading(source, REFUSED, at=5))[source]

    assert state.answer == ANSWERS[source]
    assert state.answered == START
    assert state.failure == REFUSED


@all_sources
def test_answer_ends_failure(source: Source[Any]) -> None:
    state = after(reading(source, REFUSED), reading(source, at=5))[source]

    assert state.failure is None
    assert (state.polls, state.failures) == (2, 1)


@all_sources
def test_reading_changes_only_its_source(source: Source[Any]) -> None:
    before = after(*map(reading, ANSWERS))
    changed = before.after(reading(source, REFUSED))

    assert [state.source for state in before.source_states if state not in changed.source_states] == [source]


def test_snapshot_is_immutable() -> None:
    snapshot = after(*map(reading, ANSWERS))

    with pytest.raises(FrozenInstanceError):
        snapshot.states = {}  # type: ignore[misc]  # the assignment must fail


def test_states_are_in_the_order_of_sources() -> None:
    assert [state.source for state in after(*map(reading, ANSWERS)).source_states] == [*SOURCES]


def test_autopilot_is_left_out_if_never_polled() -> None:
    assert {HEALTH, SELF, MEMBERS, AUTOPILOT} - {state.source for state in Snapshot(AGENT).source_states} == {AUTOPILOT}


def test_cleared_source_keeps_only_the_numbers_of_polls() -> None:
    state = after(reading(AUTOPILOT), reading(AUTOPILOT, REFUSED)).cleared(AUTOPILOT)[AUTOPILOT]

    assert (state.last, state.answer, state.answered, state.failure) == (None, None, None, None)
    assert (state.polls, state.failures) == (2, 1)


def test_members_and_autopilot_are_cleared_of_a_client() -> None:
    before = after(reading(SELF), reading(MEMBERS), reading(AUTOPILOT))
    snapshot = before.after(reading(SELF, self_answer(Role.CLIENT), at=5))

    assert (snapshot[MEMBERS].answer, snapshot[AUTOPILOT].answer) == (None, None)


def test_age_ignores_step_of_wall_clock() -> None:
    state = after(reading(SELF))[SELF]

    assert state.age(Instant(wall=START.wall - 3600, monotonic=START.monotonic + 2)) == 2


def test_reading_ends_after_its_duration() -> None:
    assert reading(SELF, at=1, seconds=0.25).ended == START + 1.25


# Roles.


def test_roles_are_unknown_without_an_answer() -> None:
    assert after(reading(SELF, REFUSED), reading(HEALTH, REFUSED)).roles == frozenset()


@pytest.mark.parametrize(
    ("readings", "roles"),
    [
        pytest.param([reading(HEALTH)], {Role.SERVER}, id="health alone"),
        pytest.param([reading(SELF)], {Role.SERVER}, id="self alone"),
        pytest.param(
            [reading(HEALTH), reading(SELF, self_answer(Role.CLIENT), at=1)],
            {Role.CLIENT},
            id="self is newer",
        ),
        pytest.param(
            [reading(SELF, self_answer(Role.CLIENT)), reading(HEALTH, at=1)],
            {Role.SERVER},
            id="health is newer",
        ),
        pytest.param(
            [reading(SELF, self_answer(Role.CLIENT), at=1), reading(HEALTH, at=0, seconds=3)],
            {Role.SERVER},
            id="health began first and ended last",
        ),
        pytest.param(
            [reading(SELF, self_answer(Role.CLIENT)), reading(HEALTH)],
            {Role.SERVER},
            id="same time, health",
        ),
        pytest.param(
            [reading(SELF, self_answer(Role.CLIENT)), reading(HEALTH, REFUSED, at=1)],
            {Role.CLIENT},
            id="failure of health",
        ),
        pytest.param(
            [reading(HEALTH, health({Role.CLIENT: HEALTHY, Role.SERVER: HEALTHY}))],
            {Role.CLIENT, Role.SERVER},
            id="both roles",
        ),
    ],
)
def test_roles_come_from_the_newest_answer(readings: list[Reading[Any]], roles: set[Role]) -> None:
    assert after(*readings).roles == roles


@pytest.mark.parametrize(
    ("readings", "is_polled"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([reading(HEALTH)], False, id="health only"),
        pytest.param([reading(SELF), reading(MEMBERS)], False, id="all but health"),
        pytest.param([reading(HEALTH), reading(SELF)], True, id="both"),
        pytest.param([reading(HEALTH, REFUSED), reading(SELF, REFUSED)], True, id="both failed"),
    ],
)
def test_agent_is_polled_after_health_and_self(readings: list[Reading[Any]], is_polled: bool) -> None:
    assert after(*readings).is_polled is is_polled


def test_members_of_a_client_keep_only_the_numbers_of_polls() -> None:
    members = after(reading(SELF), reading(MEMBERS), reading(SELF, self_answer(Role.CLIENT), at=1))[MEMBERS]

    assert (members.last, members.answer, members.answered) == (None, None, None)
    assert (members.polls, members.failures) == (1, 0)


CONFIGURED = replace(AGENT, roles=frozenset({Role.SERVER}), region="europe")


def test_configured_role_and_region_are_known_before_any_answer() -> None:
    snapshot = Snapshot(CONFIGURED).after(reading(SELF, REFUSED)).after(reading(HEALTH, REFUSED))

    assert (snapshot.known_roles, snapshot.known_region) == (CONFIGURED.roles, "europe")


def test_configured_role_is_no_answer() -> None:
    assert Snapshot(CONFIGURED).roles == frozenset()


def test_answered_role_and_region_replace_those_configured() -> None:
    snapshot = Snapshot(CONFIGURED).after(reading(SELF, self_answer(Role.CLIENT, region="asia")))

    assert (snapshot.known_roles, snapshot.known_region) == (frozenset({Role.CLIENT}), "asia")


def test_answered_region_outlives_failures() -> None:
    snapshot = Snapshot(CONFIGURED).after(reading(SELF, self_answer(region="asia"))).after(reading(SELF, REFUSED, 9e6))

    assert snapshot.known_region == "asia"


def test_configured_region_replaces_a_missing_one() -> None:
    assert Snapshot(CONFIGURED).after(reading(SELF, self_answer())).known_region == "europe"


def test_regions_of_an_hour_are_limited() -> None:
    snapshot = Snapshot(AGENT)
    for number in range(REGIONS_PER_HOUR + 5):
        snapshot = snapshot.after(reading(SELF, self_answer(region=f"r{number}"), number))
    next_hour = snapshot.after(reading(SELF, self_answer(region="later"), 3600))

    assert snapshot.known_region == f"r{REGIONS_PER_HOUR - 1}"
    assert next_hour.known_region == "later"


def test_role_and_region_are_unknown_if_never_answered_nor_configured() -> None:
    assert (Snapshot(AGENT).known_roles, Snapshot(AGENT).known_region) == (frozenset(), "")


def test_members_are_kept_while_roles_are_unknown() -> None:
    members = after(reading(MEMBERS, REFUSED), reading(HEALTH, REFUSED))[MEMBERS]

    assert members.failure == REFUSED


# Certificates.


@pytest.mark.parametrize("outcome", [None, REFUSED], ids=["answer", "failure"])
def test_certificates_come_from_the_newest_reading(outcome: object) -> None:
    newest = Certificates(peer=2.0, own=3.0)
    snapshot = after(
        replace(reading(SELF), certificates=Certificates(peer=1.0)),
        replace(reading(HEALTH, outcome), certificates=newest),
    )

    assert snapshot.certificates == newest


# Kinds of unknown stats.


def test_first_unambiguous_value_fixes_the_kind() -> None:
    values = ("0", "12ms", "7")
    snapshot = after(*(reading(SELF, self_answer(unknown={"raft.waits": text})) for text in values))

    assert snapshot.kinds == {"raft.waits": Kind.DURATION}


def test_failure_keeps_kinds() -> None:
    snapshot = after(reading(SELF, self_answer(unknown={"raft.waits": "12ms"})), reading(SELF, REFUSED))

    assert snapshot.kinds == {"raft.waits": Kind.DURATION}


# Consecutive failures.

TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")


def consecutive_failures(*outcomes: Any) -> int:
    return after(*(reading(HEALTH, outcome, at) for at, outcome in enumerate(outcomes))).consecutive_failures


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], 0, id="no poll"),
        pytest.param([None], 0, id="an answer"),
        pytest.param([REFUSED], 1, id="refused"),
        pytest.param([REFUSED, TIMED_OUT, Failure(FailureReason.RESET, "reset")], 3, id="three reasons"),
        pytest.param([REFUSED, REFUSED, None], 0, id="answer ends the row"),
        pytest.param([REFUSED, None, REFUSED], 1, id="new row after an answer"),
        pytest.param([REFUSED, Failure(FailureReason.TLS, "certificate expired")], 0, id="TLS error ends the row"),
        pytest.param(
            [REFUSED, Failure(FailureReason.STATUS, "HTTP 429", status=429)], 0, id="HTTP status ends the row"
        ),
        pytest.param([REFUSED, replace(TIMED_OUT, has_partial_response=True)], 0, id="partial response ends the row"),
        *(
            pytest.param([REFUSED, Failure(reason, "own fault"), REFUSED], 2, id=f"{reason} changes nothing")
            for reason in sorted(set(FailureReason) - UNRESPONSIVE - RESPONSIVE)
        ),
    ],
)
def test_failed_health_polls_in_a_row_are_counted(outcomes: list[Any], expected: int) -> None:
    assert consecutive_failures(*outcomes) == expected


@pytest.mark.parametrize("source", [SELF, MEMBERS, AUTOPILOT])
@pytest.mark.parametrize("failure", [REFUSED, TIMED_OUT, Failure(FailureReason.DNS, "no such host")], ids=str)
def test_failure_of_other_source_neither_counts_nor_ends_row(source: Source[Any], failure: Failure) -> None:
    assert after(reading(HEALTH, REFUSED), reading(source, failure, at=1)).consecutive_failures == 1


@pytest.mark.parametrize("source", [SELF, MEMBERS, AUTOPILOT])
@pytest.mark.parametrize(
    "outcome",
    [None, Failure(FailureReason.UNAUTHORIZED, "HTTP 403"), replace(TIMED_OUT, has_partial_response=True)],
    ids=["answer", "HTTP 403", "partial response"],
)
def test_response_to_any_source_ends_the_row(source: Source[Any], outcome: Any) -> None:
    assert after(reading(HEALTH, REFUSED), reading(source, outcome, at=1)).consecutive_failures == 0


# Stable answers.

ONE_LEADER = self_answer(texts={"nomad.leader_addr": "10.0.0.1:4647"})
OTHER_LEADER = self_answer(texts={"nomad.leader_addr": "10.0.0.2:4647"})
OTHER_CONFIGURATION = replace(ONE_LEADER, configuration=())


@pytest.mark.parametrize(
    ("outcomes", "since"),
    [
        pytest.param([], None, id="no answer"),
        pytest.param([ONE_LEADER], None, id="once"),
        pytest.param([ONE_LEADER, ONE_LEADER, replace(ONE_LEADER, version="2.0.6")], 1, id="the same leader"),
        pytest.param([ONE_LEADER, ONE_LEADER, OTHER_LEADER], None, id="other leader"),
        pytest.param([ONE_LEADER, OTHER_CONFIGURATION], None, id="other configuration"),
        pytest.param([ONE_LEADER, REFUSED, ONE_LEADER], 2, id="failure between"),
    ],
)
def test_answer_is_stable_since_its_first_repetition(outcomes: list[Any], since: int | None) -> None:
    readings = [reading(SELF, outcome, at) for at, outcome in enumerate(outcomes)]

    assert after(*readings).stable_since == (None if since is None else readings[since].ended)


# The last poll.


@pytest.mark.parametrize(
    ("readings", "ended"),
    [
        pytest.param([], None, id="none"),
        pytest.param([reading(HEALTH, REFUSED, at=2, seconds=0.5)], 2.5, id="failure"),
        pytest.param([reading(SELF, at=2), reading(HEALTH, at=1)], 2, id="latest began last"),
        pytest.param([reading(SELF, at=2), reading(HEALTH, at=1, seconds=4)], 5, id="latest began first"),
        pytest.param([reading(SELF), reading(AUTOPILOT, REFUSED, at=3)], 3, id="any source"),
    ],
)
def test_last_poll_is_the_one_that_ended_last(readings: list[Reading[Any]], ended: float | None) -> None:
    assert after(*readings).last_poll_ended == (None if ended is None else START + ended)


# Any sequence of readings.

OUTCOMES = st.one_of(
    st.builds(lambda reason, text: Failure(reason, text), st.sampled_from(FailureReason), st.text(max_size=5)),
    st.integers(min_value=0, max_value=9).map(str),
)
EVENTS = st.lists(st.tuples(st.sampled_from([*ANSWERS]), OUTCOMES), max_size=30)


def numbered(source: Source[Any], number: str) -> object:
    """Return an answer to ``source`` that is identified by a number."""
    if source is SELF:
        return self_answer(version=number, numbers=LEADER)
    if source is MEMBERS:
        return Members((), invalid_fields=(number,))
    if source is AUTOPILOT:
        return Autopilot(healthy=True, invalid_fields=(number,))
    return Health(ANSWERS[HEALTH].plain, ANSWERS[HEALTH].stale, invalid_fields=(number,))


@given(events=EVENTS)
@settings(deadline=None)
def test_newest_answer_is_kept_and_every_poll_is_counted(
    events: list[tuple[Source[Any], Failure | str]],
) -> None:
    outcomes = [(source, o if isinstance(o, Failure) else numbered(source, o)) for source, o in events]
    snapshot = after(*(reading(source, outcome, at=at) for at, (source, outcome) in enumerate(outcomes)))

    for state in snapshot.source_states:
        expected = [outcome for source, outcome in outcomes if source is state.source]
        answers = [outcome for outcome in expected if not isinstance(outcome, Failure)]
        assert state.answer == (answers[-1] if answers else None)
        assert (state.polls, state.failures) == (len(expected), len(expected) - len(answers))


@all_sources
def test_reading_that_began_earlier_is_only_counted(source: Source[Any]) -> None:
    newest = after(reading(source, at=10))
    late = newest.after(reading(source, REFUSED, at=5, seconds=20))[source]

    assert (late.failure, late.answered, late.polls, late.failures) == (None, START + 10, 2, 1)
