"""Tests of the client part: accepted and failed heartbeats, and restarts."""

from __future__ import annotations

from nomad_sim.model.clients import Client, accept_heartbeat, fail_heartbeat, restart
from nomad_sim.model.timing import Range, Timing

NEW = Client(("a:4647", "b:4647", "c:4647"), last_heartbeat=100.0, next_heartbeat=100.001)


def longest(bounds: Range) -> float:
    return bounds[1]


def test_accepted_heartbeat_sets_ttl_and_servers() -> None:
    after = accept_heartbeat(NEW, ("b:4647",), 101.0, Timing(), longest)

    assert after == Client(("b:4647",), last_heartbeat=101.0, next_heartbeat=121.0, ttl=20.0, registered=True)


def test_failed_heartbeat_retries_later_with_next_server() -> None:
    after = fail_heartbeat(NEW, 101.0, Timing(), longest)

    assert after == Client(("b:4647", "c:4647", "a:4647"), last_heartbeat=100.0, next_heartbeat=116.0)


def test_client_without_servers_keeps_retrying() -> None:
    assert fail_heartbeat(Client((), 100.0, 100.0), 101.0, Timing(), longest) == Client((), 100.0, 116.0)


def test_restarted_client_keeps_registration_and_allocations() -> None:
    before = Client(("b:4647",), 101.0, 121.0, ttl=20.0, registered=True, allocations=4)

    assert restart(before, NEW.servers, 130.0) == Client(
        NEW.servers, 130.0, 130.0, ttl=0.0, registered=True, allocations=4
    )
