"""Tests of gossip rounds and autopilot, with the durations that real agents showed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.model import raft_loop
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.gossip import ALIVE, FAILED, LEFT
from nomad_sim.model.nodes import DOWN, READY
from nomad_sim.model.raft import CANDIDATE, FOLLOWER
from nomad_sim.model.raft_log import NONVOTER, VOTER
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    cluster_with_unencrypted_follower,
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

pytestmark = pytest.mark.slow  # Minutes of simulated time.

S1, S2, S3 = "s1.global", "s2.global", "s3.global"

each_version = pytest.mark.parametrize("series", VERSIONS)


def cluster_of(series: str, servers: int = 3, seed: int = 1) -> Cluster:
    return calm_cluster(servers, version=VERSIONS[series], seed=seed)


def kill_and_remove(cluster: Cluster, name: str, seconds: float = 60.0) -> str:
    """Kill a server and wait until autopilot has removed it; return the leader."""
    cluster.kill(name)
    pass_time(cluster, seconds)
    assert suffrage(cluster, leader(cluster), name) is None
    return leader(cluster)


@each_version
@pytest.mark.parametrize("servers", [1, 2, 3, 5])
def test_new_servers_join_and_elect_a_leader(series: str, servers: int) -> None:
    cluster = new_cluster(servers, version=VERSIONS[series])

    assert 1 < time_until(cluster, lambda: leaders(cluster)) < 6
    pass_time(cluster, 1)
    rafts = {name: cluster.world.server(name).raft for name in cluster.world.agents}
    assert {raft.leader for raft in rafts.values()} == {rafts[leader(cluster)].local_id}
    assert all(len(raft.log.configuration.voters) == servers for raft in rafts.values())


def test_bootstrap_waits_for_expected_number_of_servers() -> None:
    cluster = Cluster(server_setups(3)[:2], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert [raft_of(cluster, name).log.last for name in (S1, S2)] == [0, 0]
    assert [raft_of(cluster, name).state for name in (S1, S2)] == [FOLLOWER, FOLLOWER]

    cluster.add(server_setups(3)[2])
    assert time_until(cluster, lambda: leaders(cluster)) < 6


def test_bootstrap_waits_while_an_expected_server_is_paused() -> None:
    cluster = new_cluster()
    cluster.join(S1, S2)
    cluster.join(S1, S3)
    cluster.pause(S3)
    pass_time(cluster, 20)
    assert status(cluster, S1, S3) == status(cluster, S2, S3) == ALIVE
    assert raft_of(cluster, S1).log.last == 0

    cluster.resume(S3)

    assert time_until(cluster, lambda: leaders(cluster)) < 6


def test_server_without_bootstrap_expect_is_added_as_nonvoter() -> None:
    first, second = server_setups(2)
    cluster = Cluster([replace(first, bootstrap_expect=1), replace(second, bootstrap_expect=0)], Timing(), 1, 0.0)
    pass_time(cluster, 5)

    assert leaders(cluster) == [S1]
    assert suffrage(cluster, S1, S2) == NONVOTER


def test_configured_nonvoter_is_never_promoted() -> None:
    setups = server_setups(3)
    cluster = Cluster(
        [*setups, replace(setups[0], name="s4", id="id-4", host="127.0.1.4", nonvoter=True)], Timing(), 1, 0
    )
    pass_time(cluster, 60)

    assert suffrage(cluster, leader(cluster), "s4.global") == NONVOTER
    assert raft_of(cluster, "s4.global").leader == raft_of(cluster, leader(cluster)).local_id


@each_version
@pytest.mark.parametrize("seed", range(4))
def test_killed_leader_is_replaced_within_seconds(series: str, seed: int) -> None:
    cluster = cluster_of(series, seed=seed)
    dead = leader(cluster)
    term = raft_of(cluster, dead).term
    cluster.kill(dead)

    assert 0.8 < time_until(cluster, lambda: leaders(cluster)) < 4.5
    assert leader(cluster) != dead
    assert raft_of(cluster, leader(cluster)).term > term


@each_version
def test_gossip_marks_dead_server_failed_after_suspicion(series: str) -> None:
    cluster = cluster_of(series)
    dead = followers(cluster)[0]
    others = [name for name in (S1, S2, S3) if name != dead]
    cluster.kill(dead)

    assert 34 < time_until(cluster, lambda: FAILED in [status(cluster, other, dead) for other in others]) < 36.6
    pass_time(cluster, 1)
    assert all(status(cluster, other, dead) != ALIVE for other in others)
    assert f"serf: EventMemberFailed: {dead} 127.0.1.{dead[1]}" in messages(cluster, others[0])


@each_version
def test_autopilot_removes_dead_server_once_it_has_failed(series: str) -> None:
    cluster = cluster_of(series)
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED)

    assert suffrage(cluster, leader(cluster), dead) == VOTER
    assert time_until(cluster, lambda: suffrage(cluster, leader(cluster), dead) is None) <= 10.5
    assert f"removing dead server: {dead}" in messages(cluster, leader(cluster))


@pytest.mark.parametrize(
    ("series", "member_status"), [("2.0", FAILED), ("1.10", LEFT), ("1.6", LEFT), ("1.2", LEFT), ("0.12", LEFT)]
)
def test_version_determines_status_of_removed_server(series: str, member_status: str) -> None:
    cluster = cluster_of(series)
    dead, other = followers(cluster)
    kill_and_remove(cluster, dead)

    assert status(cluster, leader(cluster), dead) == status(cluster, other, dead) == member_status


@pytest.mark.parametrize("series", ["2.0", "1.10", "1.6", "1.2"])
def test_restarted_server_is_nonvoter_then_voter(series: str) -> None:
    cluster = cluster_of(series)
    restarted, other = followers(cluster)
    leader_name = kill_and_remove(cluster, restarted)
    cluster.start(restarted)

    assert time_until(cluster, lambda: suffrage(cluster, leader_name, restarted) == NONVOTER) < 1
    assert time_until(cluster, lambda: status(cluster, other, restarted) == ALIVE) < 1
    assert 9.5 < time_until(cluster, lambda: suffrage(cluster, leader_name, restarted) == VOTER) < 21
    pass_time(cluster, 1)
    assert raft_of(cluster, restarted).log == raft_of(cluster, leader_name).log
    assert leader(cluster) == leader_name or series == "1.2"


def test_raft_protocol_2_restarted_server_is_voter_at_once() -> None:
    cluster = cluster_of("0.12")
    restarted = followers(cluster)[0]
    leader_name = kill_and_remove(cluster, restarted)
    cluster.start(restarted)

    assert time_until(cluster, lambda: suffrage(cluster, leader_name, restarted)) < 1
    assert suffrage(cluster, leader_name, restarted) == VOTER


def test_pruned_dead_server_is_removed_from_peers() -> None:
    cluster = calm_cluster()
    dead, _ = followers(cluster)
    cluster.kill(dead)
    time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED)
    cluster.force_leave(leader(cluster), dead, prune=True)

    assert time_until(cluster, lambda: suffrage(cluster, leader(cluster), dead) is None) <= 10.5


@each_version
def test_without_majority_no_leader_and_no_removal(series: str) -> None:
    cluster = cluster_of(series)
    isolated, *dead = [leader(cluster), *followers(cluster)]
    term, last = raft_of(cluster, isolated).term, raft_of(cluster, isolated).log.last
    for name in dead:
        cluster.kill(name)
    pass_time(cluster, 3.5)
    after = raft_of(cluster, isolated)
    contact = after.last_contact
    pass_time(cluster, 120)

    assert leaders(cluster) == []
    after = raft_of(cluster, isolated)
    assert (after.state, after.leader, after.last_contact, after.log.last) == (CANDIDATE, None, contact, last)
    assert len(after.log.configuration.voters) == 3
    assert {status(cluster, isolated, name) for name in dead} == {FAILED}
    assert (after.term == term) is VERSIONS[series].pre_vote


@each_version
def test_partitioned_minority_elects_no_leader(series: str) -> None:
    cluster = cluster_of(series, servers=5)
    minority = [leader(cluster), followers(cluster)[0]]
    majority = [name for name in cluster.world.running() if name not in minority]
    for name in minority:
        cluster.partition(name, majority)

    assert time_until(cluster, lambda: not set(leaders(cluster)) & set(minority)) < 1
    assert time_until(cluster, lambda: leaders(cluster)) < 5
    for _ in range(30):
        pass_time(cluster, 1)
        assert set(leaders(cluster)) <= set(majority)


@each_version
def test_uncommitted_entry_of_partitioned_leader_is_dropped(series: str) -> None:
    cluster = cluster_of(series)
    isolated, *majority = [leader(cluster), *followers(cluster)]
    cluster.partition(isolated, majority)
    index = raft_loop.propose(cluster.world, isolated)
    own = raft_of(cluster, isolated).log.term(index)
    assert raft_of(cluster, isolated).commit_index < index
    pass_time(cluster, 6)
    for _ in range(3):
        raft_loop.propose(cluster.world, leader(cluster))

    cluster.heal(isolated)
    pass_time(cluster, 10)

    logs = [raft_of(cluster, name).log for name in (isolated, *majority)]
    assert logs[0] == logs[1] == logs[2]
    assert not logs[0].matches(index, own)


def test_gossip_converges_after_a_partition_heals() -> None:
    cluster = calm_cluster(5)
    minority, majority = (S1, S2), (S3, "s4.global", "s5.global")
    for name in minority:
        cluster.partition(name, majority)
    pass_time(cluster, 40)
    assert {status(cluster, one, other) for one in minority for other in majority} == {FAILED}
    assert {status(cluster, one, other) for one in majority for other in minority} == {FAILED}

    for name in minority:
        cluster.heal(name)

    assert time_until(cluster, lambda: status(cluster, S1, S3) == status(cluster, S3, S1) == ALIVE) < 1
    pass_time(cluster, 1)
    servers = (*minority, *majority)
    assert {status(cluster, one, other) for one in servers for other in servers} == {ALIVE}


def test_server_pruned_during_a_partition_rejoins() -> None:
    cluster = calm_cluster()
    isolated, other = followers(cluster)
    cluster.partition(isolated, [leader(cluster), other])
    pass_time(cluster, 40)
    cluster.force_leave(leader(cluster), isolated, prune=True)
    pass_time(cluster, 10)
    assert status(cluster, leader(cluster), isolated) is None

    cluster.heal(isolated)
    pass_time(cluster, 2)

    assert status(cluster, leader(cluster), isolated) == status(cluster, other, isolated) == ALIVE


def test_deposed_leader_resets_autopilot_state() -> None:
    cluster = calm_cluster()
    leader_name = leader(cluster)
    assert cluster.world.server(leader_name).autopilot.healthy_since.keys() == {
        f"id-global-s{number}" for number in (1, 2, 3)
    }

    cluster.pause(leader_name)
    pass_time(cluster, 5)
    cluster.resume(leader_name)
    pass_time(cluster, 1)

    assert leader(cluster) != leader_name
    assert not cluster.world.server(leader_name).autopilot.healthy_since


def two_regions() -> Cluster:
    first, second = server_setups(3), server_setups(3, region="eu", net=2)
    addresses = tuple(setup.serf_address for setup in first)
    joining = [replace(setup, retry_join=(*setup.retry_join, *addresses)) for setup in second]
    return Cluster([*first, *joining], Timing(), 1, 0.0)


def test_federated_regions_share_gossip_and_elect_separately() -> None:
    cluster = two_regions()
    pass_time(cluster, 10)
    names = set(cluster.world.agents)

    assert len(names) == 6
    assert all(set(cluster.world.server(name).gossip.members) == names for name in names)
    for region in ("global", "eu"):
        first = raft_of(cluster, leader(cluster, region))
        assert set(first.log.configuration.voters) == {f"id-{region}-s{number}" for number in (1, 2, 3)}


def test_failed_region_does_not_change_raft_of_another() -> None:
    cluster = two_regions()
    pass_time(cluster, 10)
    before = raft_of(cluster, leader(cluster))
    for number in (1, 2, 3):
        cluster.kill(f"s{number}.eu")
    pass_time(cluster, 60)

    assert [status(cluster, S1, f"s{number}.eu") for number in (1, 2, 3)] == [FAILED] * 3
    after = raft_of(cluster, leader(cluster))
    assert (after.term, after.log.last) == (before.term, before.log.last)


def test_leader_marks_expired_node_down() -> None:
    cluster = calm_cluster(clients=2)
    cluster.kill("c1")
    pass_time(cluster, 31)
    known = cluster.world.nodes["global"]

    assert [known[f"id-global-c{number}"].status for number in (1, 2)] == [DOWN, READY]
    assert "node TTL expired" in messages(cluster, leader(cluster))
    assert known["id-global-c1"].modify_index <= raft_of(cluster, leader(cluster)).commit_index


def test_server_without_gossip_key_keeps_raft_but_no_members() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    leader_name = leader(cluster)

    assert set(cluster.world.server(name).gossip.members) == {name}
    assert [status(cluster, viewer, name) for viewer in (S1, S2, S3)] == [ALIVE] * 3
    assert cluster.world.leader_of(name) is cluster.world.agents[leader_name]
    assert cluster.world.now - (raft_of(cluster, name).last_contact or 0) < 0.3
    assert cluster.world.known_leader(name) is None


@pytest.mark.parametrize(("series", "final_status"), [("2.0", FAILED), ("1.10", LEFT)])
def test_server_without_gossip_key_fails_and_is_removed(series: str, final_status: str) -> None:
    cluster, name = cluster_with_unencrypted_follower(VERSIONS[series])
    leader_name = leader(cluster)
    assert 28 < time_until(cluster, lambda: status(cluster, leader_name, name) == FAILED) < 32
    assert suffrage(cluster, leader_name, name) == VOTER

    assert time_until(cluster, lambda: suffrage(cluster, leader_name, name) is None) < 11
    pass_time(cluster, 5)
    assert status(cluster, leader_name, name) == final_status
    removed = raft_of(cluster, name)
    assert removed.log.configuration.peer(removed.local_id) is None
    assert (removed.state, removed.leader, leader(cluster)) == (FOLLOWER, None, leader_name)


def test_server_with_restored_key_is_member_then_voter() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    pass_time(cluster, 60)
    leader_name = leader(cluster)
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, encrypted=True))

    assert time_until(cluster, lambda: status(cluster, leader_name, name) == ALIVE) < 1
    assert time_until(cluster, lambda: suffrage(cluster, leader_name, name) == NONVOTER) < 1
    assert 9 < time_until(cluster, lambda: suffrage(cluster, leader_name, name) == VOTER) < 21


def test_join_fails_if_only_one_server_has_the_gossip_key() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    cluster.join(name, leader(cluster))

    assert set(cluster.world.server(name).gossip.members) == {name}
