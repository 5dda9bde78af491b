"""Changes: one log event for each change, none if nothing changed, and which transitions are counted."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.failures import Failure, FailureReason, failure_remedy
from nomad_exporter.nomad.models import MEMBER_STATUSES, RAFT_STATES, AgentSelf, Check, Member, Members, Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF, Reply, Source
from nomad_exporter.polling.history import Transition, TransitionKey
from nomad_exporter.polling.identity import RECOVERY_ANSWERS
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.transitions import EVENTS, MAX_LOG_LINES, Change, Event, apply, truncate
from tests.support.answers import AGENT, GATEWAY, HEALTHY, REFUSED, START, health, self_answer

TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")
REJECTED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: token rejected")
UNHEALTHY = Check(ok=False, message="no leader")


def reading(source: Source[Any], outcome: Any) -> Reading[Any]:
    return Reading(source, outcome, START, 0.1)


def last_changes(*readings: Reading[Any]) -> list[Change]:
    """Return the changes caused by the last of these readings."""
    return all_changes(*readings)[-1]


def all_changes(*readings: Reading[Any]) -> list[list[Change]]:
    """Return the changes caused by each reading."""
    snapshot, by_reading = Snapshot(AGENT), []
    for each in readings:
        snapshot, changes = apply(snapshot, each)
        by_reading.append([*changes])
    return by_reading


def failed(source: Source[Any], failure: Failure) -> Change:
    fields = {"source": source.name, "reason": failure.reason, "detail": failure.detail}
    return Change(Event.POLL_FAILED, {**fields, "hint": failure_remedy(failure)})


SELF_ANSWERED = reading(SELF, self_answer(Role.SERVER, version="2.0.5"))
HEALTHY_READING = reading(HEALTH, health({Role.SERVER: HEALTHY}))
UNHEALTHY_READING = reading(HEALTH, health({Role.SERVER: UNHEALTHY}))

RECOVERED = Change(Event.AGENT_RECOVERED)


def test_first_answer_reports_roles_and_version() -> None:
    changes = last_changes(reading(SELF, self_answer(Role.SERVER, Role.CLIENT, version="2.0.5")))

    assert changes == [Change(Event.AGENT_UP, {"roles": "client,server", "version": "2.0.5"})]


def test_first_failure_is_reported_with_its_reason() -> None:
    assert last_changes(reading(HEALTH, REFUSED)) == [failed(HEALTH, REFUSED)]


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([SELF_ANSWERED, SELF_ANSWERED], id="self answered again"),
        pytest.param([HEALTHY_READING, HEALTHY_READING], id="role stays healthy"),
        pytest.param([HEALTHY_READING], id="role is healthy at first"),
        pytest.param([UNHEALTHY_READING, UNHEALTHY_READING], id="role stays unhealthy"),
        pytest.param([reading(SELF, REFUSED), reading(SELF, REFUSED)], id="same failure"),
        pytest.param(
            [reading(HEALTH, REFUSED), reading(SELF, REFUSED)],
            id="other source fails for the same reason",
        ),
        pytest.param(
            [reading(HEALTH, REFUSED), reading(SELF, REFUSED), HEALTHY_READING],
            id="one of two sources that fail for one reason recovers",
        ),
    ],
)
def test_no_change_is_not_reported(readings: list[Reading[Any]]) -> None:
    assert last_changes(*readings) == []


def test_dead_agent_is_reported_once() -> None:
    polls = [HEALTHY_READING, SELF_ANSWERED, reading(HEALTH, REFUSED), reading(SELF, REFUSED)]
    changes = [change for number in range(3, len(polls) + 1) for change in last_changes(*polls[:number])]

    assert changes == [failed(HEALTH, REFUSED)]


def test_new_reason_is_reported() -> None:
    changes = last_changes(reading(SELF, REFUSED), reading(SELF, TIMED_OUT))

    assert changes == [failed(SELF, TIMED_OUT)]


def test_second_reason_is_reported() -> None:
    changes = last_changes(reading(HEALTH, TIMED_OUT), reading(SELF, REJECTED))

    assert changes == [failed(SELF, REJECTED)]


def test_recovered_agent_is_reported() -> None:
    assert last_changes(SELF_ANSWERED, reading(SELF, REFUSED), SELF_ANSWERED) == [RECOVERED]


def test_agent_recovers_when_no_poll_fails_any_more() -> None:
    polls = [
        SELF_ANSWERED,
        reading(HEALTH, TIMED_OUT),
        reading(SELF, REJECTED),
        SELF_ANSWERED,
        HEALTHY_READING,
    ]

    assert last_changes(*polls[:4]) == [Change(Event.POLL_RECOVERED, {"source": "self", "reason": "unauthorized"})]
    assert last_changes(*polls) == [RECOVERED]


# Health.


def test_unhealthy_agent_is_reported_with_its_message() -> None:
    changes = last_changes(HEALTHY_READING, UNHEALTHY_READING)

    transition = (Transition.HEALTH_TRANSITIONS, ("server", "unhealthy"))
    assert changes == [Change(Event.UNHEALTHY, {"role": "server", "detail": "no leader"}, transition)]


def test_agent_unhealthy_at_first_is_reported_not_counted() -> None:
    (change,) = last_changes(UNHEALTHY_READING)

    assert (change.event, change.transition) == (Event.UNHEALTHY, None)


def test_healthy_again_is_reported() -> None:
    transition = (Transition.HEALTH_TRANSITIONS, ("server", "healthy"))

    assert last_changes(UNHEALTHY_READING, HEALTHY_READING) == [Change(Event.HEALTHY, {"role": "server"}, transition)]


def test_each_role_is_reported_separately() -> None:
    before = reading(HEALTH, health({Role.CLIENT: UNHEALTHY, Role.SERVER: HEALTHY}))
    after = reading(HEALTH, health({Role.CLIENT: HEALTHY, Role.SERVER: UNHEALTHY}))
    changes = [(change.event, change.fields["role"]) for change in last_changes(before, after)]

    assert changes == [(Event.HEALTHY, "client"), (Event.UNHEALTHY, "server")]


def test_new_message_of_unhealthy_role_is_no_change() -> None:
    other = reading(HEALTH, health({Role.SERVER: Check(ok=False, message="No cluster leader")}))

    assert last_changes(UNHEALTHY_READING, other) == []


def test_failed_poll_does_not_change_health() -> None:
    changes = last_changes(UNHEALTHY_READING, reading(HEALTH, REFUSED))

    assert changes == [failed(HEALTH, REFUSED)]


def test_health_before_a_failure_is_remembered() -> None:
    changes = last_changes(UNHEALTHY_READING, reading(HEALTH, REFUSED), HEALTHY_READING)

    assert [change.event for change in changes] == [Event.AGENT_RECOVERED, Event.HEALTHY]


def test_first_answer_after_failures_is_no_recovery() -> None:
    changes = last_changes(reading(HEALTH, REFUSED), reading(SELF, REFUSED), HEALTHY_READING, SELF_ANSWERED)

    assert [change.event for change in changes] == [Event.AGENT_UP]


# Answers to self.

NO_LEADER = self_answer(null_paths=frozenset({"nomad.leader_addr"}))
NO_FIELD = self_answer()


def follower_of(address: str) -> AgentSelf:
    return self_answer(texts={"nomad.leader_addr": address})


def raft(state: str, term: int | None = None) -> AgentSelf:
    return self_answer(texts={"raft.state": state}, numbers={} if term is None else {"raft.term": term})


A, B, C = follower_of("10.0.0.1:4647"), follower_of("10.0.0.2:4647"), follower_of("10.0.0.3:4647")
RESTARTED = replace(NO_LEADER, numbers={"raft.commit_index": 0})
RUNNING, RUNNING_WITHOUT_LEADER = (replace(answer, numbers={"raft.commit_index": 90}) for answer in (A, NO_LEADER))
CHANGED, BACK, LOST, FOUND = "leader_changed", "leader_back", "leader_lost", "leader_found"


def events(source: Source[Any], *outcomes: Any) -> list[str]:
    """Return the events of answers from one source, except for the first answer."""
    by_reading = all_changes(*(reading(source, outcome) for outcome in outcomes))
    return [change.event for changes in by_reading[1:] for change in changes]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([A, A, A], [], id="same leader"),
        pytest.param([A, B], [CHANGED], id="other leader"),
        pytest.param([A, NO_LEADER], [LOST], id="leader lost"),
        pytest.param([A, NO_LEADER, NO_LEADER], [LOST], id="no leader for long"),
        pytest.param([A, NO_LEADER, B], [LOST, CHANGED], id="other leader after a loss"),
        pytest.param([A, NO_LEADER, NO_LEADER, A], [LOST, BACK], id="same leader after a loss"),
        pytest.param([A, NO_LEADER, A, NO_LEADER, A], [LOST, BACK, LOST, BACK], id="lost twice"),
        pytest.param([A, B, A], [CHANGED, CHANGED], id="there and back"),
        pytest.param(
            [A, NO_LEADER, B, NO_LEADER, A], [LOST, CHANGED, LOST, CHANGED], id="there and back with losses between"
        ),
        pytest.param([NO_LEADER, A], [FOUND], id="first leader"),
        pytest.param([NO_LEADER, NO_LEADER], [], id="never a leader"),
        pytest.param([NO_LEADER, A, NO_LEADER, A], [FOUND, LOST, BACK], id="first leader is lost"),
        pytest.param([A, NO_FIELD, A], [], id="field missing"),
        pytest.param([A, NO_FIELD, B], [CHANGED], id="other leader after field missing"),
        pytest.param([A, NO_LEADER, NO_FIELD, A], [LOST, BACK], id="field missing after a loss"),
        pytest.param([NO_FIELD, A, B], [FOUND, CHANGED], id="field missing at first"),
        pytest.param([RUNNING, RESTARTED, A], ["restarted"], id="no leader yet after a restart"),
        pytest.param([RUNNING, RESTARTED, B], ["restarted", CHANGED], id="other leader after a restart"),
        pytest.param(
            [RUNNING, RESTARTED, NO_LEADER, A], ["restarted", LOST, BACK], id="no leader for long after a restart"
        ),
        pytest.param(
            [RUNNING, RUNNING_WITHOUT_LEADER, RESTARTED, A],
            [LOST, "restarted", BACK],
            id="restart without a leader",
        ),
    ],
)
def test_each_change_of_leader_is_one_event(answers: list[AgentSelf], expected: list[str]) -> None:
    assert events(SELF, *answers) == expected


def test_leader_change_has_both_leaders_despite_a_loss() -> None:
    (change,) = last_changes(*(reading(SELF, answer) for answer in (A, NO_LEADER, B)))
    fields = {"from": "10.0.0.1:4647", "to": "10.0.0.2:4647"}

    assert change == Change(Event.LEADER_CHANGED, fields, (Transition.LEADER_CHANGES, ()))


def test_answer_after_failures_is_compared_with_last_answer() -> None:
    changes = last_changes(*(reading(SELF, outcome) for outcome in (A, TIMED_OUT, TIMED_OUT, B)))

    assert [change.event for change in changes] == [Event.AGENT_RECOVERED, CHANGED]


def test_reading_that_began_earlier_changes_nothing() -> None:
    late = Reading(SELF, B, START + -1, 5.0)

    assert last_changes(reading(SELF, A), late) == []
    assert last_changes(reading(SELF, A), late, reading(SELF, A)) == []


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([raft("Follower"), raft("Candidate"), raft("Leader")], ["raft_state", "raft_state"], id="elected"),
        pytest.param([raft("Leader"), raft("Leader")], [], id="same state"),
        pytest.param([raft("Leader"), self_answer(), raft("Leader")], [], id="state missing"),
        pytest.param([raft("Leader"), raft("Emperor"), raft("Leader")], [], id="unknown state"),
        pytest.param([raft("Follower", 2), raft("Follower", 3)], ["term"], id="next term"),
        pytest.param([raft("Follower", 2), raft("Follower", 9)], ["term"], id="seven terms later"),
        pytest.param([raft("Follower", 2), raft("Follower"), raft("Follower", 3)], [], id="term missing"),
        pytest.param([raft("Follower", 3), raft("Follower", 2)], [], id="lower term, as of an emptied server"),
        pytest.param([raft("Candidate", 2), raft("Leader", 3)], ["raft_state", "term"], id="state and term"),
        pytest.param(
            [self_answer(version="2.0.4"), self_answer(version="2.0.5")],
            ["restarted", "version_changed"],
            id="upgrade",
        ),
        pytest.param(
            [self_answer(version="2.0.4"), self_answer(), self_answer(version="2.0.5")], [], id="version missing"
        ),
    ],
)
def test_each_change_of_a_server_is_one_event(answers: list[AgentSelf], expected: list[str]) -> None:
    assert events(SELF, *answers) == expected


def test_raft_state_change_has_both_states() -> None:
    (change,) = last_changes(reading(SELF, raft("Candidate")), reading(SELF, raft("Leader")))
    transition = (Transition.RAFT_STATE_TRANSITIONS, ("Candidate", "Leader"))

    assert change == Change(Event.RAFT_STATE, {"from": "Candidate", "to": "Leader"}, transition)


def test_term_increase_has_both_terms() -> None:
    (change,) = last_changes(reading(SELF, raft("Follower", 2)), reading(SELF, raft("Follower", 9)))

    assert change == Change(Event.TERM, {"from": "2", "to": "9"}, (Transition.RAFT_TERM_INCREASES, ()))


# Identity.


def agent(name: str, **fields: Any) -> AgentSelf:
    return self_answer(member=Member("s1.global", id=name), **fields)


FIRST, SECOND, THIRD = (
    agent(name, version=version, numbers={"raft.term": term}, texts={"raft.state": state, "nomad.leader_addr": leader})
    for name, version, term, state, leader in [
        ("id-1", "2.0.5", 3, "Leader", "10.0.0.1:4647"),
        ("id-2", "2.0.6", 4, "Follower", "10.0.0.2:4647"),
        ("id-3", "2.0.4", 2, "Candidate", "10.0.0.3:4647"),
    ]
)
SEVERAL, ONE = "several_agents", "one_agent"
REPLACED = ["restarted", "version_changed", CHANGED, "raft_state", "term"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([FIRST, SECOND], [], id="another agent answered once"),
        pytest.param([FIRST, SECOND, SECOND], REPLACED, id="agent was replaced"),
        pytest.param([FIRST, SECOND, FIRST], [SEVERAL], id="agent returned"),
        pytest.param([FIRST, SECOND, THIRD, FIRST], [SEVERAL], id="agent returned after two others"),
        pytest.param([FIRST, SECOND, SECOND, FIRST], [*REPLACED, SEVERAL], id="agent returned after its successor"),
        pytest.param([FIRST, SECOND] * 10, [SEVERAL], id="two agents in turn"),
        pytest.param([FIRST, SECOND, THIRD] * 10, [SEVERAL], id="three agents in turn"),
        pytest.param([FIRST, FIRST, SECOND, SECOND] * 5, [*REPLACED, SEVERAL], id="two agents, each twice"),
        pytest.param([FIRST, SECOND, *[FIRST] * 40], [SEVERAL, ONE], id="one agent is left"),
        pytest.param([FIRST, SECOND, FIRST, *[SECOND] * 40], [SEVERAL, ONE], id="the other agent is left"),
        pytest.param([FIRST, SECOND, *[FIRST] * 40, SECOND], [SEVERAL, ONE, SEVERAL], id="two agents in turn again"),
    ],
)
def test_agents_in_turn_are_reported_once_and_not_counted(answers: list[AgentSelf], expected: list[str]) -> None:
    assert events(SELF, *answers) == expected


def test_several_agents_are_reported_with_their_ids() -> None:
    answers = (FIRST, SECOND, FIRST, *[FIRST] * RECOVERY_ANSWERS)
    changes = all_changes(*(reading(SELF, answer) for answer in answers))

    assert changes[2] == [Change(Event.SEVERAL_AGENTS, {"ids": "id-2,id-1"})]
    assert [change for by_reading in changes[3:] for change in by_reading] == [Change(Event.ONE_AGENT, {"id": "id-1"})]


def test_last_agent_is_compared_again_after_others_have_gone() -> None:
    upgraded = replace(FIRST, version="2.0.6")

    answers = [FIRST, SECOND, *[FIRST] * RECOVERY_ANSWERS, upgraded]
    assert events(SELF, *answers) == [SEVERAL, ONE, "restarted", "version_changed"]


def test_answer_overtaken_by_a_newer_one_is_no_return() -> None:
    late = Reading(SELF, FIRST, START + -1, 5.0)

    assert last_changes(reading(SELF, FIRST), reading(SELF, SECOND), late) == []


# Restarts; the proofs are tested in test_identity_restarts.py.


def refused(source: Source[Any], at: float) -> Reading[Any]:
    return Reading(source, REFUSED, START + at, 0.0)


def answered(at: float, seconds: float = 0.0, **fields: Any) -> Reading[Any]:
    return Reading(SELF, self_answer(**fields), START + at, seconds)


@pytest.mark.parametrize(
    ("readings", "proofs"),
    [
        pytest.param([answered(0), refused(HEALTH, 5), answered(15)], ["refused"], id="health was refused"),
        pytest.param([answered(0), refused(SELF, 15), answered(30)], ["refused"], id="self was refused"),
        pytest.param(
            [answered(0), refused(HEALTH, 5), refused(SELF, 15), answered(30), answered(45)],
            ["refused"],
            id="refused twice",
        ),
        pytest.param([refused(HEALTH, 0), answered(1), answered(15)], [], id="refused before the first answer"),
        pytest.param(
            [answered(0), answered(15, seconds=2), refused(HEALTH, 16), answered(30), answered(45)],
            ["refused"],
            id="refused after the second answer",
        ),
        pytest.param(
            [answered(0), refused(HEALTH, 16), answered(15, seconds=2), answered(30), answered(45)],
            ["refused"],
            id="refused during the second poll",
        ),
        pytest.param(
            [answered(0, version="1.9"), refused(HEALTH, 5), answered(15, version="2.0"), answered(30)],
            ["version,refused"],
            id="two proofs",
        ),
        pytest.param([answered(0), Reading(HEALTH, TIMED_OUT, START + 5, 4.0), answered(15)], [], id="timeout"),
        pytest.param([answered(0), Reading(HEALTH, GATEWAY, START + 5, 0.0), answered(15)], [], id="gateway"),
    ],
)
def test_restart_is_one_event_with_all_proofs(readings: list[Reading[Any]], proofs: list[str]) -> None:
    changes = [change for changes in all_changes(*readings) for change in changes]
    restarts = [change for change in changes if change.event is Event.RESTARTED]

    assert [change.fields["proof"] for change in restarts] == proofs
    assert {change.transition for change in restarts} <= {(Transition.RESTARTS, ())}


# Answers to members.


def members(**statuses: str) -> Members:
    return Members(tuple(Member(name, status) for name, status in statuses.items()))


ALL = members(s1="alive", s2="alive")
UNDECODABLE = MEMBERS.decode(Reply(200, b'{"Members": [{"Name": "s1", "Status": "alive"}, {}]}'))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([members(s1="alive"), members(s1="alive")], [], id="same members"),
        pytest.param([members(s1="alive"), members(s1="failed")], ["member_failed"], id="member failed"),
        pytest.param([members(s1="failed"), members(s1="alive")], ["member_alive"], id="member is alive again"),
        pytest.param(
            [members(s1="alive"), members(s1="leaving"), members(s1="left")],
            ["member_leaving", "member_left"],
            id="member left",
        ),
        pytest.param([members(), members(s1="alive", s2="left")], ["member_appeared"] * 2, id="two members appeared"),
        pytest.param([members(s1="left"), members(), members()], ["member_vanished"], id="member vanished"),
        pytest.param([members(s1="left"), members()], [], id="member missing once"),
        pytest.param([ALL, members(s1="alive"), ALL], [], id="server that has just started"),
        pytest.param(
            [ALL, members(s1="alive"), members(s1="alive", s2="failed")],
            ["member_failed"],
            id="member missing, then failed",
        ),
        pytest.param(
            [members(a="alive", b="alive", c="left"), members(d="alive", b="failed", a="failed"), members(a="failed")],
            ["member_failed", "member_failed", "member_appeared", "member_vanished"],
            id="several changes",
        ),
        pytest.param([ALL, members(s2="alive", s1="alive")], [], id="other order"),
        pytest.param([members(s1="alive"), members(s1=""), members(s1="alive")], [], id="status missing between"),
        pytest.param(
            [members(s1="alive"), members(s1=""), members(s1="left")],
            ["member_left"],
            id="status missing between, then left",
        ),
        pytest.param([members(s1=""), members(s1="alive")], [], id="status missing at first"),
        pytest.param([ALL, UNDECODABLE, UNDECODABLE, UNDECODABLE], [], id="member not decoded"),
        pytest.param(
            [ALL, UNDECODABLE, members(s1="alive")], ["member_vanished"], id="member not decoded, then vanished"
        ),
    ],
)
def test_each_change_of_members_is_one_event(answers: list[Members], expected: list[str]) -> None:
    assert events(MEMBERS, *answers) == expected


def test_member_name_is_logged_but_is_no_label() -> None:
    (change,) = last_changes(reading(MEMBERS, members(s1="alive")), reading(MEMBERS, members(s1="failed")))
    fields = {"member": "s1", "from": "alive"}

    assert change == Change(Event.MEMBER_FAILED, fields, (Transition.MEMBER_TRANSITIONS, ("alive", "failed")))


def test_members_start_over_after_a_time_as_client() -> None:
    client = reading(SELF, self_answer(Role.CLIENT))
    changes = last_changes(reading(MEMBERS, members(s1="alive")), client, reading(MEMBERS, members(s2="alive")))

    assert changes == []


# Counts.

OUTCOMES: dict[Source[Any], st.SearchStrategy[Any]] = {
    SELF: st.one_of(
        st.sampled_from([A, B, C, NO_LEADER, NO_FIELD, RUNNING, RESTARTED]),
        st.builds(raft, st.sampled_from(RAFT_STATES), st.none() | st.integers(0, 3)),
    ),
    MEMBERS: st.dictionaries(st.sampled_from("abc"), st.sampled_from(MEMBER_STATUSES)).map(
        lambda statuses: members(**statuses)
    ),
    HEALTH: st.sampled_from([health({}), HEALTHY_READING.outcome, UNHEALTHY_READING.outcome]),
}


@st.composite
def reading_sequences(draw: st.DrawFn) -> list[Reading[Any]]:
    """Draw a sequence of readings of one agent, a second apart."""
    sources = draw(st.lists(st.sampled_from([*OUTCOMES]), max_size=20))
    return [
        Reading(source, draw(OUTCOMES[source] | st.sampled_from([REFUSED, TIMED_OUT])), START + at, 0.1)
        for at, source in enumerate(sources)
    ]


def totals(snapshot: Snapshot) -> dict[TransitionKey, int]:
    return {(kind, labels): n for kind, counts in snapshot.history.counts.items() for labels, n in counts.items()}


@given(reading_sequences())
def test_counts_equal_the_logged_changes_and_never_decrease(readings: list[Reading[Any]]) -> None:
    snapshot, logged = Snapshot(AGENT), Counter[TransitionKey]()
    for each in readings:
        before = totals(snapshot)
        snapshot, changes = apply(snapshot, each)
        logged.update(change.transition for change in changes if change.transition)

        assert all(totals(snapshot)[key] >= number for key, number in before.items())
        assert Counter(totals(snapshot)) == logged


@given(st.lists(st.sampled_from([A, B, C, NO_LEADER]), max_size=30))
def test_leader_changes_equal_different_leaders_in_a_row(answers: list[AgentSelf]) -> None:
    leaders = [answer.leader_address for answer in answers if answer.leader_address]
    counts = Counter(events(SELF, *answers))

    assert counts[CHANGED] == sum(one != other for one, other in pairwise(leaders))
    assert counts[BACK] <= counts[LOST] <= counts[BACK] + counts[CHANGED] + 1


@given(
    st.permutations([Member("a", "alive"), Member("b", "failed"), Member("c", "left")]),
    st.permutations([Member("a", "failed"), Member("b", "failed"), Member("d", "alive")]),
)
def test_order_of_members_does_not_matter(before: list[Member], after: list[Member]) -> None:
    found = events(MEMBERS, *(Members(tuple(each)) for each in (before, after, after)))

    assert found == ["member_failed", "member_appeared", "member_vanished"]


def test_truncate_omits_changes_beyond_the_limit() -> None:
    many = (Change(Event.MEMBER_APPEARED),) * (MAX_LOG_LINES + 7)

    assert truncate(many)[:-1] == many[:MAX_LOG_LINES]
    assert truncate(many)[-1] == Change(Event.TRUNCATED, {"changes": "7"})
    assert truncate(many[:MAX_LOG_LINES]) == many[:MAX_LOG_LINES]


# Log lines.


def test_every_event_has_a_log_line() -> None:
    assert EVENTS.keys() == {*Event}


def test_every_member_status_has_an_event() -> None:
    assert {f"member_{status}" for status in MEMBER_STATUSES} <= {*Event}


def test_only_faults_are_warnings() -> None:
    levels = {event: line.level for event, line in EVENTS.items() if line.level != logging.INFO}

    warnings = (Event.POLL_FAILED, Event.UNHEALTHY, Event.SEVERAL_AGENTS)
    assert levels == dict.fromkeys(warnings, logging.WARNING)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("poll_failed", "poll failed"),
        ("poll_recovered", "poll recovered"),
        ("agent_up", "agent is up"),
        ("agent_recovered", "agent recovered"),
        ("healthy", "agent healthy"),
        ("unhealthy", "agent unhealthy"),
        ("leader_changed", "leader changed"),
        ("member_failed", "member failed"),
        ("truncated", "further changes omitted"),
    ],
)
def test_event_has_its_message(event: str, message: str) -> None:
    assert EVENTS[Event(event)].message == message
