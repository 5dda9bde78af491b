"""Heartbeats of the clients, and their allocations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from nomad_sim.model import heartbeats
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.nodes import DOWN, READY, Node
from nomad_sim.model.timing import Timing
from tests.support.clusters import (
    calm_cluster,
    client_of,
    client_setups,
    followers,
    instants,
    leader,
    messages,
    new_cluster,
    pass_time,
    raft_of,
    server_setups,
    time_until,
)

TTL_AND_GRACE = 20.0 + 10.0


def node(cluster: Cluster, name: str = "c1") -> Node:
    return cluster.world.nodes["global"][f"id-global-{name}"]


def age(cluster: Cluster, name: str = "c1") -> float:
    """Seconds since the last heartbeat."""
    return cluster.world.now - client_of(cluster, name).last_heartbeat


def lonely(cluster: Cluster, name: str = "c1") -> None:
    """Cuts a client off from all servers."""
    cluster.partition(name, cluster.world.running())


def test_a_client_is_registered_when_there_is_a_leader() -> None:
    cluster = new_cluster(clients=1)
    assert (client_of(cluster, "c1").registered, client_of(cluster, "c1").ttl) == (False, 0.0)
    pass_time(cluster, 20)

    client = client_of(cluster, "c1")
    assert client.registered
    assert 10 <= client.ttl <= 20
    assert (node(cluster).status, node(cluster).ttl) == (READY, client.ttl)
    assert messages(cluster, "c1").count("node registration complete") == 1


def test_the_last_heartbeat_is_never_older_than_the_time_to_live() -> None:
    cluster = calm_cluster(clients=2)
    pass_time(cluster, 20)
    for _ in instants(cluster, 120):
        assert all(age(cluster, name) <= client_of(cluster, name).ttl <= 20 for name in ("c1", "c2"))


def test_a_heartbeat_of_a_client_that_is_ready_writes_nothing() -> None:
    setups = server_setups(3)
    cluster = Cluster([*setups, *client_setups(1, setups)], replace(Timing(), churn=(1e6, 1e6)), 1, 0.0)
    pass_time(cluster, 20)
    before, last = node(cluster), raft_of(cluster, leader(cluster)).log.last
    pass_time(cluster, 60)

    assert node(cluster).last_heartbeat > before.last_heartbeat
    assert (node(cluster).modify_index, raft_of(cluster, leader(cluster)).log.last) == (before.modify_index, last)


def test_a_client_that_was_frozen_for_moments_sends_no_more_heartbeats_than_before() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    for _ in range(3):
        cluster.pause("c1")
        cluster.resume("c1")
    before = messages(cluster, "c1").count("next heartbeat")
    pass_time(cluster, 100)

    assert 5 <= messages(cluster, "c1").count("next heartbeat") - before <= 10


def test_the_last_heartbeat_of_a_client_that_is_cut_off_grows_past_its_time_to_live() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = client_of(cluster, "c1")
    lonely(cluster)
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


def test_a_client_that_is_cut_off_is_down_for_the_servers_and_ready_when_it_is_back() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    lonely(cluster)
    registered = node(cluster).create_index

    left = client_of(cluster, "c1").ttl + Timing().heartbeat_grace - age(cluster)
    assert left < time_until(cluster, lambda: node(cluster).status == DOWN) < left + 0.5
    assert node(cluster).modify_index > registered

    cluster.heal("c1")
    assert time_until(cluster, lambda: node(cluster).status == READY) <= 15.5
    assert age(cluster) == 0
    assert node(cluster).create_index == registered


def test_a_client_does_not_lose_its_place_when_it_comes_back_in_time() -> None:
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


def test_a_client_sends_nothing_while_it_is_frozen_or_dead() -> None:
    for stop in (Cluster.pause, Cluster.kill):
        cluster = calm_cluster(clients=1)
        pass_time(cluster, 20)
        stop(cluster, "c1")
        before = client_of(cluster, "c1")
        pass_time(cluster, TTL_AND_GRACE + 1)

        assert client_of(cluster, "c1") == before
        assert node(cluster).status == DOWN


def test_a_client_that_is_thawed_sends_what_is_overdue_at_once() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.pause("c1")
    pass_time(cluster, TTL_AND_GRACE + 1)
    cluster.resume("c1")
    pass_time(cluster, 0)

    assert age(cluster) == 0
    assert node(cluster).status == READY


def test_a_client_that_starts_again_is_registered_again() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.kill("c1")
    pass_time(cluster, 1)
    cluster.start("c1")
    pass_time(cluster, 0.1)

    assert client_of(cluster, "c1").ttl
    assert messages(cluster, "c1").count("node registration complete") == 2


def test_the_servers_that_a_client_knows_are_those_alive_at_its_last_heartbeat() -> None:
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


def test_a_client_tries_its_servers_in_turn() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.partition("c1", ["s1.global", "s2.global"])

    pass_time(cluster, 60)

    assert age(cluster) <= 20


def test_a_client_that_knows_no_server_that_is_one_tries_on() -> None:
    setups = server_setups(1)
    stray = replace(client_setups(1, setups)[0], servers=("127.0.9.9:4647",))
    cluster = Cluster([*setups, stray], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert not client_of(cluster, "c1").registered
    assert age(cluster) == cluster.world.now
    assert cluster.world.nodes["global"] == {}


def test_a_heartbeat_needs_a_leader() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    for name in followers(cluster):
        cluster.kill(name)
    pass_time(cluster, 60)

    assert age(cluster) > 39
    assert node(cluster).status == READY


def test_a_leader_is_reached_through_a_server_that_reaches_it() -> None:
    cluster = calm_cluster(clients=1)
    first, (second, third) = leader(cluster), followers(cluster)
    world = cluster.world

    assert heartbeats.leader_through(world, "c1", first) == first
    assert heartbeats.leader_through(world, "c1", second) == first
    cluster.partition("c1", [first])
    assert heartbeats.leader_through(world, "c1", first) is None
    assert heartbeats.leader_through(world, "c1", second) == first
    cluster.partition(second, [first])
    assert heartbeats.leader_through(world, "c1", second) is None
    assert heartbeats.leader_through(world, "c1", third) == first
    cluster.kill(first)
    assert heartbeats.leader_through(world, "c1", third) is None
    pass_time(cluster, 2.5)
    cluster.start(first)
    assert heartbeats.leader_through(world, "c1", third) in (None, second, third)


def test_a_server_that_leads_no_more_is_not_the_leader() -> None:
    cluster = calm_cluster(clients=1)
    first, other = leader(cluster), followers(cluster)[0]
    cluster.kill(first)
    cluster.start(first)

    assert cluster.world.leader_of(other)
    assert heartbeats.leader_through(cluster.world, "c1", other) is None


def test_allocations_come_and_go_on_the_servers_and_on_the_client() -> None:
    (setup,) = server_setups(1)
    cluster = Cluster([setup, *client_setups(1, [setup])], replace(Timing(), churn=(1.0, 1.0)), 1, 0.0)
    pass_time(cluster, 20)
    observed = [client_of(cluster, "c1").allocations]
    for _ in range(1500):
        pass_time(cluster, 1)
        assert client_of(cluster, "c1").allocations == node(cluster).allocations
        observed.append(node(cluster).allocations)

    assert set(observed) == set(range(heartbeats.MAX_ALLOCATIONS + 1))
    assert all(abs(before - after) == 1 for before, after in pairwise(observed))


def test_an_allocation_is_two_entries_that_are_committed() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = raft_of(cluster, leader(cluster)).log.last
    allocations = node(cluster).allocations
    time_until(cluster, lambda: node(cluster).allocations != allocations)

    assert raft_of(cluster, leader(cluster)).log.last == node(cluster).modify_index == before + 2
    pass_time(cluster, 0.3)
    assert {raft_of(cluster, name).commit_index for name in cluster.world.running()} >= {before + 2}


def test_a_client_that_is_cut_off_learns_of_its_allocations_when_it_is_back() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    before = client_of(cluster, "c1").allocations
    lonely(cluster)
    time_until(cluster, lambda: node(cluster).allocations != before)
    assert client_of(cluster, "c1").allocations == before

    cluster.heal("c1")
    pass_time(cluster, 40)
    assert client_of(cluster, "c1").allocations == node(cluster).allocations


def test_nothing_is_placed_where_no_client_is_ready_or_no_one_leads() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 20)
    cluster.kill("c1")
    pass_time(cluster, TTL_AND_GRACE + 1)
    last = raft_of(cluster, leader(cluster)).log.last
    pass_time(cluster, 60)

    assert raft_of(cluster, leader(cluster)).log.last == last


def test_each_region_has_its_own_clients_and_work() -> None:
    here, there = server_setups(1), server_setups(1, region="eu", net=2)
    cluster = Cluster([*here, *there, *client_setups(1, here)], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert set(cluster.world.nodes["global"]) == {"id-global-c1"}
    assert cluster.world.nodes["eu"] == {}
    assert raft_of(cluster, "s1.eu").log.last == 2


def test_what_is_given_to_a_client_that_came_back_under_another_id_reaches_nobody() -> None:
    cluster = calm_cluster(clients=1, seed=4)
    pass_time(cluster, 20)
    cluster.kill("c1")
    cluster.start("c1", replace(cluster.world.agents["c1"].setup, id="id-other"))
    before = cluster.world.nodes["global"]["id-global-c1"]
    pass_time(cluster, 20)

    assert cluster.world.nodes["global"]["id-global-c1"].allocations != before.allocations
    assert "id-other" in cluster.world.nodes["global"]
