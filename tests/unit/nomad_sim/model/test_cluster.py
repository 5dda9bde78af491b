"""What can be done to a cluster: start, kill, freeze, cut, leave, join."""

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
    new_cluster,
    pass_time,
    raft_of,
    server_setups,
    status,
    suffrage,
    time_until,
)

S1, S2, S3 = NAMES = ("s1.global", "s2.global", "s3.global")


def test_nothing_happens_before_the_clock_is_turned() -> None:
    cluster = new_cluster(clients=1)

    assert all(len(cluster.world.server(name).gossip.members) == 1 for name in NAMES)
    assert cluster.world.nodes == {"global": {}}


def test_the_clock_goes_on_and_never_back() -> None:
    cluster = new_cluster()
    cluster.advance(7.0)
    cluster.advance(3.0)

    assert cluster.world.now == 7.0


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 99), st.lists(st.floats(0.001, 5), min_size=1, max_size=8))
def test_a_seed_gives_one_course_of_things_however_the_clock_is_turned(seed: int, steps: list[float]) -> None:
    once, often = new_cluster(clients=1, seed=seed), new_cluster(clients=1, seed=seed)
    once.advance(sum(steps))
    for step in steps:
        pass_time(often, step)
    often.advance(sum(steps))

    assert once.world.agents == often.world.agents
    assert once.world.nodes == often.world.nodes


def test_a_paced_cluster_does_all_faster() -> None:
    cluster = Cluster(server_setups(3), Timing().at_pace(10), 1, 0.0)
    assert time_until(cluster, lambda: leaders(cluster)) < 0.6
    dead = followers(cluster)[0]
    cluster.kill(dead)

    assert 3.4 < time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED) < 3.7


@pytest.mark.parametrize(
    ("do", "state", "reach"),
    [(Cluster.kill, State.DEAD, Reach.REFUSED), (Cluster.pause, State.PAUSED, Reach.TIMED_OUT)],
)
def test_an_agent_that_is_killed_refuses_and_a_frozen_one_is_silent(do: object, state: State, reach: Reach) -> None:
    cluster = calm_cluster(clients=1)
    for name in (S1, "c1"):
        assert callable(do)
        do(cluster, name)

        assert cluster.world.agents[name].state is state
        assert cluster.world.reach(S2, name) is reach


def test_a_frozen_leader_is_succeeded_and_follows_when_it_is_thawed() -> None:
    cluster = calm_cluster()
    paused = leader(cluster)
    cluster.pause(paused)
    pass_time(cluster, 10)
    successor = leader(cluster)
    assert successor != paused

    cluster.resume(paused)

    assert time_until(cluster, lambda: cluster.world.leader_of(paused) is cluster.world.agents[successor]) < 1
    assert leader(cluster) == successor


def test_a_server_that_starts_again_has_its_log_and_learns_of_the_commits_from_the_leader() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    before = raft_of(cluster, name)
    cluster.kill(name)
    pass_time(cluster, 1)
    cluster.start(name)

    assert (raft_of(cluster, name).log, raft_of(cluster, name).commit_index) == (before.log, 0)
    assert time_until(cluster, lambda: raft_of(cluster, name).commit_index >= before.commit_index) < 1
    assert cluster.world.agents[name].started == 11.0


def test_an_agent_can_start_again_with_another_setup() -> None:
    cluster = calm_cluster(version=VERSIONS["1.10"])
    name = followers(cluster)[0]
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["2.0"]))
    pass_time(cluster, 2)

    known = cluster.world.server(leader(cluster)).gossip.members[name]
    assert known.setup.version is VERSIONS["2.0"]


def test_a_cluster_is_updated_server_by_server_across_raft_protocols() -> None:
    cluster = calm_cluster(version=VERSIONS["0.12"])
    for name in [*followers(cluster), leader(cluster)]:
        cluster.kill(name)
        cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["1.2"]))
        pass_time(cluster, 60)

    configuration = raft_of(cluster, leader(cluster)).log.configuration
    assert sorted(configuration.voters) == [f"id-global-s{number}" for number in (1, 2, 3)]


def test_a_new_server_is_taken_in() -> None:
    cluster = calm_cluster()
    cluster.add(replace(server_setups(4)[3], bootstrap_expect=3))
    pass_time(cluster, 1)
    assert suffrage(cluster, leader(cluster), "s4.global") == NONVOTER
    assert status(cluster, followers(cluster)[0], "s4.global") == ALIVE

    pass_time(cluster, 21)
    assert suffrage(cluster, leader(cluster), "s4.global") == VOTER


def test_a_server_joins_at_its_start_only_those_that_it_reaches() -> None:
    cluster = new_cluster()
    cluster.partition(S3, NAMES)
    pass_time(cluster, 10)

    assert set(cluster.world.server(S3).gossip.members) == {S3}
    assert set(cluster.world.server(S1).gossip.members) == {S1, S2}


def test_two_servers_that_are_joined_know_each_other_and_whom_they_knew() -> None:
    cluster = Cluster([*server_setups(2), *server_setups(2, region="eu", net=2)], Timing(), 1, 0.0)
    pass_time(cluster, 1)
    cluster.join(S1, "s1.eu")

    for name in (S1, "s1.eu"):
        assert set(cluster.world.server(name).gossip.members) == {S1, S2, "s1.eu", "s2.eu"}


def test_what_is_cut_is_silent_until_it_is_healed_at_either_end() -> None:
    cluster = calm_cluster(clients=1)
    cluster.partition(S1, [S1, S2, "c1"])
    world = cluster.world

    assert [world.reach(S1, name) for name in (S1, S2, "c1")] == [Reach.CONNECTED, Reach.TIMED_OUT, Reach.TIMED_OUT]
    cluster.heal("c1")
    assert [world.reach(S1, name) for name in (S1, S2, "c1")] == [Reach.CONNECTED, Reach.TIMED_OUT, Reach.CONNECTED]
    cluster.heal(S1)
    assert world.reach(S2, S1) is Reach.CONNECTED


def test_a_server_that_leaves_is_leaving_first_then_left_and_no_peer() -> None:
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


def test_a_leader_that_leaves_is_succeeded_and_then_no_peer() -> None:
    cluster = calm_cluster()
    name = leader(cluster)
    cluster.leave(name)
    pass_time(cluster, 8)

    assert leader(cluster) != name
    assert suffrage(cluster, leader(cluster), name) is None
    assert {status(cluster, viewer, name) for viewer in cluster.world.running()} == {LEFT}


def test_a_server_that_left_is_alive_when_it_starts_again() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.leave(name)
    pass_time(cluster, 30)
    cluster.start(name)
    pass_time(cluster, 1)

    assert {status(cluster, viewer, name) for viewer in NAMES} == {ALIVE}
    assert suffrage(cluster, leader(cluster), name) == NONVOTER


def test_a_server_that_is_killed_while_it_leaves_and_starts_again_stays() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.leave(name)
    pass_time(cluster, 1)
    cluster.kill(name)
    cluster.start(name)
    pass_time(cluster, 5)

    assert cluster.world.agents[name].is_running
    assert {status(cluster, viewer, name) for viewer in NAMES} == {ALIVE}


def test_a_server_that_is_killed_while_it_leaves_does_not_tell_that_it_has_left() -> None:
    cluster = calm_cluster()
    name, other = followers(cluster)
    cluster.leave(name)
    pass_time(cluster, 1)
    cluster.kill(name)
    pass_time(cluster, 5)
    assert status(cluster, other, name) == LEAVING

    pass_time(cluster, 35)
    assert status(cluster, other, name) == LEFT


def test_a_server_that_is_frozen_while_it_leaves_leaves_when_it_is_thawed() -> None:
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
def test_a_server_that_lives_is_alive_again_soon_after_a_force_leave(series: str, prune: bool) -> None:
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


def test_a_server_that_tells_that_itself_has_left_stays() -> None:
    cluster = calm_cluster()
    cluster.force_leave(S1, S1)
    pass_time(cluster, 5)

    assert {status(cluster, viewer, S1) for viewer in NAMES} == {ALIVE}


def failed_member() -> tuple[Cluster, str, str, str]:
    """A cluster in which the third of the names is told to have failed, and is a peer still."""
    cluster = calm_cluster()
    first, (other, dead) = leader(cluster), followers(cluster)
    cluster.kill(dead)
    time_until(cluster, lambda: {status(cluster, viewer, dead) for viewer in (first, other)} == {FAILED})
    assert suffrage(cluster, first, dead) == VOTER
    return cluster, first, other, dead


def test_a_server_that_failed_has_left_after_a_force_leave_and_is_no_peer() -> None:
    cluster, first, other, dead = failed_member()
    cluster.force_leave(other, dead)
    assert status(cluster, other, dead) == LEFT

    assert time_until(cluster, lambda: status(cluster, first, dead) == LEFT) < 3
    assert time_until(cluster, lambda: suffrage(cluster, first, dead) is None) < 1


def test_a_server_that_failed_is_forgotten_by_all_after_a_force_leave_that_prunes() -> None:
    cluster, first, other, dead = failed_member()
    cluster.force_leave(other, dead, prune=True)
    pass_time(cluster, 5)

    assert status(cluster, first, dead) is status(cluster, other, dead) is None


def test_a_force_leave_of_nobody_changes_nothing() -> None:
    cluster = calm_cluster()
    before = cluster.world.agents
    cluster.force_leave(S1, "nobody.global")

    assert cluster.world.agents == before


def test_a_client_can_be_told_other_servers_and_a_server_can_not() -> None:
    cluster = calm_cluster(clients=1)
    cluster.set_servers("c1", ("127.0.1.2:4647",))
    assert client_of(cluster, "c1").servers == ("127.0.1.2:4647",)

    before = cluster.world.agents[S1]
    cluster.set_servers(S1, ("127.0.1.2:4647",))
    assert cluster.world.agents[S1] is before


def test_a_server_can_be_a_client_too() -> None:
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


def test_a_server_that_can_join_nobody_at_its_start_tries_again() -> None:
    first, second = server_setups(2)
    late = replace(second, retry_join=(first.serf_address,))
    cluster = Cluster([first, late], Timing(), 1, 0.0)
    cluster.kill("s1.global")
    pass_time(cluster, 10)
    cluster.start("s1.global", replace(first, retry_join=()))

    assert time_until(cluster, lambda: status(cluster, "s2.global", "s1.global") == ALIVE) > 19


def test_a_server_that_was_killed_tries_no_more() -> None:
    first, second = server_setups(2)
    cluster = Cluster([first, replace(second, retry_join=(first.serf_address,))], Timing(), 1, 0.0)
    for name in ("s1.global", "s2.global"):
        cluster.kill(name)
    pass_time(cluster, 10)
    cluster.start("s1.global", replace(first, retry_join=()))
    pass_time(cluster, 60)

    assert status(cluster, "s1.global", "s2.global") is None


def test_a_server_that_starts_while_no_other_is_there_knows_itself_alone() -> None:
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


def test_a_server_that_starts_again_finds_those_whom_it_knew_also_where_it_was_told_nobody() -> None:
    cluster = calm_cluster()
    cluster.add(replace(server_setups(4)[3], retry_join=()))
    cluster.join("s4.global", S1)
    pass_time(cluster, 1)
    cluster.kill("s4.global")
    cluster.start("s4.global")
    pass_time(cluster, 0.1)

    assert set(cluster.world.server("s4.global").gossip.members) == {*NAMES, "s4.global"}


def test_an_agent_that_reads_its_configuration_again_goes_on() -> None:
    cluster = calm_cluster()
    before = cluster.world.agents[S1]
    cluster.reload(S1, replace(before.setup, enable_debug=True))

    assert cluster.world.agents[S1] == replace(before, setup=replace(before.setup, enable_debug=True))
