"""Tests of connectivity and gossip reachability between agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, compress, product

from nomad_sim.model.agents import Agent, State
from nomad_sim.model.network import Partitions, Reach, can_gossip, gossip_reachable, reach
from tests.support.clusters import calm_cluster, new_cluster

S1, S2, S3 = NAMES = ("s1.global", "s2.global", "s3.global")


def agents(**states: State) -> Mapping[str, Agent]:
    """Return three servers that know each other, and a client, with process states by the first part of their names."""
    servers = calm_cluster(clients=1).world.agents
    return {name: replace(agent, state=states.get(name[:2], State.RUNNING)) for name, agent in servers.items()}


def partitioned(one: str, other: str) -> Partitions:
    return frozenset({frozenset((one, other))})


def test_running_agent_accepts_connections() -> None:
    assert reach(agents(), frozenset(), S1, S2) is Reach.CONNECTED


def test_dead_agent_refuses_connections() -> None:
    assert reach(agents(s2=State.DEAD), frozenset(), S1, S2) is Reach.REFUSED


def test_connection_to_paused_agent_times_out() -> None:
    assert reach(agents(s2=State.PAUSED), frozenset(), S1, S2) is Reach.TIMED_OUT


def test_partition_times_out_in_any_state() -> None:
    for state in State:
        assert reach(agents(s2=state), partitioned(S1, S2), S1, S2) is Reach.TIMED_OUT
        assert reach(agents(s2=state), partitioned(S1, S2), S2, S1) is Reach.TIMED_OUT


def test_agent_always_reaches_itself() -> None:
    for state in State:
        assert reach(agents(s1=state), frozenset(), S1, S1) is Reach.CONNECTED


def test_gossip_reaches_servers_through_others() -> None:
    assert gossip_reachable(agents(), partitioned(S1, S2), S1) == {S1, S2, S3}


def test_gossip_does_not_pass_through_stopped_servers() -> None:
    assert gossip_reachable(agents(s3=State.DEAD), partitioned(S1, S2), S1) == {S1}
    assert gossip_reachable(agents(s3=State.PAUSED), partitioned(S1, S2), S1) == {S1}


def test_server_without_members_reaches_only_itself() -> None:
    assert gossip_reachable(new_cluster().world.agents, frozenset(), S1) == {S1}


def test_server_with_other_encryption_is_excluded_from_gossip() -> None:
    servers = agents()
    mixed = {**servers, S2: replace(servers[S2], setup=replace(servers[S2].setup, encrypted=True))}

    assert reach(mixed, frozenset(), S1, S2) is Reach.CONNECTED
    assert not can_gossip(mixed, frozenset(), S1, S2)
    assert not can_gossip(mixed, frozenset(), S2, S1)
    assert gossip_reachable(mixed, frozenset(), S2) == {S2}
    assert gossip_reachable(mixed, frozenset(), S1) == {S1, S3}


def test_gossip_passes_if_encryption_is_the_same() -> None:
    servers = agents(s3=State.DEAD)
    encrypted = {name: replace(agent, setup=replace(agent.setup, encrypted=True)) for name, agent in servers.items()}

    for each in (servers, encrypted):
        assert can_gossip(each, frozenset(), S1, S2)
        assert not can_gossip(each, frozenset(), S1, S3)
        assert not can_gossip(each, partitioned(S1, S2), S1, S2)


def test_client_takes_no_part_in_gossip() -> None:
    assert gossip_reachable(agents(), frozenset(), "c1") == {"c1"}


def test_gossip_reachability_is_symmetric() -> None:
    servers = agents()
    for mask in product([True, False], repeat=3):
        partitions = frozenset(map(frozenset, compress(combinations(NAMES, 2), mask)))
        reachable = {name: gossip_reachable(servers, partitions, name) for name in NAMES}

        assert all((one in reachable[other]) == (other in reachable[one]) for one in NAMES for other in NAMES)
