"""Tests of the actions on a cluster: start, kill, pause, partition, leave, join."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.gossip import ALIVE, FAILED, LEAVING, LEFT
from nomad_sim.model.network import Reach
from nomad_sim.model.raft_log import NONVOTER, VOTER
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    client_of,
    followers,
    leader,
    leaders,
    messages,
    new_cluster,
    pass_time,
    raft_of,
    server_setups,
    status,
    suffrage,
    time_until,
)
from tests.support.prepared import copied
from tests.support.profiles import scaled

pytestmark = pytest.mark.slow  # Minutes of simulated time.

S1, S2, S3 = NAMES = ("s1.global", "s2.global", "s3.global")


def test_nothing_happens_before_the_clock_advances() -> None:
    cluster = new_cluster(clients=1)

    assert all(len(cluster.world.server(name).gossip.members) == 1 for name in NAMES)
    assert cluster.world.nodes == {"global": {}}


def test_clock_never_goes_back() -> None:
    cluster = new_cluster()
    cluster.advance(7.0)
    cluster.advance(3.0)

    assert cluster.world.now == 7.0


@settings(max_examples=scaled(10))
@given(st.integers(0, 99), st.lists(st.floats(0.001, 5), min_size=1, max_size=8))
def test_result_of_a_seed_does_not_depend_on_step_sizes(seed: int, steps: list[float]) -> None:
    single, repeated = new_cluster(clients=1, seed=seed), new_cluster(clients=1, seed=seed)
    single.advance(sum(steps))
    for step in steps:
        pass_time(repeated, step)
    repeated.advance(sum(steps))

    assert single.world.agents == repeated.world.agents
    assert single.world.nodes == repeated.world.nodes


@pytest.mark.parametrize("seconds", [0.0, 7.0])
def test_copy_and_original_develop_alike_and_independently(seconds: float) -> None:
    cluster = new_cluster(clients=1)
    pass_time(cluster, seconds)
    before = cluster.world.agents
    copy = copied(cluster)
    pass_time(copy, 60)
    assert cluster.world.agents is before
    pass_time(cluster, 60)

    assert cluster.world.agents == copy.world.agents != before
    assert cluster.world.nodes == copy.world.nodes
    assert [messages(cluster, name) for name in NAMES] == [messages(copy, name) for name in NAMES]
    assert cluster.world.rng.random() == copy.world.rng.random()


def test_pace_speeds_up_elections_and_failure_detection() -> None:
    cluster = Cluster(server_setups(3), Timing().at_pace(10), 1, 0.0)
    assert time_until(cluster, lambda: leaders(cluster)) < 0.6
    dead = followers(cluster)[0]
    cluster.kill(dead)

    assert 3.4 < time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED) < 3.7


@pytest.mark.parametrize(
    ("action", "state", "reach"),
    [(Cluster.kill, State.DEAD, Reach.REFUSED), (Cluster.pause, State.PAUSED, Reach.TIMED_OUT)],
)
def test_killed_agent_refuses_and_paused_agent_times_out(action: object, state: State, reach: Reach) -> None:
    cluster = calm_cluster(clients=1)
    for name in (S1, "c1"):
        assert callable(action)
        action(cluster, name)

        assert cluster.world.agents[name].state is state
        assert cluster.world.reach(S2, name) is reach


def test_paused_leader_is_replaced_and_follows_once_resumed() -> None:
    cluster = calm_cluster()
    paused = leader(cluster)
    cluster.pause(paused)
    pass_time(cluster, 10)
    successor = leader(cluster)
    assert successor != paused

    cluster.resume(paused)

    assert time_until(cluster, lambda: cluster.world.leader_of(paused) is cluster.world.agents[successor]) < 1
    assert leader(cluster) == successor


def test_restarted_server_keeps_log_and_relearns_commit_index() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    before = raft_of(cluster, name)
    cluster.kill(name)
    pass_time(cluster, 1)
    cluster.start(name)

    assert (raft_of(cluster, name).log, raft_of(cluster, name).commit_index) == (before.log, 0)
    assert time_until(cluster, lambda: raft_of(cluster, name).commit_index >= before.commit_index) < 1
    assert cluster.world.agents[name].started == 11.0


def test_agent_can_restart_with_another_setup() -> None:
    cluster = calm_cluster(version=VERSIONS["1.10"])
    name = followers(cluster)[0]
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["2.0"]))
    pass_time(cluster, 2)

    known = cluster.world.server(leader(cluster)).gossip.members[name]
    assert known.setup.version is VERSIONS["2.0"]


def test_rolling_upgrade_across_raft_protocols_keeps_all_voters() -> None:
    cluster = calm_cluster(version=VERSIONS["0.12"])
    for name in [*followers(cluster), leader(cluster)]:
        cluster.kill(name)
        cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["1.2"]))
        pass_time(cluster, 60)

    configuration = raft_of(cluster, leader(cluster)).log.configuration
    assert sorted(configuration.voters) == [f"id-global-s{number}" for number in (1, 2, 3)]


def test_new_server_is_nonvoter_then_voter() -> None:
    cluster = calm_cluster()
    cluster.add(replace(server_setups(4)[3], bootstrap_expect=3))
    pass_time(cluster, 1)
    assert suffrage(cluster, leader(cluster), "s4.global") == NONVOTER
    assert status(cluster, followers(cluster)[0], "s4.global") == ALIVE

    pass_time(cluster, 21)
    assert suffrage(cluster, leader(cluster), "s4.global") == VOTER


def test_server_joins_only_reachable_servers_at_start() -> None:
    cluster = new_cluster()
    cluster.partition(S3, NAMES)
    pass_time(cluster, 10)

    assert set(cluster.world.server(S3).gossip.members) == {S3}
    assert set(cluster.world.server(S1).gossip.members) == {S1, S2}


def test_join_exchanges_all_members() -> None:
    cluster = Cluster([*server_setups(2), *server_setups(2, region="eu", net=2)], Timing(), 1, 0.0)
    pass_time(cluster, 1)
    cluster.join(S1, "s1.eu")

    for name in (S1, "s1.eu"):
        assert set(cluster.world.server(name).gossip.members) == {S1, S2, "s1.eu", "s2.eu"}


def test_partition_times_out_until_healed_at_either_end() -> None:
    cluster = calm_cluster(clients=1)
    cluster.partition(S1, [S1, S2, "c1"])
    world = cluster.world

    assert [world.reach(S1, name) for name in (S1, S2, "c1")] == [Reach.CONNECTED, Reach.TIMED_OUT, Reach.TIMED_OUT]
    cluster.heal("c1")
    assert [world.reach(S1, name) for name in (S1, S2, "c1")] == [Reach.CONNECTED, Reach.TIMED_OUT, Reach.CONNECTED]
    cluster.heal(S1)
    assert world.reach(S2, S1) is Reach.CONNECTED


def test_leaving_server_has_left_and_is_removed_from_peers() -> None:
    cluster = calm_cluster()
    name, other = followers(cluster)
    cluster.leave(name)
    pass_time(cluster, 1.9)
    assert status(cluster, other, name) == LEAVING
    assert cluster.world.agents[name].is_running
    assert suffrage(cluster, leader(cluster), name) == VOTER

    pass_time(cluster, 1.1)
    assert cluster.world.agents[name].state is State.DEAD
    assert [status(cluster, viewer, name) for viewer in (other, leader(cluster))] == [LEFT, LEFT]
    assert suffrage(cluster, leader(cluster), name) is None


def test_leaving_leader_is_replaced_and_removed_from_peers() -> None:
    cluster = calm_cluster()
    name = leader(cluster)
    cluster.leave(name)
    pass_time(cluster, 8)

    assert leader(cluster) != name
    assert suffrage(cluster, leader(cluster), name) is None
    assert {status(cluster, viewer, name) for viewer in cluster.world.running()} == {LEFT}


def test_server_that_left_is_alive_after_a_restart() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.leave(name)
    pass_time(cluster, 30)
    cluster.start(name)
    pass_time(cluster, 1)

    assert {status(cluster, viewer, name) for viewer in NAMES} == {ALIVE}
    assert suffrage(cluster, leader(cluster), name) == NONVOTER


def test_server_killed_during_leave_stays_after_a_restart() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.leave(name)
    pass_time(cluster, 1)
    cluster.kill(name)
    cluster.start(name)
    pass_time(cluster, 5)

    assert cluster.world.agents[name].is_running
    assert {status(cluster, viewer, name) for viewer in NAMES} == {ALIVE}


def test_server_killed_during_leave_stays_leaving_until_timeout() -> None:
    cluster = calm_cluster()
    name, other = followers(cluster)
    cluster.leave(name)
    pass_time(cluster, 1)
    cluster.kill(name)
    pass_time(cluster, 5)
    assert status(cluster, other, name) == LEAVING

    pass_time(cluster, 35)
    assert status(cluster, other, name) == LEFT


def test_server_paused_during_leave_leaves_once_resumed() -> None:
    cluster = calm_cluster()
    name, other = followers(cluster)
    cluster.leave(name)
    cluster.pause(name)
    pass_time(cluster, 5)
    assert cluster.world.agents[name].state is State.PAUSED

    cluster.resume(name)
    pass_time(cluster, 1)

    assert cluster.world.agents[name].state is State.DEAD
    assert status(cluster, other, name) == LEFT


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("series", VERSIONS)
def test_live_server_refutes_a_force_leave(series: str, prune: bool) -> None:
    cluster = calm_cluster(version=VERSIONS[series])
    viewer, name = leader(cluster), followers(cluster)[0]
    before = raft_of(cluster, viewer)
    cluster.force_leave(viewer, name, prune)
    assert status(cluster, viewer, name) == LEAVING

    assert time_until(cluster, lambda: status(cluster, viewer, name) == ALIVE) < 3
    pass_time(cluster, 60)
    assert {status(cluster, one, name) for one in NAMES} == {ALIVE}
    after = raft_of(cluster, viewer)
    assert (after.term, after.log, after.state) == (before.term, before.log, before.state)


def test_server_ignores_force_leave_of_itself() -> None:
    cluster = calm_cluster()
    cluster.force_leave(S1, S1)
    pass_time(cluster, 5)

    assert {status(cluster, viewer, S1) for viewer in NAMES} == {ALIVE}


def failed_member() -> tuple[Cluster, str, str, str]:
    """Return a cluster with a leader, a live follower and a dead follower that has failed in gossip but is a peer."""
    cluster = calm_cluster()
    leader_name, (other, dead) = leader(cluster), followers(cluster)
    cluster.kill(dead)
    time_until(cluster, lambda: {status(cluster, viewer, dead) for viewer in (leader_name, other)} == {FAILED})
    assert suffrage(cluster, leader_name, dead) == VOTER
    return cluster, leader_name, other, dead


def test_force_leave_of_failed_server_removes_the_peer() -> None:
    cluster, first, other, dead = failed_member()
    cluster.force_leave(other, dead)
    assert status(cluster, other, dead) == LEFT

    assert time_until(cluster, lambda: status(cluster, first, dead) == LEFT) < 3
    assert time_until(cluster, lambda: suffrage(cluster, first, dead) is None) < 1


def test_force_leave_with_prune_removes_failed_member_everywhere() -> None:
    cluster, first, other, dead = failed_member()
    cluster.force_leave(other, dead, prune=True)
    pass_time(cluster, 5)

    assert status(cluster, first, dead) is status(cluster, other, dead) is None


def test_force_leave_of_unknown_member_changes_nothing() -> None:
    cluster = calm_cluster()
    before = cluster.world.agents
    cluster.force_leave(S1, "unknown.global")

    assert cluster.world.agents == before


def test_set_servers_applies_only_to_clients() -> None:
    cluster = calm_cluster(clients=1)
    cluster.set_servers("c1", ("127.0.1.2:4647",))
    assert client_of(cluster, "c1").servers == ("127.0.1.2:4647",)

    before = cluster.world.agents[S1]
    cluster.set_servers(S1, ("127.0.1.2:4647",))
    assert cluster.world.agents[S1] is before


def test_agent_can_be_server_and_client() -> None:
    (setup,) = server_setups(1)
    cluster = Cluster([replace(setup, client=True, servers=(setup.rpc_address,))], Timing(), 1, 0.0)
    pass_time(cluster, 30)

    assert leaders(cluster) == [S1]
    assert client_of(cluster, S1).registered
    cluster.pause(S1)
    pass_time(cluster, 60)
    cluster.resume(S1)
    pass_time(cluster, 25)
    assert cluster.world.now - client_of(cluster, S1).last_heartbeat < 20


def test_failed_join_at_start_is_retried() -> None:
    first, second = server_setups(2)
    late = replace(second, retry_join=(first.serf_address,))
    cluster = Cluster([first, late], Timing(), 1, 0.0)
    cluster.kill("s1.global")
    pass_time(cluster, 10)
    cluster.start("s1.global", replace(first, retry_join=()))

    assert time_until(cluster, lambda: status(cluster, "s2.global", "s1.global") == ALIVE) > 19


def test_killed_server_does_not_retry_to_join() -> None:
    first, second = server_setups(2)
    cluster = Cluster([first, replace(second, retry_join=(first.serf_address,))], Timing(), 1, 0.0)
    for name in ("s1.global", "s2.global"):
        cluster.kill(name)
    pass_time(cluster, 10)
    cluster.start("s1.global", replace(first, retry_join=()))
    pass_time(cluster, 60)

    assert status(cluster, "s1.global", "s2.global") is None


def test_first_restarted_server_knows_only_itself() -> None:
    cluster = calm_cluster()
    for name in NAMES:
        cluster.kill(name)
    pass_time(cluster, 5)
    cluster.start(S1)
    pass_time(cluster, 5)
    assert set(cluster.world.server(S1).gossip.members) == {S1}

    cluster.start(S2)
    pass_time(cluster, 5)
    assert set(cluster.world.server(S1).gossip.members) == {S1, S2}
    assert leader(cluster) in (S1, S2)


def test_restarted_server_rejoins_prior_members_without_config() -> None:
    cluster = calm_cluster()
    cluster.add(replace(server_setups(4)[3], retry_join=()))
    cluster.join("s4.global", S1)
    pass_time(cluster, 1)
    cluster.kill("s4.global")
    cluster.start("s4.global")
    pass_time(cluster, 0.1)

    assert set(cluster.world.server("s4.global").gossip.members) == {*NAMES, "s4.global"}


def test_reload_replaces_only_the_setup() -> None:
    cluster = calm_cluster()
    before = cluster.world.agents[S1]
    cluster.reload(S1, replace(before.setup, enable_debug=True))

    assert cluster.world.agents[S1] == replace(before, setup=replace(before.setup, enable_debug=True))
