"""Tests of client heartbeats and allocations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from nomad_sim.model import heartbeats
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.nodes import DOWN, READY, Node
from nomad_sim.model.timing import Timing
from tests.support.clusters import (
    advance_by_event,
    calm_cluster,
    client_of,
    client_setups,
    followers,
    leader,
    messages,
    new_cluster,
    pass_time,
    raft_of,
    server_setups,
    time_until,
)

pytestmark = pytest.mark.slow  # Minutes of simulated time.

TTL_AND_GRACE = 20.0 + 10.0


def node(cluster: Cluster, name: str = "c1") -> Node:
    return cluster.world.nodes["global"][f"id-global-{name}"]


def age(cluster: Cluster, name: str = "c1") -> float:
    """Return the seconds since the client's last accepted heartbeat."""
    return cluster.world.now - client_of(cluster, name).last_heartbeat


def isolate(cluster: Cluster, name: str = "c1") -> None:
    """Partition a client from all running servers."""
    cluster.partition(name, cluster.world.running())


def test_client_registers_once_a_leader_is_elected() -> None:
    cluster = new_cluster(clients=1)
    assert (client_of(cluster, "c1").registered, client_of(cluster, "c1").ttl) == (False, 0.0)
    pass_time(cluster, 20)

    client = client_of(cluster, "c1")
    assert client.registered
    assert 10 <= client.ttl <= 20
    assert (node(cluster).status, node(cluster).ttl) == (READY, client.ttl)
    assert messages(cluster, "c1").count("node registration complete") == 1


def test_last_heartbeat_is_never_older_than_its_ttl() -> None:
    cluster = calm_cluster(clients=2)
    pass_time(cluster, 20)
    for _ in advance_by_event(cluster, 120):
        assert all(age(cluster, name) <= client_of(cluster, name).ttl <= 20 for name in ("c1", "c2"))


def test_heartbeat_of_ready_client_writes_no_entry() -> None:
    setups = server_setups(3)
    cluster = Cluster([*setups, *client_setups(1, setups)], replace(Timing(), churn=(1e6, 1e6)), 1, 0.0)
    pass_time(cluster, 20)
    before, last = node(cluster), raft_of(cluster, leader(cluster)).log.last
    pass_time(cluster, 60)

    assert node(cluster).last_heartbeat > before.last_heartbeat
    assert (node(cluster).modify_index, raft_of(cluster, leader(cluster)).log.last) == (before.modify_index, last)


def test_brief_pauses_do_not_multiply_heartbeats() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    for _ in range(3):
        cluster.pause("c1")
        cluster.resume("c1")
    before = messages(cluster, "c1").count("next heartbeat")
    pass_time(cluster, 100)

    assert 5 <= messages(cluster, "c1").count("next heartbeat") - before <= 10


def test_isolated_client_exceeds_its_ttl() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = client_of(cluster, "c1")
    isolate(cluster)
    pass_time(cluster, 60)

    after = client_of(cluster, "c1")
    assert (after.last_heartbeat, after.ttl, after.allocations) == (
        before.last_heartbeat,
        before.ttl,
        before.allocations,
    )
    assert sorted(after.servers) == sorted(before.servers)
    assert age(cluster) > 60 > after.ttl
    assert "error heartbeating" in messages(cluster, "c1")


def test_isolated_node_is_down_and_ready_once_healed() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    isolate(cluster)
    create_index = node(cluster).create_index

    remaining = client_of(cluster, "c1").ttl + Timing().heartbeat_grace - age(cluster)
    assert remaining < time_until(cluster, lambda: node(cluster).status == DOWN) < remaining + 0.5
    assert node(cluster).modify_index > create_index

    cluster.heal("c1")
    assert time_until(cluster, lambda: node(cluster).status == READY) <= 15.5
    assert age(cluster) == 0
    assert node(cluster).create_index == create_index


def test_node_paused_shorter_than_its_ttl_stays_ready() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = node(cluster)
    cluster.pause("c1")
    pass_time(cluster, 9)
    assert node(cluster).last_heartbeat == before.last_heartbeat or age(cluster) < 9
    cluster.resume("c1")
    pass_time(cluster, 20)

    assert (node(cluster).status, node(cluster).create_index) == (READY, before.create_index)
    assert node(cluster).last_heartbeat > before.last_heartbeat


def test_paused_or_dead_client_sends_no_heartbeat() -> None:
    for stop in (Cluster.pause, Cluster.kill):
        cluster = calm_cluster(clients=1)
        pass_time(cluster, 20)
        stop(cluster, "c1")
        before = client_of(cluster, "c1")
        pass_time(cluster, TTL_AND_GRACE + 1)

        assert client_of(cluster, "c1") == before
        assert node(cluster).status == DOWN


def test_resumed_client_sends_overdue_heartbeat_at_once() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.pause("c1")
    pass_time(cluster, TTL_AND_GRACE + 1)
    cluster.resume("c1")
    pass_time(cluster, 0)

    assert age(cluster) == 0
    assert node(cluster).status == READY


def test_restarted_client_registers_again() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.kill("c1")
    pass_time(cluster, 1)
    cluster.start("c1")
    pass_time(cluster, 0.1)

    assert client_of(cluster, "c1").ttl
    assert messages(cluster, "c1").count("node registration complete") == 2


def test_heartbeat_updates_the_clients_servers() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    dead = followers(cluster)[0]
    address = cluster.world.agents[dead].setup.rpc_address
    cluster.kill(dead)
    pass_time(cluster, 30)
    assert address in client_of(cluster, "c1").servers

    pass_time(cluster, 30)
    assert set(client_of(cluster, "c1").servers) == {
        cluster.world.agents[name].setup.rpc_address for name in cluster.world.running()
    }

    cluster.start(dead)
    pass_time(cluster, 21)
    assert address in client_of(cluster, "c1").servers


def test_client_tries_its_servers_in_order() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.partition("c1", ["s1.global", "s2.global"])

    pass_time(cluster, 60)

    assert age(cluster) <= 20


def test_client_with_unknown_servers_never_registers() -> None:
    setups = server_setups(1)
    stray = replace(client_setups(1, setups)[0], servers=("127.0.9.9:4647",))
    cluster = Cluster([*setups, stray], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert not client_of(cluster, "c1").registered
    assert age(cluster) == cluster.world.now
    assert cluster.world.nodes["global"] == {}


def test_heartbeat_needs_a_leader() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    for name in followers(cluster):
        cluster.kill(name)
    pass_time(cluster, 60)

    assert age(cluster) > 39
    assert node(cluster).status == READY


def test_leader_is_reached_only_through_connected_servers() -> None:
    cluster = calm_cluster(clients=1)
    leader_name, (second, third) = leader(cluster), followers(cluster)
    world = cluster.world

    assert heartbeats.leader_through(world, "c1", leader_name) == leader_name
    assert heartbeats.leader_through(world, "c1", second) == leader_name
    cluster.partition("c1", [leader_name])
    assert heartbeats.leader_through(world, "c1", leader_name) is None
    assert heartbeats.leader_through(world, "c1", second) == leader_name
    cluster.partition(second, [leader_name])
    assert heartbeats.leader_through(world, "c1", second) is None
    assert heartbeats.leader_through(world, "c1", third) == leader_name
    cluster.kill(leader_name)
    assert heartbeats.leader_through(world, "c1", third) is None
    pass_time(cluster, 2.5)
    cluster.start(leader_name)
    assert heartbeats.leader_through(world, "c1", third) in (None, second, third)


def test_restarted_leader_is_not_used_as_leader() -> None:
    cluster = calm_cluster(clients=1)
    first, other = leader(cluster), followers(cluster)[0]
    cluster.kill(first)
    cluster.start(first)

    assert cluster.world.leader_of(other)
    assert heartbeats.leader_through(cluster.world, "c1", other) is None


def test_allocations_change_on_servers_and_client_alike() -> None:
    (setup,) = server_setups(1)
    cluster = Cluster([setup, *client_setups(1, [setup])], replace(Timing(), churn=(1.0, 1.0)), 1, 0.0)
    pass_time(cluster, 20)
    counts = [client_of(cluster, "c1").allocations]
    for _ in range(1500):
        pass_time(cluster, 1)
        assert client_of(cluster, "c1").allocations == node(cluster).allocations
        counts.append(node(cluster).allocations)

    assert set(counts) == set(range(heartbeats.MAX_ALLOCATIONS + 1))
    assert all(abs(before - after) == 1 for before, after in pairwise(counts))


def test_allocation_change_commits_two_entries() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = raft_of(cluster, leader(cluster)).log.last
    allocations = node(cluster).allocations
    time_until(cluster, lambda: node(cluster).allocations != allocations)

    assert raft_of(cluster, leader(cluster)).log.last == node(cluster).modify_index == before + 2
    pass_time(cluster, 0.3)
    assert {raft_of(cluster, name).commit_index for name in cluster.world.running()} >= {before + 2}


def test_isolated_client_updates_allocations_once_healed() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = client_of(cluster, "c1").allocations
    isolate(cluster)
    time_until(cluster, lambda: node(cluster).allocations != before)
    assert client_of(cluster, "c1").allocations == before

    cluster.heal("c1")
    pass_time(cluster, 40)
    assert client_of(cluster, "c1").allocations == node(cluster).allocations


def test_no_allocation_is_placed_without_ready_node() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.kill("c1")
    pass_time(cluster, TTL_AND_GRACE + 1)
    last = raft_of(cluster, leader(cluster)).log.last
    pass_time(cluster, 60)

    assert raft_of(cluster, leader(cluster)).log.last == last


def test_each_region_has_its_own_nodes_and_allocations() -> None:
    here, there = server_setups(1), server_setups(1, region="eu", net=2)
    cluster = Cluster([*here, *there, *client_setups(1, here)], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert set(cluster.world.nodes["global"]) == {"id-global-c1"}
    assert cluster.world.nodes["eu"] == {}
    assert raft_of(cluster, "s1.eu").log.last == 2


def test_allocation_of_replaced_node_id_reaches_no_client() -> None:
    cluster = calm_cluster(clients=1, seed=4)
    pass_time(cluster, 20)
    cluster.kill("c1")
    cluster.start("c1", replace(cluster.world.agents["c1"].setup, id="id-other"))
    before = cluster.world.nodes["global"]["id-global-c1"]
    pass_time(cluster, 20)

    assert cluster.world.nodes["global"]["id-global-c1"].allocations != before.allocations
    assert "id-other" in cluster.world.nodes["global"]
