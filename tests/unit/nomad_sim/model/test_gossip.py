"""Gossip: what one server knows of the others, and how that spreads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.gossip import (
    ALIVE,
    FAILED,
    LEAVING,
    LEFT,
    Gossip,
    Member,
    create,
    events,
    force_leave,
    merge,
    probe,
    prune,
    restart,
    with_status,
)
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.timing import Range, Timing
from nomad_sim.setup import Setup

NAMES = A, B, C = ("a.global", "b.global", "c.global")
SETUPS = {name: Setup(name[0], f"id-{name[0]}", host=f"host-{name[0]}") for name in NAMES}
TIMING = Timing()


def shortest(between: Range) -> float:
    return between[0]


def knowing(local_name: str = A, lamport_time: int = 1, **statuses: str) -> Gossip:
    """Return the gossip of ``local_name`` with these statuses, by the first part of the members' names."""
    member = {f"{name}.global": status for name, status in {"a": ALIVE, "b": ALIVE, "c": ALIVE, **statuses}.items()}
    return Gossip(
        local_name, {name: Member(SETUPS[name], status, lamport_time, 0.0) for name, status in member.items()}
    )


def statuses(gossip: Gossip) -> str:
    """What all are taken for, in short."""
    return " ".join(member.status for _, member in sorted(gossip.members.items()))


def after_a_round(gossip: Gossip, now: float, *reachable: str) -> Gossip:
    return probe(gossip, frozenset(reachable), now, TIMING, shortest)


def test_a_new_server_knows_itself() -> None:
    assert create(SETUPS[A], 5.0) == Gossip(A, {A: Member(SETUPS[A], ALIVE, 1, 5.0)})


def test_the_members_of_a_status_are_counted_and_the_living_of_a_region_listed_by_name() -> None:
    gossip = knowing(b=FAILED)

    assert [gossip.count(status) for status in (ALIVE, FAILED, LEFT)] == [2, 1, 0]
    assert [member.setup.member for member in gossip.alive("global")] == [A, C]
    assert gossip.alive("eu") == ()


def test_a_server_is_suspected_first_and_fails_after_a_while() -> None:
    suspecting = after_a_round(knowing(), 100.0, A, C)
    before = after_a_round(suspecting, 133.9, A, C)
    after = after_a_round(before, 134.0, A, C)

    assert [statuses(one) for one in (suspecting, before, after)] == [
        "alive alive alive",
        "alive alive alive",
        "alive failed alive",
    ]
    assert after.members[B].since == 134.0


def test_a_server_that_is_heard_again_is_suspected_no_more() -> None:
    suspecting = after_a_round(knowing(), 100.0, A, C)
    reachable = after_a_round(suspecting, 130.0, A, B, C)

    assert reachable.members[B].unreachable_since is None
    assert statuses(after_a_round(reachable, 140.0, A, C)) == "alive alive alive"


def test_a_server_that_failed_is_alive_when_it_is_heard() -> None:
    after = after_a_round(knowing(b=FAILED), 100.0, A, B, C)

    assert statuses(after) == "alive alive alive"
    assert after.members[B].since == 100.0


def test_a_server_that_was_leaving_has_left_when_it_is_not_heard_for_long() -> None:
    after = after_a_round(after_a_round(knowing(b=LEAVING), 100.0, A, C), 134.0, A, C)

    assert statuses(after) == "alive left alive"


def test_a_server_that_left_or_leaves_is_not_alive_because_it_is_heard() -> None:
    assert statuses(after_a_round(knowing(b=LEFT, c=LEAVING), 100.0, A, B, C)) == "alive left leaving"


@pytest.mark.parametrize(("status", "hours"), [(FAILED, 72), (LEFT, 24)])
def test_a_server_that_is_gone_for_long_is_forgotten(status: str, hours: int) -> None:
    gossip = after_a_round(knowing(b=status), 0.0, A, C)

    assert set(after_a_round(gossip, hours * 3600 - 1, A, C).members) == set(NAMES)
    assert set(after_a_round(gossip, hours * 3600, A, C).members) == {A, C}


def test_a_round_in_which_nothing_changed_gives_the_same() -> None:
    gossip = knowing()

    assert after_a_round(gossip, 100.0, *NAMES) is gossip


def test_a_server_that_failed_and_is_told_to_have_left_has_left() -> None:
    after = force_leave(knowing(b=FAILED, lamport_time=3), B, 9.0)

    assert after.members[B] == Member(SETUPS[B], LEFT, 4, 9.0)


def test_a_server_that_lives_and_is_told_to_have_left_is_leaving() -> None:
    assert statuses(force_leave(knowing(), B, 9.0)) == "alive leaving alive"


@pytest.mark.parametrize("name", [A, B, "nobody.global"])
def test_one_that_left_one_that_is_unknown_and_oneself_are_not_told_to_have_left(name: str) -> None:
    gossip = knowing(b=LEFT)

    assert force_leave(gossip, name, 9.0) is gossip


def test_only_a_server_that_left_is_pruned() -> None:
    gossip = knowing(b=LEFT, c=FAILED)

    assert set(prune(gossip, B).members) == {A, C}
    assert prune(gossip, C) is gossip
    assert prune(gossip, "nobody.global") is gossip


def test_a_server_that_starts_again_lives_with_a_time_newer_than_all_it_knew() -> None:
    before = after_a_round(knowing(lamport_time=7, a=LEAVING), 100.0, A, C)
    other = replace(SETUPS[A], datacenter="dc2")

    assert restart(before, other, 200.0).local_member == Member(other, ALIVE, 8, 200.0)


def test_a_server_that_starts_again_knows_itself_alone_until_it_finds_those_whom_it_knew() -> None:
    before = knowing(b=FAILED)

    assert set(restart(before, SETUPS[A], 200.0).members) == {A}
    assert before.alive_addresses == ("host-a:4648", "host-c:4648")


def test_a_server_learns_whom_another_knows() -> None:
    mine = create(SETUPS[A], 1.0)

    assert set(merge(mine, knowing(B), 9.0).members) == set(NAMES)
    assert merge(mine, knowing(B), 9.0).members[C].since == 9.0


def test_a_server_does_not_learn_of_one_that_is_gone_already() -> None:
    assert set(merge(create(SETUPS[A], 1.0), knowing(B, c=FAILED), 9.0).members) == {A, B}
    assert set(merge(create(SETUPS[A], 1.0), knowing(B, c=LEFT), 9.0).members) == {A, B}


def test_the_newer_status_counts() -> None:
    mine, theirs = knowing(A, lamport_time=3), with_status(knowing(B, lamport_time=3), C, LEAVING, 1.0)

    assert statuses(merge(mine, theirs, 9.0)) == "alive alive leaving"
    assert statuses(merge(theirs, mine, 9.0)) == "alive alive leaving"


def test_a_server_that_suspects_another_believes_that_it_failed() -> None:
    theirs = knowing(B, c=FAILED)

    assert statuses(merge(knowing(A), theirs, 9.0)) == "alive alive alive"
    assert statuses(merge(after_a_round(knowing(A), 5.0, A, B), theirs, 9.0)) == "alive alive failed"


@pytest.mark.parametrize("status", [LEAVING, LEFT])
@pytest.mark.parametrize("newer", [0, 1, 5])
def test_a_server_that_lives_objects_to_a_rumour_and_convinces_who_told_it(status: str, newer: int) -> None:
    mine, theirs = knowing(A, lamport_time=3), knowing(B, lamport_time=3 + newer, a=status)
    objecting = merge(mine, theirs, 9.0)

    assert objecting.local_member.status == ALIVE
    assert objecting.local_member.lamport_time > theirs.lamport_time
    assert merge(theirs, objecting, 10.0).members[A].status == ALIVE


def test_an_old_rumour_needs_no_answer() -> None:
    mine = knowing(A, lamport_time=3)

    assert merge(mine, knowing(B, lamport_time=2, a=LEAVING), 9.0) == mine


def test_equal_knowledge_changes_nothing() -> None:
    mine = knowing(A)

    assert merge(mine, knowing(B), 9.0) is mine


@given(st.data())
def test_any_two_that_talk_for_a_while_agree(data: st.DataObject) -> None:
    def some(me: str) -> Gossip:
        others = {
            name: Member(
                SETUPS[name],
                data.draw(st.sampled_from([ALIVE, LEAVING, LEFT])),
                data.draw(st.integers(1, 4)),
                0.0,
            )
            for name in NAMES
            if name != me
        }
        return Gossip(me, {me: Member(SETUPS[me], ALIVE, data.draw(st.integers(1, 4)), 0.0), **others})

    one, other = some(A), some(B)
    both_know_c_alike = (
        one.members[C].lamport_time != other.members[C].lamport_time or one.members[C].status == other.members[C].status
    )
    for _ in range(3):
        one, other = merge(one, other, 9.0), merge(other, one, 9.0)

    assert one.members[A].status == other.members[A].status == ALIVE
    assert one.members[B].status == other.members[B].status == ALIVE
    assert not both_know_c_alike or one.members[C].status == other.members[C].status


def test_what_changed_is_told_in_the_log() -> None:
    before, after = knowing(c=FAILED), knowing(b=FAILED, c=LEFT)

    assert events(before, after) == (
        LogMessage("info", "serf: EventMemberFailed: b.global host-b"),
        LogMessage("info", "serf: EventMemberLeave: c.global host-c"),
    )


def test_who_is_new_is_told_in_the_log() -> None:
    before = create(SETUPS[A], 1.0)

    assert events(before, merge(before, knowing(B), 9.0)) == (
        LogMessage("info", "serf: EventMemberJoin: b.global host-b"),
        LogMessage("info", "serf: EventMemberJoin: c.global host-c"),
    )


def test_what_did_not_change_is_not_told_nor_that_one_is_leaving() -> None:
    before = knowing()

    assert events(before, before) == ()
    assert events(before, with_status(before, B, LEAVING, 9.0)) == ()
