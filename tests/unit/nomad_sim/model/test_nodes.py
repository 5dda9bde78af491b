"""Tests of the nodes in the state store: registration, TTL expiry and allocations."""

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
LEADER_SINCE = 50.0
TIMING = Timing()
KNOWN = {"id-c1": Node(C1, READY, create_index=7, modify_index=7, last_heartbeat=100.0, ttl=12.0)}


def test_new_client_is_registered_at_the_index() -> None:
    assert record_heartbeat(KNOWN, C2, 9, 103.0, 15.0) == {**KNOWN, "id-c2": Node(C2, READY, 9, 9, 103.0, 15.0)}


def test_heartbeat_updates_time_and_ttl_but_no_index() -> None:
    assert record_heartbeat(KNOWN, C1, 0, 103.0, 15.0) == {
        "id-c1": replace(KNOWN["id-c1"], last_heartbeat=103.0, ttl=15.0)
    }


def test_heartbeat_makes_down_node_ready_at_the_index() -> None:
    down = mark_down(KNOWN, ("id-c1",), 8)

    assert down["id-c1"].status == DOWN
    assert record_heartbeat(down, C1, 9, 103.0, 15.0) == {"id-c1": Node(C1, READY, 7, 9, 103.0, 15.0)}


def test_client_with_changed_setup_is_updated_at_the_index() -> None:
    other = replace(C1, datacenter="dc2")

    assert record_heartbeat(KNOWN, other, 9, 103.0, 15.0) == {"id-c1": Node(other, READY, 7, 9, 103.0, 15.0)}


def test_only_ready_client_with_same_setup_needs_no_entry() -> None:
    assert is_ready(KNOWN, C1)
    assert not is_ready(KNOWN, C2)
    assert not is_ready(KNOWN, replace(C1, datacenter="dc2"))
    assert not is_ready(mark_down(KNOWN, ("id-c1",), 8), C1)


def test_node_expires_after_ttl_and_grace() -> None:
    assert expired(KNOWN, 122.0, LEADER_SINCE, TIMING) == ()
    assert expired(KNOWN, 122.1, LEADER_SINCE, TIMING) == ("id-c1",)


def test_node_has_failover_ttl_under_a_new_leader() -> None:
    assert expired(KNOWN, 420.0, 110.0, TIMING) == ()
    assert expired(KNOWN, 420.1, 110.0, TIMING) == ("id-c1",)


def test_down_node_does_not_expire_again() -> None:
    assert expired(mark_down(KNOWN, ("id-c1",), 8), 200.0, LEADER_SINCE, TIMING) == ()


def test_only_the_named_node_is_marked_down_at_the_index() -> None:
    both = record_heartbeat(KNOWN, C2, 9, 103.0, 15.0)

    assert mark_down(both, ("id-c1",), 10) == {**both, "id-c1": replace(both["id-c1"], status=DOWN, modify_index=10)}


def test_allocations_change_at_the_index() -> None:
    assert set_allocations(KNOWN, "id-c1", 3, 11)["id-c1"] == replace(KNOWN["id-c1"], allocations=3, modify_index=11)
