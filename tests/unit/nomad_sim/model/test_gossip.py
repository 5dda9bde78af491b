"""Tests of one server's gossip state: probing, merging, leaving and events."""

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


def shortest(bounds: Range) -> float:
    return bounds[0]


def gossip_with(local_name: str = A, lamport_time: int = 1, **statuses: str) -> Gossip:
    """Return the gossip of ``local_name`` with these statuses, by the first part of the members' names."""
    by_name = {f"{name}.global": status for name, status in {"a": ALIVE, "b": ALIVE, "c": ALIVE, **statuses}.items()}
    return Gossip(
        local_name, {name: Member(SETUPS[name], status, lamport_time, 0.0) for name, status in by_name.items()}
    )


def statuses(gossip: Gossip) -> str:
    """Return the statuses of all members, sorted by name."""
    return " ".join(member.status for _, member in sorted(gossip.members.items()))


def after_probe(gossip: Gossip, now: float, *reachable: str) -> Gossip:
    return probe(gossip, frozenset(reachable), now, TIMING, shortest)


def test_new_server_knows_only_itself() -> None:
    assert create(SETUPS[A], 5.0) == Gossip(A, {A: Member(SETUPS[A], ALIVE, 1, 5.0)})


def test_members_are_counted_by_status_and_listed_by_region() -> None:
    gossip = gossip_with(b=FAILED)

    assert [gossip.count(status) for status in (ALIVE, FAILED, LEFT)] == [2, 1, 0]
    assert [member.setup.member for member in gossip.alive("global")] == [A, C]
    assert gossip.alive("eu") == ()


def test_member_fails_after_the_suspicion_timeout() -> None:
    suspected = after_probe(gossip_with(), 100.0, A, C)
    before = after_probe(suspected, 133.9, A, C)
    after = after_probe(before, 134.0, A, C)

    assert [statuses(state) for state in (suspected, before, after)] == [
        "alive alive alive",
        "alive alive alive",
        "alive failed alive",
    ]
    assert after.members[B].status_since == 134.0


def test_reachable_member_is_no_longer_suspected() -> None:
    suspected = after_probe(gossip_with(), 100.0, A, C)
    reachable = after_probe(suspected, 130.0, A, B, C)

    assert reachable.members[B].unreachable_since is None
    assert statuses(after_probe(reachable, 140.0, A, C)) == "alive alive alive"


def test_failed_member_is_alive_once_reachable() -> None:
    after = after_probe(gossip_with(b=FAILED), 100.0, A, B, C)

    assert statuses(after) == "alive alive alive"
    assert after.members[B].status_since == 100.0


def test_leaving_member_has_left_after_suspicion_timeout() -> None:
    after = after_probe(after_probe(gossip_with(b=LEAVING), 100.0, A, C), 134.0, A, C)

    assert statuses(after) == "alive left alive"


def test_reachable_member_keeps_status_leaving_or_left() -> None:
    assert statuses(after_probe(gossip_with(b=LEFT, c=LEAVING), 100.0, A, B, C)) == "alive left leaving"


@pytest.mark.parametrize(("status", "hours"), [(FAILED, 72), (LEFT, 24)])
def test_failed_or_left_member_is_reaped(status: str, hours: int) -> None:
    gossip = after_probe(gossip_with(b=status), 0.0, A, C)

    assert set(after_probe(gossip, hours * 3600 - 1, A, C).members) == set(NAMES)
    assert set(after_probe(gossip, hours * 3600, A, C).members) == {A, C}


def test_probe_without_changes_returns_same_object() -> None:
    gossip = gossip_with()

    assert after_probe(gossip, 100.0, *NAMES) is gossip


def test_force_leave_marks_failed_member_as_left() -> None:
    after = force_leave(gossip_with(b=FAILED, lamport_time=3), B, 9.0)

    assert after.members[B] == Member(SETUPS[B], LEFT, 4, 9.0)


def test_force_leave_marks_live_member_as_leaving() -> None:
    assert statuses(force_leave(gossip_with(), B, 9.0)) == "alive leaving alive"


@pytest.mark.parametrize("name", [A, B, "unknown.global"])
def test_force_leave_ignores_left_unknown_and_own_members(name: str) -> None:
    gossip = gossip_with(b=LEFT)

    assert force_leave(gossip, name, 9.0) is gossip


def test_only_left_member_is_pruned() -> None:
    gossip = gossip_with(b=LEFT, c=FAILED)

    assert set(prune(gossip, B).members) == {A, C}
    assert prune(gossip, C) is gossip
    assert prune(gossip, "unknown.global") is gossip


def test_restarted_server_is_alive_with_a_later_lamport_time() -> None:
    before = after_probe(gossip_with(lamport_time=7, a=LEAVING), 100.0, A, C)
    other = replace(SETUPS[A], datacenter="dc2")

    assert restart(before, other, 200.0).local_member == Member(other, ALIVE, 8, 200.0)


def test_restarted_server_knows_itself_and_prior_addresses() -> None:
    before = gossip_with(b=FAILED)

    assert set(restart(before, SETUPS[A], 200.0).members) == {A}
    assert before.alive_addresses == ("host-a:4648", "host-c:4648")


def test_merge_adds_new_members() -> None:
    mine = create(SETUPS[A], 1.0)

    assert set(merge(mine, gossip_with(B), 9.0).members) == set(NAMES)
    assert merge(mine, gossip_with(B), 9.0).members[C].status_since == 9.0


def test_merge_adds_no_failed_or_left_member() -> None:
    assert set(merge(create(SETUPS[A], 1.0), gossip_with(B, c=FAILED), 9.0).members) == {A, B}
    assert set(merge(create(SETUPS[A], 1.0), gossip_with(B, c=LEFT), 9.0).members) == {A, B}


def test_merge_takes_the_newer_status() -> None:
    mine, theirs = gossip_with(A, lamport_time=3), with_status(gossip_with(B, lamport_time=3), C, LEAVING, 1.0)

    assert statuses(merge(mine, theirs, 9.0)) == "alive alive leaving"
    assert statuses(merge(theirs, mine, 9.0)) == "alive alive leaving"


def test_merge_takes_failure_of_a_suspected_member() -> None:
    theirs = gossip_with(B, c=FAILED)

    assert statuses(merge(gossip_with(A), theirs, 9.0)) == "alive alive alive"
    assert statuses(merge(after_probe(gossip_with(A), 5.0, A, B), theirs, 9.0)) == "alive alive failed"


@pytest.mark.parametrize("status", [LEAVING, LEFT])
@pytest.mark.parametrize("newer", [0, 1, 5])
def test_live_server_refutes_a_claim_that_it_left(status: str, newer: int) -> None:
    mine, theirs = gossip_with(A, lamport_time=3), gossip_with(B, lamport_time=3 + newer, a=status)
    refuted = merge(mine, theirs, 9.0)

    assert refuted.local_member.status == ALIVE
    assert refuted.local_member.lamport_time > theirs.lamport_time
    assert merge(theirs, refuted, 10.0).members[A].status == ALIVE


def test_claim_with_older_lamport_time_needs_no_refutation() -> None:
    mine = gossip_with(A, lamport_time=3)

    assert merge(mine, gossip_with(B, lamport_time=2, a=LEAVING), 9.0) == mine


def test_merge_of_equal_members_returns_same_object() -> None:
    mine = gossip_with(A)

    assert merge(mine, gossip_with(B), 9.0) is mine


@given(st.data())
def test_repeated_merges_converge(data: st.DataObject) -> None:
    def any_state(local_name: str) -> Gossip:
        others = {
            name: Member(
                SETUPS[name],
                data.draw(st.sampled_from([ALIVE, LEAVING, LEFT])),
                data.draw(st.integers(1, 4)),
                0.0,
            )
            for name in NAMES
            if name != local_name
        }
        own = Member(SETUPS[local_name], ALIVE, data.draw(st.integers(1, 4)), 0.0)
        return Gossip(local_name, {local_name: own, **others})

    one, other = any_state(A), any_state(B)
    is_c_decidable = (
        one.members[C].lamport_time != other.members[C].lamport_time or one.members[C].status == other.members[C].status
    )
    for _ in range(3):
        one, other = merge(one, other, 9.0), merge(other, one, 9.0)

    assert one.members[A].status == other.members[A].status == ALIVE
    assert one.members[B].status == other.members[B].status == ALIVE
    assert not is_c_decidable or one.members[C].status == other.members[C].status


def test_status_changes_are_logged() -> None:
    before, after = gossip_with(c=FAILED), gossip_with(b=FAILED, c=LEFT)

    assert events(before, after) == (
        LogMessage("info", "serf: EventMemberFailed: b.global host-b"),
        LogMessage("info", "serf: EventMemberLeave: c.global host-c"),
    )


def test_new_members_are_logged() -> None:
    before = create(SETUPS[A], 1.0)

    assert events(before, merge(before, gossip_with(B), 9.0)) == (
        LogMessage("info", "serf: EventMemberJoin: b.global host-b"),
        LogMessage("info", "serf: EventMemberJoin: c.global host-c"),
    )


def test_unchanged_and_leaving_members_are_not_logged() -> None:
    before = gossip_with()

    assert events(before, before) == ()
    assert events(before, with_status(before, B, LEAVING, 9.0)) == ()
