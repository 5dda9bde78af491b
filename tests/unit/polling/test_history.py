"""History: which transitions are counted, when each count starts, and the state of leader and members."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.models import Member, Members, Role
from nomad_exporter.nomad.sources.members import MEMBERS_LIMIT
from nomad_exporter.polling.history import Gossip, History, Leader, Transition, TransitionKey, zeros
from tests.support.answers import HEALTHY, REFUSED, START, health, self_answer

AGENT_KINDS = {Transition.RESTARTS, Transition.VERSION_CHANGES}
SERVER_KINDS = {
    *AGENT_KINDS,
    Transition.LEADER_CHANGES,
    Transition.LEADER_LOSSES,
    Transition.RAFT_STATE_TRANSITIONS,
    Transition.RAFT_TERM_INCREASES,
}
MEMBER_KINDS = {Transition.MEMBER_TRANSITIONS, Transition.MEMBERS_APPEARED, Transition.MEMBERS_VANISHED}

FAILED: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("alive", "failed"))
ALIVE: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("failed", "alive"))


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        pytest.param(self_answer(Role.SERVER), SERVER_KINDS, id="self of a server"),
        pytest.param(self_answer(Role.CLIENT), AGENT_KINDS, id="self of a client"),
        pytest.param(self_answer(Role.SERVER, Role.CLIENT), SERVER_KINDS, id="self of an agent with both roles"),
        pytest.param(Members(()), MEMBER_KINDS, id="members"),
        pytest.param(health({Role.SERVER: HEALTHY}), {Transition.HEALTH_TRANSITIONS}, id="health"),
        pytest.param(REFUSED, set(), id="a failure"),
    ],
)
def test_first_answer_starts_counts_at_zero(answer: object, kinds: set[Transition]) -> None:
    counts = zeros(answer)

    assert counts.keys() == kinds
    assert {number for of_kind in counts.values() for number in of_kind.values()} <= {0}


def test_every_kind_starts_at_zero_with_some_answer() -> None:
    answers: list[Any] = [self_answer(), Members(()), health({Role.SERVER: HEALTHY})]

    assert {kind for answer in answers for kind in zeros(answer)} == {*Transition}


def test_zeros_cover_every_pair_of_states() -> None:
    raft = zeros(self_answer())[Transition.RAFT_STATE_TRANSITIONS]
    members = zeros(Members(()))[Transition.MEMBER_TRANSITIONS]

    assert (len(raft), len(members)) == (6, 12)
    assert [states for states in (*raft, *members) if states[0] == states[1]] == []


def test_health_counts_start_for_the_agents_roles() -> None:
    counts = zeros(health({Role.CLIENT: HEALTHY}))

    assert counts == {Transition.HEALTH_TRANSITIONS: {("client", "healthy"): 0, ("client", "unhealthy"): 0}}


def test_zeros_do_not_reset_counts() -> None:
    history = History().with_zeros(zeros(Members(()))).with_transitions([FAILED], START)

    assert history.with_zeros(zeros(Members(()))) is history
    assert history.with_zeros(zeros(self_answer())).counts[Transition.MEMBER_TRANSITIONS][FAILED[1]] == 1


def test_new_role_starts_at_zero_and_keeps_other_counts() -> None:
    unhealthy: TransitionKey = (Transition.HEALTH_TRANSITIONS, ("server", "unhealthy"))
    history = History().with_zeros(zeros(health({Role.SERVER: HEALTHY}))).with_transitions([unhealthy], START)
    history = history.with_zeros(zeros(health({Role.CLIENT: HEALTHY, Role.SERVER: HEALTHY})))

    assert history.counts[Transition.HEALTH_TRANSITIONS] == {
        ("server", "healthy"): 0,
        ("server", "unhealthy"): 1,
        ("client", "healthy"): 0,
        ("client", "unhealthy"): 0,
    }


def test_equal_transitions_are_counted_separately() -> None:
    history = History().with_transitions([FAILED, FAILED, ALIVE], START).with_transitions([FAILED], START)

    assert history.counts == {Transition.MEMBER_TRANSITIONS: {FAILED[1]: 3, ALIVE[1]: 1}}


def test_time_of_newest_transition_is_kept_per_kind() -> None:
    term: TransitionKey = (Transition.RAFT_TERM_INCREASES, ())
    history = History().with_transitions([FAILED, term], START).with_transitions([ALIVE], START + 60)

    assert history.changed == {
        Transition.RAFT_TERM_INCREASES: START.wall,
        Transition.MEMBER_TRANSITIONS: START.wall + 60,
    }


def test_history_is_immutable() -> None:
    history = History().with_transitions([FAILED], START)
    history.with_transitions([FAILED], START + 1)

    assert history == History().with_transitions([FAILED], START)


@given(st.lists(st.lists(st.sampled_from([FAILED, ALIVE]))))
def test_counts_never_decrease(polls: list[list[TransitionKey]]) -> None:
    histories = [History()]
    for transitions in polls:
        histories.append(histories[-1].with_transitions(transitions, START))
    sums = [sum(n for counts in history.counts.values() for n in counts.values()) for history in histories]

    assert all(before <= after for before, after in pairwise(sums))
    assert sums[-1] == sum(map(len, polls))


# Leader.


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("before", [Leader(), Leader("a"), Leader("a", lost=True), Leader("b")])
def test_reported_leader_replaces_previous_leader(before: Leader, restarted: bool) -> None:
    assert before.after("b", restarted) == Leader("b")


@pytest.mark.parametrize("before", [Leader("a"), Leader("a", lost=True)])
def test_lost_leader_keeps_its_address(before: Leader) -> None:
    assert before.after("", restarted=False) == Leader("a", lost=True)


def test_no_leader_is_lost_if_none_was_known() -> None:
    assert Leader().after("", restarted=False) == Leader()


def test_restarted_server_has_not_lost_its_leader() -> None:
    assert Leader("a").after("", restarted=True) == Leader("a")


def test_leader_lost_before_restart_stays_lost() -> None:
    assert Leader("a", lost=True).after("", restarted=True) == Leader("a", lost=True)


@pytest.mark.parametrize("before", [Leader(), Leader("a"), Leader("a", lost=True)])
def test_answer_without_leader_field_changes_nothing(before: Leader) -> None:
    assert before.after(None, restarted=False) == before


# Members.


def answer(*invalid_fields: str, **statuses: str) -> Members:
    return Members(tuple(Member(name, status) for name, status in statuses.items()), invalid_fields)


TWO = Gossip().after(answer(a="alive", b="failed"))


def test_reported_members_are_known() -> None:
    assert (TWO.members, TWO.missing) == ({"a": "alive", "b": "failed"}, frozenset())


def test_unchanged_members_keep_the_same_value() -> None:
    assert TWO.after(answer(b="failed", a="alive")) is TWO


def test_member_absent_once_is_missing_but_known() -> None:
    assert TWO.after(answer(a="alive")) == Gossip({"a": "alive", "b": "failed"}, frozenset({"b"}))


def test_member_absent_twice_in_a_row_is_forgotten() -> None:
    assert TWO.after(answer(a="alive")).after(answer(a="alive")) == Gossip({"a": "alive"})


def test_member_that_reappears_is_not_missing() -> None:
    assert TWO.after(answer(a="alive")).after(answer(a="alive", b="left")) == Gossip({"a": "alive", "b": "left"})


def test_members_are_missing_independently() -> None:
    assert TWO.after(answer(a="alive")).after(answer(c="alive")) == Gossip(
        {"a": "alive", "c": "alive"}, frozenset({"a"})
    )


def test_undecodable_member_stays_missing() -> None:
    incomplete = answer("Members[]", a="alive")

    assert TWO.after(incomplete).after(incomplete) == Gossip({"a": "alive", "b": "failed"}, frozenset({"b"}))


def test_member_left_out_by_a_limit_stays_missing() -> None:
    limited = replace(answer(a="alive"), omitted={"members": 1})

    assert TWO.after(limited).after(limited) == Gossip({"a": "alive", "b": "failed"}, frozenset({"b"}))


def test_missing_members_are_limited() -> None:
    gossip = Gossip()
    for number in range(10):
        gossip = gossip.after(answer("Members[]", **{f"{number}-{index}": "alive" for index in range(200)}))

    assert len(gossip.missing) == MEMBERS_LIMIT
    assert len(gossip.members) == MEMBERS_LIMIT + 200


def test_undecodable_status_keeps_previous_status() -> None:
    assert TWO.after(answer("Members[].Status", a="", b="failed")) is TWO
