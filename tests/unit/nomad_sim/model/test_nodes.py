"""What the servers have about their clients."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.model.nodes import (
    DOWN,
    READY,
    Node,
    down,
    heard,
    is_ready,
    overdue,
    with_allocations,
)
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.setup import Setup

C1, C2 = (Setup(name, f"id-{name}", server=False, client=True) for name in ("c1", "c2"))
LED = 50.0
TIMING = Timing()
KNOWN = {"id-c1": Node(C1, READY, created=7, modified=7, heard=100.0, ttl=12.0)}


def test_a_client_that_is_new_is_registered_with_the_entry() -> None:
    assert heard(KNOWN, C2, 9, 103.0, 15.0) == {**KNOWN, "id-c2": Node(C2, READY, 9, 9, 103.0, 15.0)}


def test_a_heartbeat_changes_when_the_client_was_heard_and_no_index() -> None:
    assert heard(KNOWN, C1, 0, 103.0, 15.0) == {"id-c1": replace(KNOWN["id-c1"], heard=103.0, ttl=15.0)}


def test_a_client_that_was_down_is_ready_again_with_the_entry() -> None:
    fallen = down(KNOWN, ("id-c1",), 8)

    assert fallen["id-c1"].status == DOWN
    assert heard(fallen, C1, 9, 103.0, 15.0) == {"id-c1": Node(C1, READY, 7, 9, 103.0, 15.0)}


def test_a_client_that_comes_back_with_another_setup_is_registered_with_the_entry() -> None:
    other = replace(C1, datacenter="dc2")

    assert heard(KNOWN, other, 9, 103.0, 15.0) == {"id-c1": Node(other, READY, 7, 9, 103.0, 15.0)}


def test_only_a_client_that_is_known_as_it_is_and_ready_changes_nothing() -> None:
    assert is_ready(KNOWN, C1)
    assert not is_ready(KNOWN, C2)
    assert not is_ready(KNOWN, replace(C1, datacenter="dc2"))
    assert not is_ready(down(KNOWN, ("id-c1",), 8), C1)


def test_a_client_is_overdue_after_its_time_to_live_and_the_grace() -> None:
    assert overdue(KNOWN, 122.0, LED, TIMING) == ()
    assert overdue(KNOWN, 122.1, LED, TIMING) == ("id-c1",)


def test_a_client_that_a_new_leader_has_not_heard_itself_has_five_minutes() -> None:
    assert overdue(KNOWN, 420.0, 110.0, TIMING) == ()
    assert overdue(KNOWN, 420.1, 110.0, TIMING) == ("id-c1",)


def test_a_client_that_is_down_is_not_overdue_again() -> None:
    assert overdue(down(KNOWN, ("id-c1",), 8), 200.0, LED, TIMING) == ()


def test_a_client_goes_down_with_the_entry_and_no_other_does() -> None:
    both = heard(KNOWN, C2, 9, 103.0, 15.0)

    assert down(both, ("id-c1",), 10) == {**both, "id-c1": replace(both["id-c1"], status=DOWN, modified=10)}


def test_allocations_change_with_the_entry() -> None:
    assert with_allocations(KNOWN, "id-c1", 3, 11)["id-c1"] == replace(KNOWN["id-c1"], allocations=3, modified=11)
