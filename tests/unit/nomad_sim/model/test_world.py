"""The world: what it is asked for, and how it changes."""

from __future__ import annotations

import pytest

from nomad_sim.model.agent_log import LogLine
from nomad_sim.model.gossip import FAILED, with_status
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.timing import Timing
from nomad_sim.model.world import World
from tests.support.clusters import calm_cluster, leader, raft_of


def test_what_is_set_happens_at_its_time() -> None:
    world, times = World(Timing(), 1, 100.0), list[float]()
    world.schedule(101.5, lambda: times.append(world.now))
    world.schedule(99.0, lambda: times.append(world.now))

    world.events.run_until(102.0)

    assert times == [100.0, 101.5]


@pytest.fixture
def world() -> World:
    return calm_cluster(clients=1).world


def test_only_a_server_has_a_server_part(world: World) -> None:
    assert world.server("s1.global").raft.local_id == "id-global-s1"
    with pytest.raises(LookupError, match="c1 is no server"):
        world.server("c1")


def test_servers_are_those_of_the_agents_that_are_none_but_clients(world: World) -> None:
    names = ["s1.global", "s2.global", "s3.global"]

    assert [agent.name for agent in world.servers()] == world.running() == names
    assert "c1" in world.agents


def test_a_server_is_found_by_each_of_its_addresses_and_its_id(world: World) -> None:
    server = world.agents["s2.global"]

    assert world.by_rpc_address("127.0.1.2:4647") is server
    assert world.by_serf_address("127.0.1.2:4648") is server
    assert world.by_raft_id("id-global-s2") is server


def test_nothing_is_found_where_no_server_is(world: World) -> None:
    assert world.by_rpc_address("127.0.1.101:4647") is None
    assert world.by_serf_address("127.0.1.2:4647") is None
    assert world.by_raft_id("id-global-c1") is None


def test_all_know_the_leader_who_has_one() -> None:
    cluster = calm_cluster()

    assert {raft_of(cluster, name).leader for name in cluster.world.running()} == {f"id-global-{leader(cluster)[:2]}"}
    assert all(cluster.world.leader_of(name) is cluster.world.agents[leader(cluster)] for name in cluster.world.agents)


def test_what_gossip_changed_stands_in_the_log_with_the_time(world: World) -> None:
    number = world.logs["s1.global"].next
    world.gossip("s1.global", lambda known: with_status(known, "s2.global", FAILED, world.now))

    assert world.server("s1.global").gossip.members["s2.global"].status == FAILED
    assert world.logs["s1.global"].read_from(number).lines == (
        LogLine(world.now, "info", "nomad", "serf: EventMemberFailed: s2.global 127.0.1.2"),
    )


def test_what_gossip_did_not_change_is_left_as_it_is(world: World) -> None:
    before = world.agents["s1.global"]
    world.gossip("s1.global", lambda known: known)

    assert world.agents["s1.global"] is before


def test_an_agent_writes_into_its_own_log(world: World) -> None:
    number = world.logs["s1.global"].next
    world.log("c1", "client", [LogMessage("warn", "words", (("key", 1),))])

    assert world.logs["c1"].read_from(0).lines[-1] == LogLine(world.now, "warn", "client", "words", (("key", 1),))
    assert world.logs["s1.global"].next == number


def test_questions_go_to_the_leader_as_long_as_gossip_tells_of_it(world: World) -> None:
    led = next(agent for agent in world.servers() if agent.server and agent.server.is_leader).name
    target = next(name for name in world.running() if name != led)
    assert world.known_leader(target) is world.known_leader(led) is world.agents[led]

    world.gossip(target, lambda known: with_status(known, led, FAILED, world.now))

    assert world.known_leader(target) is None
    assert world.leader_of(target) is world.agents[led]
