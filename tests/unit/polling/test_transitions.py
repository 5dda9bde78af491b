"""Changes: the few lines that a person wants in a log, none where nothing changed, and what of them is counted."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad import decode_members
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import MEMBER_STATUSES, RAFT_STATES, AgentSelf, Check, Member, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.history import Transition, TransitionKey
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from nomad_exporter.polling.transitions import MAX_LOG_LINES, Change, apply, truncate
from tests.support.answers import AGENT, REFUSED, START, WELL, health, own

TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")
REJECTED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
RED = Check(ok=False, message="no leader")


def reading(source: Source, outcome: Any) -> AnyReading:
    return Reading(source, outcome, START, 0.1)


def told(*readings: AnyReading) -> list[Change]:
    """The changes that the last of these readings brings."""
    return follow_all(*readings)[-1]


def follow_all(*readings: AnyReading) -> list[list[Change]]:
    """The changes that each reading brings."""
    snapshot, found = Snapshot(AGENT), []
    for one in readings:
        snapshot, changes = apply(snapshot, one)
        found.append([*changes])
    return found


def failed(source: Source, failure: Failure) -> Change:
    fields = {"event": "poll_failed", "source": source, "reason": failure.reason, "detail": failure.detail}
    return Change(logging.WARNING, "poll failed", fields)


SELF_WELL = reading(Source.SELF, own(Role.SERVER, version="2.0.5"))
HEALTH_WELL = reading(Source.HEALTH, health({Role.SERVER: WELL}))
HEALTH_RED = reading(Source.HEALTH, health({Role.SERVER: RED}))

ANSWERS_AGAIN = Change(logging.INFO, "agent answers again", {"event": "agent_recovered"})


def test_the_first_answer_tells_what_the_agent_is() -> None:
    told_first = told(reading(Source.SELF, own(Role.SERVER, Role.CLIENT, version="2.0.5")))
    fields = {"event": "agent_up", "roles": "client,server", "version": "2.0.5"}

    assert told_first == [Change(logging.INFO, "agent answers", fields)]


def test_the_first_failure_is_told_with_its_reason() -> None:
    assert told(reading(Source.HEALTH, REFUSED)) == [failed(Source.HEALTH, REFUSED)]


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([SELF_WELL, SELF_WELL], id="self answers again"),
        pytest.param([HEALTH_WELL, HEALTH_WELL], id="health stays well"),
        pytest.param([HEALTH_WELL], id="health is well from the first"),
        pytest.param([HEALTH_RED, HEALTH_RED], id="health stays red"),
        pytest.param([reading(Source.SELF, REFUSED), reading(Source.SELF, REFUSED)], id="it fails as before"),
        pytest.param(
            [reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED)], id="another source fails for one reason"
        ),
        pytest.param(
            [reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED), HEALTH_WELL],
            id="one of two that fail for one reason answers",
        ),
    ],
)
def test_where_nothing_changed_nothing_is_told(readings: list[AnyReading]) -> None:
    assert told(*readings) == []


def test_an_agent_that_dies_is_one_line() -> None:
    polls = [HEALTH_WELL, SELF_WELL, reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED)]
    lines = [line for number in range(3, len(polls) + 1) for line in told(*polls[:number])]

    assert lines == [failed(Source.HEALTH, REFUSED)]


def test_a_new_reason_is_told() -> None:
    lines = told(reading(Source.SELF, REFUSED), reading(Source.SELF, TIMED_OUT))

    assert lines == [failed(Source.SELF, TIMED_OUT)]


def test_a_second_reason_beside_the_first_is_told() -> None:
    lines = told(reading(Source.HEALTH, TIMED_OUT), reading(Source.SELF, REJECTED))

    assert lines == [failed(Source.SELF, REJECTED)]


def test_an_agent_that_is_back_is_told() -> None:
    assert told(SELF_WELL, reading(Source.SELF, REFUSED), SELF_WELL) == [ANSWERS_AGAIN]


def test_an_agent_is_back_only_once_nothing_fails_any_more() -> None:
    polls = [SELF_WELL, reading(Source.HEALTH, TIMED_OUT), reading(Source.SELF, REJECTED), SELF_WELL, HEALTH_WELL]

    fields = {"event": "poll_recovered", "source": "self", "reason": "unauthorized"}
    over = Change(logging.INFO, "poll fails no more", fields)
    assert told(*polls[:4]) == [over]
    assert told(*polls) == [ANSWERS_AGAIN]


# Health.


def test_an_agent_that_turns_red_is_told_with_its_message() -> None:
    lines = told(HEALTH_WELL, HEALTH_RED)

    fields = {"event": "unhealthy", "role": "server", "detail": "no leader"}
    count = (Transition.HEALTH_TRANSITIONS, ("server", "unhealthy"))
    assert lines == [Change(logging.WARNING, "agent is unhealthy", fields, count)]


def test_an_agent_that_is_red_from_the_first_is_told_and_not_counted() -> None:
    assert [(line.message, line.count) for line in told(HEALTH_RED)] == [("agent is unhealthy", None)]


def test_an_agent_that_is_well_again_is_told() -> None:
    count = (Transition.HEALTH_TRANSITIONS, ("server", "healthy"))
    fields = {"event": "healthy", "role": "server"}

    assert told(HEALTH_RED, HEALTH_WELL) == [Change(logging.INFO, "agent is healthy again", fields, count)]


def test_of_two_roles_each_has_its_own_line() -> None:
    before = reading(Source.HEALTH, health({Role.CLIENT: RED, Role.SERVER: WELL}))
    after = reading(Source.HEALTH, health({Role.CLIENT: WELL, Role.SERVER: RED}))
    lines = [(line.message, line.fields["role"]) for line in told(before, after)]

    assert lines == [("agent is healthy again", "client"), ("agent is unhealthy", "server")]


def test_a_new_message_of_a_red_role_is_no_change() -> None:
    other = reading(Source.HEALTH, health({Role.SERVER: Check(ok=False, message="No cluster leader")}))

    assert told(HEALTH_RED, other) == []


def test_a_failed_poll_says_nothing_of_health() -> None:
    lines = told(HEALTH_RED, reading(Source.HEALTH, REFUSED))

    assert lines == [failed(Source.HEALTH, REFUSED)]


def test_health_that_was_red_before_a_failure_is_still_remembered() -> None:
    lines = told(HEALTH_RED, reading(Source.HEALTH, REFUSED), HEALTH_WELL)

    assert [line.message for line in lines] == ["agent answers again", "agent is healthy again"]


def test_an_agent_that_never_answered_before_does_not_answer_again() -> None:
    lines = told(reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED), HEALTH_WELL, SELF_WELL)

    assert [line.message for line in lines] == ["agent answers"]


# What an answer to self tells.

NONE = own(null_paths=frozenset({"nomad.leader_addr"}))
UNSAID = own()


def led_by(address: str) -> AgentSelf:
    return own(texts={"nomad.leader_addr": address})


def raft(state: str, term: int | None = None) -> AgentSelf:
    return own(texts={"raft.state": state}, numbers={} if term is None else {"raft.term": term})


A, B, C = led_by("10.0.0.1:4647"), led_by("10.0.0.2:4647"), led_by("10.0.0.3:4647")
FRESH = replace(NONE, numbers={"raft.commit_index": 0})
GROWN, ALONE = (replace(answer, numbers={"raft.commit_index": 90}) for answer in (A, NONE))
CHANGED, BACK, LOST, FOUND = "leader_changed", "leader_back", "leader_lost", "leader_found"


def events(source: Source, *outcomes: Any) -> list[str]:
    """The events that answers of one source tell, but for that the agent answers."""
    found = follow_all(*(reading(source, outcome) for outcome in outcomes))
    return [change.fields["event"] for changes in found[1:] for change in changes]


@pytest.mark.parametrize(
    ("agent_up", "told_events"),
    [
        pytest.param([A, A, A], [], id="the same one"),
        pytest.param([A, B], [CHANGED], id="another one"),
        pytest.param([A, NONE], [LOST], id="none any more"),
        pytest.param([A, NONE, NONE], [LOST], id="none for long"),
        pytest.param([A, NONE, B], [LOST, CHANGED], id="another one after none"),
        pytest.param([A, NONE, NONE, A], [LOST, BACK], id="the same one after none"),
        pytest.param([A, NONE, A, NONE, A], [LOST, BACK, LOST, BACK], id="lost twice"),
        pytest.param([A, B, A], [CHANGED, CHANGED], id="there and back"),
        pytest.param([A, NONE, B, NONE, A], [LOST, CHANGED, LOST, CHANGED], id="there and back with none between"),
        pytest.param([NONE, A], [FOUND], id="the first one"),
        pytest.param([NONE, NONE], [], id="never any"),
        pytest.param([NONE, A, NONE, A], [FOUND, LOST, BACK], id="the first one is lost"),
        pytest.param([A, UNSAID, A], [], id="nothing said"),
        pytest.param([A, UNSAID, B], [CHANGED], id="another one after nothing said"),
        pytest.param([A, NONE, UNSAID, A], [LOST, BACK], id="nothing said after none"),
        pytest.param([UNSAID, A, B], [FOUND, CHANGED], id="nothing said at first"),
        pytest.param([GROWN, FRESH, A], ["restarted"], id="none yet after a restart"),
        pytest.param([GROWN, FRESH, B], ["restarted", CHANGED], id="another one after a restart"),
        pytest.param([GROWN, FRESH, NONE, A], ["restarted", LOST, BACK], id="none for long after a restart"),
        pytest.param([GROWN, ALONE, FRESH, A], [LOST, "restarted", BACK], id="a restart while there is none"),
    ],
)
def test_of_the_leaders_that_a_server_tells_each_change_is_one_line(
    answers: list[AgentSelf], told_events: list[str]
) -> None:
    assert events(Source.SELF, *answers) == told_events


def test_a_change_of_leader_says_from_whom_to_whom_though_there_was_none_between() -> None:
    (line,) = told(*(reading(Source.SELF, answer) for answer in (A, NONE, B)))
    fields = {"event": CHANGED, "from": "10.0.0.1:4647", "to": "10.0.0.2:4647"}

    assert line == Change(logging.INFO, "leader changed", fields, (Transition.LEADER_CHANGES, ()))


def test_a_failed_poll_is_no_change_and_the_next_answer_is_compared_with_the_last_one() -> None:
    lines = told(*(reading(Source.SELF, outcome) for outcome in (A, TIMED_OUT, TIMED_OUT, B)))

    assert [line.fields["event"] for line in lines] == ["agent_recovered", CHANGED]


def test_a_reading_that_comes_after_a_later_one_changes_nothing() -> None:
    late = Reading(Source.SELF, B, START + -1, 5.0)

    assert told(reading(Source.SELF, A), late) == []
    assert told(reading(Source.SELF, A), late, reading(Source.SELF, A)) == []


@pytest.mark.parametrize(
    ("agent_up", "told_events"),
    [
        pytest.param([raft("Follower"), raft("Candidate"), raft("Leader")], ["raft_state", "raft_state"], id="elected"),
        pytest.param([raft("Leader"), raft("Leader")], [], id="the same state"),
        pytest.param([raft("Leader"), own(), raft("Leader")], [], id="no state said"),
        pytest.param([raft("Leader"), raft("Emperor"), raft("Leader")], [], id="a state that raft has not"),
        pytest.param([raft("Follower", 2), raft("Follower", 3)], ["term"], id="the next term"),
        pytest.param([raft("Follower", 2), raft("Follower", 9)], ["term"], id="seven terms later"),
        pytest.param([raft("Follower", 2), raft("Follower"), raft("Follower", 3)], [], id="no term said"),
        pytest.param([raft("Follower", 3), raft("Follower", 2)], [], id="a lower term, as of an emptied server"),
        pytest.param([raft("Candidate", 2), raft("Leader", 3)], ["raft_state", "term"], id="both at once"),
        pytest.param([own(version="2.0.4"), own(version="2.0.5")], ["restarted", "version_changed"], id="an upgrade"),
        pytest.param([own(version="2.0.4"), own(), own(version="2.0.5")], [], id="no version said"),
    ],
)
def test_of_what_a_server_tells_of_itself_each_change_is_one_line(
    answers: list[AgentSelf], told_events: list[str]
) -> None:
    assert events(Source.SELF, *answers) == told_events


def test_a_transition_says_and_counts_from_what_to_what() -> None:
    (line,) = told(reading(Source.SELF, raft("Candidate")), reading(Source.SELF, raft("Leader")))
    count = (Transition.RAFT_STATE_TRANSITIONS, ("Candidate", "Leader"))

    assert (line.fields, line.count) == ({"event": "raft_state", "from": "Candidate", "to": "Leader"}, count)


def test_an_increase_says_from_which_term_to_which() -> None:
    (line,) = told(reading(Source.SELF, raft("Follower", 2)), reading(Source.SELF, raft("Follower", 9)))

    assert line.fields == {"event": "term", "from": "2", "to": "9"}


# Restarts. What proves one is tried in test_restarts.py.


def refused(source: Source, at: float) -> AnyReading:
    return Reading(source, REFUSED, START + at, 0.0)


def answered(at: float, seconds: float = 0.0, **facts: Any) -> AnyReading:
    return Reading(Source.SELF, own(**facts), START + at, seconds)


@pytest.mark.parametrize(
    ("readings", "proofs"),
    [
        pytest.param([answered(0), refused(Source.HEALTH, 5), answered(15)], ["refused"], id="health was refused"),
        pytest.param([answered(0), refused(Source.SELF, 15), answered(30)], ["refused"], id="self was refused"),
        pytest.param(
            [answered(0), refused(Source.HEALTH, 5), refused(Source.SELF, 15), answered(30), answered(45)],
            ["refused"],
            id="it was refused twice",
        ),
        pytest.param([refused(Source.HEALTH, 0), answered(1), answered(15)], [], id="it was refused before the first"),
        pytest.param(
            [answered(0), answered(15, seconds=2), refused(Source.HEALTH, 16), answered(30), answered(45)],
            ["refused"],
            id="it was refused after the second",
        ),
        pytest.param(
            [answered(0), refused(Source.HEALTH, 16), answered(15, seconds=2), answered(30), answered(45)],
            ["refused"],
            id="it was refused while the second was on its way",
        ),
        pytest.param(
            [answered(0, version="1.9"), refused(Source.HEALTH, 5), answered(15, version="2.0"), answered(30)],
            ["version,refused"],
            id="one restart with two proofs",
        ),
        pytest.param(
            [answered(0), Reading(Source.HEALTH, TIMED_OUT, START + 5, 4.0), answered(15)], [], id="it was silent"
        ),
    ],
)
def test_a_restart_is_one_line_with_all_its_proofs(readings: list[AnyReading], proofs: list[str]) -> None:
    lines = [line for lines in follow_all(*readings) for line in lines if line.fields["event"] == "restarted"]

    assert [line.fields["proof"] for line in lines] == proofs
    assert {line.count for line in lines} <= {(Transition.RESTARTS, ())}


# What an answer to members tells.


def members(flaws: tuple[str, ...] = (), /, **statuses: str) -> Members:
    return Members(tuple(Member(name, status) for name, status in statuses.items()), flaws)


ALL = members(s1="alive", s2="alive")
LEFT_OUT = decode_members.decode(json.dumps({"Members": [{"Name": "s1", "Status": "alive"}, {}]}).encode())


@pytest.mark.parametrize(
    ("agent_up", "told_events"),
    [
        pytest.param([members(s1="alive"), members(s1="alive")], [], id="the same"),
        pytest.param([members(s1="alive"), members(s1="failed")], ["member_failed"], id="one failed"),
        pytest.param([members(s1="failed"), members(s1="alive")], ["member_alive"], id="one is back"),
        pytest.param(
            [members(s1="alive"), members(s1="leaving"), members(s1="left")],
            ["member_leaving", "member_left"],
            id="one left",
        ),
        pytest.param([members(), members(s1="alive", s2="left")], ["member_appeared"] * 2, id="two appeared"),
        pytest.param([members(s1="left"), members(), members()], ["member_vanished"], id="one vanished"),
        pytest.param([members(s1="left"), members()], [], id="one is missing once"),
        pytest.param([ALL, members(s1="alive"), ALL], [], id="a server that was started knows nobody yet"),
        pytest.param(
            [ALL, members(s1="alive"), members(s1="alive", s2="failed")],
            ["member_failed"],
            id="one is missing and failed",
        ),
        pytest.param(
            [members(a="alive", b="alive", c="left"), members(d="alive", b="failed", a="failed"), members(a="failed")],
            ["member_failed", "member_failed", "member_appeared", "member_vanished"],
            id="many at once",
        ),
        pytest.param([ALL, members(s2="alive", s1="alive")], [], id="another order"),
        pytest.param([members(s1="alive"), members(s1=""), members(s1="alive")], [], id="a status that was not told"),
        pytest.param(
            [members(s1="alive"), members(s1=""), members(s1="left")],
            ["member_left"],
            id="a status between was not told",
        ),
        pytest.param([members(s1=""), members(s1="alive")], [], id="the first status was not told"),
        pytest.param([ALL, LEFT_OUT, LEFT_OUT, LEFT_OUT], [], id="one was not read"),
        pytest.param([ALL, LEFT_OUT, members(s1="alive")], ["member_vanished"], id="one was not read and vanished"),
    ],
)
def test_of_the_members_that_a_server_tells_each_change_is_one_line(
    answers: list[Members], told_events: list[str]
) -> None:
    assert events(Source.MEMBERS, *answers) == told_events


def test_a_member_that_changes_is_named_in_the_log_and_not_in_what_is_counted() -> None:
    (line,) = told(reading(Source.MEMBERS, members(s1="alive")), reading(Source.MEMBERS, members(s1="failed")))
    fields = {"event": "member_failed", "member": "s1", "from": "alive"}

    assert line == Change(logging.INFO, "member failed", fields, (Transition.MEMBER_TRANSITIONS, ("alive", "failed")))


def test_members_of_an_agent_that_was_no_server_meanwhile_begin_anew() -> None:
    client = reading(Source.SELF, own(Role.CLIENT))
    lines = told(reading(Source.MEMBERS, members(s1="alive")), client, reading(Source.MEMBERS, members(s2="alive")))

    assert lines == []


# What is counted.

OUTCOMES: dict[Source, st.SearchStrategy[Any]] = {
    Source.SELF: st.one_of(
        st.sampled_from([A, B, C, NONE, UNSAID, GROWN, FRESH]),
        st.builds(raft, st.sampled_from(RAFT_STATES), st.none() | st.integers(0, 3)),
    ),
    Source.MEMBERS: st.dictionaries(st.sampled_from("abc"), st.sampled_from(MEMBER_STATUSES)).map(
        lambda statuses: members(**statuses)
    ),
    Source.HEALTH: st.sampled_from([health({}), HEALTH_WELL.outcome, HEALTH_RED.outcome]),
}


@st.composite
def lives(draw: st.DrawFn) -> list[AnyReading]:
    """What an agent may answer, a second apart."""
    sources = draw(st.lists(st.sampled_from([*OUTCOMES]), max_size=20))
    return [
        Reading(source, draw(OUTCOMES[source] | st.sampled_from([REFUSED, TIMED_OUT])), START + at, 0.1)
        for at, source in enumerate(sources)
    ]


def totals(snapshot: Snapshot) -> dict[TransitionKey, int]:
    return {(kind, labels): n for kind, found in snapshot.history.counts.items() for labels, n in found.items()}


@given(lives())
def test_every_count_is_the_number_of_its_lines_and_never_falls(readings: list[AnyReading]) -> None:
    snapshot, lines = Snapshot(AGENT), Counter[TransitionKey]()
    for one in readings:
        before = totals(snapshot)
        snapshot, changes = apply(snapshot, one)
        lines.update(change.count for change in changes if change.count)

        assert all(totals(snapshot)[count] >= number for count, number in before.items())
        assert Counter(totals(snapshot)) == lines


@given(st.lists(st.sampled_from([A, B, C, NONE]), max_size=30))
def test_however_leaders_come_and_go_changes_are_the_different_ones_in_a_row(answers: list[AgentSelf]) -> None:
    found = [answer.leader_address for answer in answers if answer.leader_address]
    told_events = Counter(events(Source.SELF, *answers))

    assert told_events[CHANGED] == sum(one != other for one, other in pairwise(found))
    assert told_events[BACK] <= told_events[LOST] <= told_events[BACK] + told_events[CHANGED] + 1


@given(
    st.permutations([Member("a", "alive"), Member("b", "failed"), Member("c", "left")]),
    st.permutations([Member("a", "failed"), Member("b", "failed"), Member("d", "alive")]),
)
def test_the_order_of_the_members_is_of_no_matter(was: list[Member], now: list[Member]) -> None:
    found = events(Source.MEMBERS, *(Members(tuple(told)) for told in (was, now, now)))

    assert found == ["member_failed", "member_appeared", "member_vanished"]


def test_an_answer_that_changes_very_much_is_told_in_part_and_counted_whole() -> None:
    many = tuple(
        Change(logging.INFO, "member appeared", {"event": "member_appeared"}) for _ in range(MAX_LOG_LINES + 7)
    )

    assert truncate(many)[:-1] == many[:MAX_LOG_LINES]
    assert truncate(many)[-1].fields == {"event": "more", "changes": "7"}
    assert truncate(many[:MAX_LOG_LINES]) == many[:MAX_LOG_LINES]
