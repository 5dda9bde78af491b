"""Tests of the world: scheduling, lookups, gossip updates and logs."""

from __future__ import annotations

import pytest

from nomad_sim.model.agent_log import LogLine
from nomad_sim.model.gossip import FAILED, with_status
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.timing import Timing
from nomad_sim.model.world import World
from tests.support.clusters import calm_cluster, leader, raft_of


def test_callback_runs_at_its_time_or_now() -> None:
    world, calls = World(Timing(), 1, 100.0), list[float]()
    world.schedule(101.5, lambda: calls.append(world.now))
    world.schedule(99.0, lambda: calls.append(world.now))

    world.events.run_until(102.0)

    assert calls == [100.0, 101.5]


@pytest.fixture
def world() -> World:
    return calm_cluster(clients=1).world


def test_only_servers_have_a_server_part(world: World) -> None:
    assert world.server("s1.global").raft.local_id == "id-global-s1"
    with pytest.raises(LookupError, match="c1 is not a server"):
        world.server("c1")


def test_servers_exclude_clients(world: World) -> None:
    names = ["s1.global", "s2.global", "s3.global"]

    assert [agent.name for agent in world.servers()] == world.running() == names
    assert "c1" in world.agents


def test_server_is_found_by_addresses_and_raft_id(world: World) -> None:
    server = world.agents["s2.global"]

    assert world.by_rpc_address("127.0.1.2:4647") is server
    assert world.by_serf_address("127.0.1.2:4648") is server
    assert world.by_raft_id("id-global-s2") is server


def test_lookup_of_unknown_address_returns_none(world: World) -> None:
    assert world.by_rpc_address("127.0.1.101:4647") is None
    assert world.by_serf_address("127.0.1.2:4647") is None
    assert world.by_raft_id("id-global-c1") is None


def test_all_servers_know_the_leader() -> None:
    cluster = calm_cluster()

    assert {raft_of(cluster, name).leader for name in cluster.world.running()} == {f"id-global-{leader(cluster)[:2]}"}
    assert all(cluster.world.leader_of(name) is cluster.world.agents[leader(cluster)] for name in cluster.world.agents)


def test_gossip_event_is_logged_with_its_time(world: World) -> None:
    number = world.logs["s1.global"].next
    world.update_gossip("s1.global", lambda known: with_status(known, "s2.global", FAILED, world.now))

    assert world.server("s1.global").gossip.members["s2.global"].status == FAILED
    assert world.logs["s1.global"].read_from(number).lines == (
        LogLine(world.now, "info", "nomad", "serf: EventMemberFailed: s2.global 127.0.1.2"),
    )


def test_unchanged_gossip_keeps_the_agent(world: World) -> None:
    before = world.agents["s1.global"]
    world.update_gossip("s1.global", lambda known: known)

    assert world.agents["s1.global"] is before


def test_agent_writes_to_its_own_log(world: World) -> None:
    number = world.logs["s1.global"].next
    world.log("c1", "client", [LogMessage("warn", "text", (("key", 1),))])

    assert world.logs["c1"].read_from(0).lines[-1] == LogLine(world.now, "warn", "client", "text", (("key", 1),))
    assert world.logs["s1.global"].next == number


def test_requests_go_to_the_leader_only_while_it_is_alive(world: World) -> None:
    leader_name = next(agent for agent in world.servers() if agent.server and agent.server.is_leader).name
    target = next(name for name in world.running() if name != leader_name)
    assert world.known_leader(target) is world.known_leader(leader_name) is world.agents[leader_name]

    world.update_gossip(target, lambda known: with_status(known, leader_name, FAILED, world.now))

    assert world.known_leader(target) is None
    assert world.leader_of(target) is world.agents[leader_name]
