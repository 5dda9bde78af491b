"""What the servers have about their clients."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model.nodes import (
    DOWN,
    READY,
    Node,
    expired,
    is_ready,
    mark_down,
    record_heartbeat,
    set_allocations,
)
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup

C1, C2 = (Setup(name, f"id-{name}", server=False, client=True) for name in ("c1", "c2"))
LED = 50.0
TIMING = Timing()
KNOWN = {"id-c1": Node(C1, READY, create_index=7, modify_index=7, last_heartbeat=100.0, ttl=12.0)}


def test_a_client_that_is_new_is_registered_with_the_entry() -> None:
    assert record_heartbeat(KNOWN, C2, 9, 103.0, 15.0) == {**KNOWN, "id-c2": Node(C2, READY, 9, 9, 103.0, 15.0)}


def test_a_heartbeat_changes_when_the_client_was_heard_and_no_index() -> None:
    assert record_heartbeat(KNOWN, C1, 0, 103.0, 15.0) == {
        "id-c1": replace(KNOWN["id-c1"], last_heartbeat=103.0, ttl=15.0)
    }


def test_a_client_that_was_down_is_ready_again_with_the_entry() -> None:
    downed = mark_down(KNOWN, ("id-c1",), 8)

    assert downed["id-c1"].status == DOWN
    assert record_heartbeat(downed, C1, 9, 103.0, 15.0) == {"id-c1": Node(C1, READY, 7, 9, 103.0, 15.0)}


def test_a_client_that_comes_back_with_another_setup_is_registered_with_the_entry() -> None:
    other = replace(C1, datacenter="dc2")

    assert record_heartbeat(KNOWN, other, 9, 103.0, 15.0) == {"id-c1": Node(other, READY, 7, 9, 103.0, 15.0)}


def test_only_a_client_that_is_known_as_it_is_and_ready_changes_nothing() -> None:
    assert is_ready(KNOWN, C1)
    assert not is_ready(KNOWN, C2)
    assert not is_ready(KNOWN, replace(C1, datacenter="dc2"))
    assert not is_ready(mark_down(KNOWN, ("id-c1",), 8), C1)


def test_a_client_is_overdue_after_its_time_to_live_and_the_grace() -> None:
    assert expired(KNOWN, 122.0, LED, TIMING) == ()
    assert expired(KNOWN, 122.1, LED, TIMING) == ("id-c1",)


def test_a_client_that_a_new_leader_has_not_heard_itself_has_five_minutes() -> None:
    assert expired(KNOWN, 420.0, 110.0, TIMING) == ()
    assert expired(KNOWN, 420.1, 110.0, TIMING) == ("id-c1",)


def test_a_client_that_is_down_is_not_overdue_again() -> None:
    assert expired(mark_down(KNOWN, ("id-c1",), 8), 200.0, LED, TIMING) == ()


def test_a_client_goes_down_with_the_entry_and_no_other_does() -> None:
    both = record_heartbeat(KNOWN, C2, 9, 103.0, 15.0)

    assert mark_down(both, ("id-c1",), 10) == {**both, "id-c1": replace(both["id-c1"], status=DOWN, modify_index=10)}


def test_allocations_change_with_the_entry() -> None:
    assert set_allocations(KNOWN, "id-c1", 3, 11)["id-c1"] == replace(KNOWN["id-c1"], allocations=3, modify_index=11)
