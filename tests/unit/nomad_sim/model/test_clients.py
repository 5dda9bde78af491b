"""A client: its heartbeats, and the servers it tries."""

from __future__ import annotations

from nomad_sim.model.clients import Client, accept_heartbeat, fail_heartbeat, restart
from nomad_sim.model.timing import Range, Timing

NEW = Client(("a:4647", "b:4647", "c:4647"), last_heartbeat=100.0, next_heartbeat=100.001)


def longest(between: Range) -> float:
    return between[1]


def test_a_heartbeat_that_was_taken_tells_when_the_next_is_due_and_which_servers_live() -> None:
    after = accept_heartbeat(NEW, ("b:4647",), 101.0, Timing(), longest)

    assert after == Client(("b:4647",), last_heartbeat=101.0, next_heartbeat=121.0, ttl=20.0, registered=True)


def test_after_a_heartbeat_that_failed_the_next_server_is_tried_later() -> None:
    after = fail_heartbeat(NEW, 101.0, Timing(), longest)

    assert after == Client(("b:4647", "c:4647", "a:4647"), last_heartbeat=100.0, next_heartbeat=116.0)


def test_a_client_without_servers_tries_on() -> None:
    assert fail_heartbeat(Client((), 100.0, 100.0), 101.0, Timing(), longest) == Client((), 100.0, 116.0)


def test_a_client_that_starts_again_remembers_that_it_was_registered_and_its_allocations() -> None:
    before = Client(("b:4647",), 101.0, 121.0, ttl=20.0, registered=True, allocations=4)

    assert restart(before, NEW.servers, 130.0) == Client(
        NEW.servers, 130.0, 130.0, ttl=0.0, registered=True, allocations=4
    )
