"""History: what is counted, from when on, and the little that is remembered for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.models import Member, Members, Role
from nomad_exporter.polling.history import Gossip, History, Leader, Transition, TransitionKey, zeros
from tests.support.answers import REFUSED, START, WELL, health, own

OF_AGENT = {Transition.RESTARTS, Transition.VERSION_CHANGES}
OF_SERVER = {
    *OF_AGENT,
    Transition.LEADER_CHANGES,
    Transition.LEADER_LOSSES,
    Transition.RAFT_STATE_TRANSITIONS,
    Transition.RAFT_TERM_INCREASES,
}
OF_MEMBERS = {Transition.MEMBER_TRANSITIONS, Transition.MEMBERS_APPEARED, Transition.MEMBERS_VANISHED}

FAILED: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("alive", "failed"))
ALIVE: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("failed", "alive"))


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        pytest.param(own(Role.SERVER), OF_SERVER, id="self of a server"),
        pytest.param(own(Role.CLIENT), OF_AGENT, id="self of a client"),
        pytest.param(own(Role.SERVER, Role.CLIENT), OF_SERVER, id="self of both"),
        pytest.param(Members(()), OF_MEMBERS, id="members"),
        pytest.param(health({Role.SERVER: WELL}), {Transition.HEALTH_TRANSITIONS}, id="health"),
        pytest.param(REFUSED, set(), id="a failure"),
    ],
)
def test_with_the_first_answer_that_begins_at_zero_which_later_ones_can_change(
    answer: object, counted: set[Transition]
) -> None:
    found = zeros(answer)

    assert found.keys() == counted
    assert {number for counts in found.values() for number in counts.values()} <= {0}


def test_every_kind_of_change_begins_at_zero_somewhere() -> None:
    answers: list[Any] = [own(), Members(()), health({Role.SERVER: WELL})]

    assert {kind for answer in answers for kind in zeros(answer)} == {*Transition}


def test_transitions_begin_at_zero_from_each_to_each_other() -> None:
    raft = zeros(own())[Transition.RAFT_STATE_TRANSITIONS]
    members = zeros(Members(()))[Transition.MEMBER_TRANSITIONS]

    assert (len(raft), len(members)) == (6, 12)
    assert [way for way in (*raft, *members) if way[0] == way[1]] == []


def test_health_begins_at_zero_for_the_roles_that_the_agent_has() -> None:
    found = zeros(health({Role.CLIENT: WELL}))

    assert found == {Transition.HEALTH_TRANSITIONS: {("client", "healthy"): 0, ("client", "unhealthy"): 0}}


def test_what_is_counted_already_does_not_begin_anew() -> None:
    history = History().with_zeros(zeros(Members(()))).with_transitions([FAILED], START)

    assert history.with_zeros(zeros(Members(()))) is history
    assert history.with_zeros(zeros(own())).counts[Transition.MEMBER_TRANSITIONS][FAILED[1]] == 1


def test_a_role_that_comes_later_begins_at_zero_beside_the_counts_of_the_other() -> None:
    red: TransitionKey = (Transition.HEALTH_TRANSITIONS, ("server", "unhealthy"))
    history = History().with_zeros(zeros(health({Role.SERVER: WELL}))).with_transitions([red], START)
    both = history.with_zeros(zeros(health({Role.CLIENT: WELL, Role.SERVER: WELL})))

    assert both.counts[Transition.HEALTH_TRANSITIONS] == {
        ("server", "healthy"): 0,
        ("server", "unhealthy"): 1,
        ("client", "healthy"): 0,
        ("client", "unhealthy"): 0,
    }


def test_each_change_counts_once_though_two_are_the_same() -> None:
    history = History().with_transitions([FAILED, FAILED, ALIVE], START).with_transitions([FAILED], START)

    assert history.counts == {Transition.MEMBER_TRANSITIONS: {FAILED[1]: 3, ALIVE[1]: 1}}


def test_the_newest_change_of_each_kind_says_when() -> None:
    term: TransitionKey = (Transition.RAFT_TERM_INCREASES, ())
    history = History().with_transitions([FAILED, term], START).with_transitions([ALIVE], START + 60)

    assert history.changed == {
        Transition.RAFT_TERM_INCREASES: START.wall,
        Transition.MEMBER_TRANSITIONS: START.wall + 60,
    }


def test_a_history_that_somebody_holds_never_changes() -> None:
    history = History().with_transitions([FAILED], START)
    history.with_transitions([FAILED], START + 1)

    assert history == History().with_transitions([FAILED], START)


@given(st.lists(st.lists(st.sampled_from([FAILED, ALIVE]))))
def test_counts_never_fall(polls: list[list[TransitionKey]]) -> None:
    histories = [History()]
    for changes in polls:
        histories.append(histories[-1].with_transitions(changes, START))
    sums = [sum(n for counts in history.counts.values() for n in counts.values()) for history in histories]

    assert all(before <= after for before, after in pairwise(sums))
    assert sums[-1] == sum(map(len, polls))


# The leader.


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("before", [Leader(), Leader("a"), Leader("a", lost=True), Leader("b")])
def test_a_leader_that_is_told_is_the_leader(before: Leader, restarted: bool) -> None:
    assert before.after("b", restarted) == Leader("b")


@pytest.mark.parametrize("before", [Leader("a"), Leader("a", lost=True)])
def test_the_leader_that_is_lost_is_remembered(before: Leader) -> None:
    assert before.after("", restarted=False) == Leader("a", lost=True)


def test_where_there_never_was_a_leader_none_is_lost() -> None:
    assert Leader().after("", restarted=False) == Leader()


def test_a_server_that_was_restarted_has_lost_no_leader() -> None:
    assert Leader("a").after("", restarted=True) == Leader("a")


def test_a_leader_that_was_lost_before_a_restart_is_lost_still() -> None:
    assert Leader("a", lost=True).after("", restarted=True) == Leader("a", lost=True)


@pytest.mark.parametrize("before", [Leader(), Leader("a"), Leader("a", lost=True)])
def test_where_nothing_is_told_all_is_as_before(before: Leader) -> None:
    assert before.after(None, restarted=False) == before


# The members.


def told(*flaws: str, **statuses: str) -> Members:
    return Members(tuple(Member(name, status) for name, status in statuses.items()), flaws)


TWO = Gossip().after(told(a="alive", b="failed"))


def test_members_that_are_told_are_known() -> None:
    assert (TWO.members, TWO.missing) == ({"a": "alive", "b": "failed"}, frozenset())


def test_where_all_is_told_again_nothing_is_kept_twice() -> None:
    assert TWO.after(told(b="failed", a="alive")) is TWO


def test_a_member_that_one_answer_lacks_is_missing_and_known_still() -> None:
    assert TWO.after(told(a="alive")) == Gossip({"a": "alive", "b": "failed"}, frozenset({"b"}))


def test_a_member_that_two_answers_in_a_row_lack_is_known_no_more() -> None:
    assert TWO.after(told(a="alive")).after(told(a="alive")) == Gossip({"a": "alive"})


def test_a_member_that_is_there_again_is_not_missing() -> None:
    assert TWO.after(told(a="alive")).after(told(a="alive", b="left")) == Gossip({"a": "alive", "b": "left"})


def test_members_are_missing_each_for_itself() -> None:
    assert TWO.after(told(a="alive")).after(told(c="alive")) == Gossip({"a": "alive", "c": "alive"}, frozenset({"a"}))


def test_a_member_that_could_not_be_read_stays_missing() -> None:
    lacking = told("Members[]", a="alive")

    assert TWO.after(lacking).after(lacking) == Gossip({"a": "alive", "b": "failed"}, frozenset({"b"}))


def test_a_status_that_could_not_be_read_is_as_before() -> None:
    assert TWO.after(told("Members[].Status", a="", b="failed")) is TWO
