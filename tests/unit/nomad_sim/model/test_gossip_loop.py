"""The rounds of gossip and the looks of autopilot: how long a cluster takes for what, as real agents were seen to."""

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

S1, S2, S3 = "s1.global", "s2.global", "s3.global"

each_version = pytest.mark.parametrize("series", VERSIONS)


def cluster_of(series: str, servers: int = 3, seed: int = 1) -> Cluster:
    return calm_cluster(servers, version=VERSIONS[series], seed=seed)


def without(cluster: Cluster, name: str, seconds: float = 60.0) -> str:
    """Kills a server, lets time pass until autopilot has dropped it, and gives the leader."""
    cluster.kill(name)
    pass_time(cluster, seconds)
    assert suffrage(cluster, leader(cluster), name) is None
    return leader(cluster)


@each_version
@pytest.mark.parametrize("servers", [1, 2, 3, 5])
def test_new_servers_find_each_other_and_elect_one_of_them(series: str, servers: int) -> None:
    cluster = new_cluster(servers, version=VERSIONS[series])

    assert 1 < time_until(cluster, lambda: leaders(cluster)) < 6
    pass_time(cluster, 1)
    known = {name: cluster.world.server(name).raft for name in cluster.world.agents}
    assert {raft.leader for raft in known.values()} == {known[leader(cluster)].local_id}
    assert all(len(raft.log.configuration.voters) == servers for raft in known.values())


def test_no_cluster_begins_with_fewer_servers_than_are_expected() -> None:
    cluster = Cluster(server_setups(3)[:2], Timing(), 1, 0.0)
    pass_time(cluster, 60)

    assert [raft_of(cluster, name).log.last for name in (S1, S2)] == [0, 0]
    assert [raft_of(cluster, name).state for name in (S1, S2)] == [FOLLOWER, FOLLOWER]

    cluster.add(server_setups(3)[2])
    assert time_until(cluster, lambda: leaders(cluster)) < 6


def test_no_cluster_begins_while_one_of_those_expected_does_not_answer() -> None:
    cluster = new_cluster()
    cluster.join(S1, S2)
    cluster.join(S1, S3)
    cluster.pause(S3)
    pass_time(cluster, 20)
    assert status(cluster, S1, S3) == status(cluster, S2, S3) == ALIVE
    assert raft_of(cluster, S1).log.last == 0

    cluster.resume(S3)

    assert time_until(cluster, lambda: leaders(cluster)) < 6


def test_a_server_that_expects_nobody_waits_to_be_taken_in() -> None:
    first, second = server_setups(2)
    cluster = Cluster([replace(first, bootstrap_expect=1), replace(second, bootstrap_expect=0)], Timing(), 1, 0.0)
    pass_time(cluster, 5)

    assert leaders(cluster) == [S1]
    assert suffrage(cluster, S1, S2) == NONVOTER


def test_a_server_that_is_to_have_no_vote_never_gets_one() -> None:
    setups = server_setups(3)
    cluster = Cluster(
        [*setups, replace(setups[0], name="s4", id="id-4", host="127.0.1.4", nonvoter=True)], Timing(), 1, 0
    )
    pass_time(cluster, 60)

    assert suffrage(cluster, leader(cluster), "s4.global") == NONVOTER
    assert raft_of(cluster, "s4.global").leader == raft_of(cluster, leader(cluster)).local_id


@each_version
@pytest.mark.parametrize("seed", range(4))
def test_a_leader_that_is_killed_has_a_successor_within_some_seconds(series: str, seed: int) -> None:
    cluster = cluster_of(series, seed=seed)
    dead = leader(cluster)
    term = raft_of(cluster, dead).term
    cluster.kill(dead)

    assert 0.8 < time_until(cluster, lambda: leaders(cluster)) < 4.5
    assert leader(cluster) != dead
    assert raft_of(cluster, leader(cluster)).term > term


@each_version
def test_gossip_is_late_to_notice_that_a_server_is_dead(series: str) -> None:
    cluster = cluster_of(series)
    dead = followers(cluster)[0]
    others = [name for name in (S1, S2, S3) if name != dead]
    cluster.kill(dead)

    assert 34 < time_until(cluster, lambda: FAILED in [status(cluster, other, dead) for other in others]) < 36.6
    pass_time(cluster, 1)
    assert all(status(cluster, other, dead) != ALIVE for other in others)
    assert f"serf: EventMemberFailed: {dead} 127.0.1.{dead[1]}" in messages(cluster, others[0])


@each_version
def test_autopilot_drops_the_dead_server_soon_after(series: str) -> None:
    cluster = cluster_of(series)
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED)

    assert suffrage(cluster, leader(cluster), dead) == VOTER
    assert time_until(cluster, lambda: suffrage(cluster, leader(cluster), dead) is None) <= 10.5
    assert f"removing dead server: {dead}" in messages(cluster, leader(cluster))


@pytest.mark.parametrize(
    ("series", "fate"), [("2.0", FAILED), ("1.10", LEFT), ("1.6", LEFT), ("1.2", LEFT), ("0.12", LEFT)]
)
def test_the_member_of_a_server_that_was_dropped_has_the_fate_of_the_version(series: str, fate: str) -> None:
    cluster = cluster_of(series)
    dead, other = followers(cluster)
    without(cluster, dead)

    assert status(cluster, leader(cluster), dead) == status(cluster, other, dead) == fate


@pytest.mark.parametrize("series", ["2.0", "1.10", "1.6", "1.2"])
def test_a_server_that_comes_back_has_no_vote_at_first_and_one_soon(series: str) -> None:
    cluster = cluster_of(series)
    back, other = followers(cluster)
    first = without(cluster, back)
    cluster.start(back)

    assert time_until(cluster, lambda: suffrage(cluster, first, back) == NONVOTER) < 1
    assert time_until(cluster, lambda: status(cluster, other, back) == ALIVE) < 1
    assert 9.5 < time_until(cluster, lambda: suffrage(cluster, first, back) == VOTER) < 21
    pass_time(cluster, 1)
    assert raft_of(cluster, back).log == raft_of(cluster, first).log
    assert leader(cluster) == first or series == "1.2"


def test_before_raft_protocol_3_a_server_that_comes_back_has_a_vote_at_once() -> None:
    cluster = cluster_of("0.12")
    back = followers(cluster)[0]
    first = without(cluster, back)
    cluster.start(back)

    assert time_until(cluster, lambda: suffrage(cluster, first, back)) < 1
    assert suffrage(cluster, first, back) == VOTER


def test_a_server_that_was_forgotten_as_dead_is_no_peer_any_more() -> None:
    cluster = calm_cluster()
    dead, _ = followers(cluster)
    cluster.kill(dead)
    time_until(cluster, lambda: status(cluster, leader(cluster), dead) == FAILED)
    cluster.force_leave(leader(cluster), dead, prune=True)

    assert time_until(cluster, lambda: suffrage(cluster, leader(cluster), dead) is None) <= 10.5


@each_version
def test_without_a_majority_nobody_leads_and_nobody_is_dropped(series: str) -> None:
    cluster = cluster_of(series)
    alone, *dead = [leader(cluster), *followers(cluster)]
    term, last = raft_of(cluster, alone).term, raft_of(cluster, alone).log.last
    for name in dead:
        cluster.kill(name)
    pass_time(cluster, 3.5)
    after = raft_of(cluster, alone)
    contact = after.last_contact
    pass_time(cluster, 120)

    assert leaders(cluster) == []
    after = raft_of(cluster, alone)
    assert (after.state, after.leader, after.last_contact, after.log.last) == (CANDIDATE, None, contact, last)
    assert len(after.log.configuration.voters) == 3
    assert {status(cluster, alone, name) for name in dead} == {FAILED}
    assert (after.term == term) is VERSIONS[series].pre_vote


@each_version
def test_a_minority_that_is_cut_off_elects_nobody(series: str) -> None:
    cluster = cluster_of(series, servers=5)
    few = [leader(cluster), followers(cluster)[0]]
    many = [name for name in cluster.world.running() if name not in few]
    for name in few:
        cluster.partition(name, many)

    assert time_until(cluster, lambda: not set(leaders(cluster)) & set(few)) < 1
    assert time_until(cluster, lambda: leaders(cluster)) < 5
    for _ in range(30):
        pass_time(cluster, 1)
        assert set(leaders(cluster)) <= set(many)


@each_version
def test_what_a_leader_wrote_alone_is_lost_and_all_agree_again(series: str) -> None:
    cluster = cluster_of(series)
    alone, *many = [leader(cluster), *followers(cluster)]
    cluster.partition(alone, many)
    index = raft_loop.propose(cluster.world, alone)
    own = raft_of(cluster, alone).log.term(index)
    assert raft_of(cluster, alone).commit_index < index
    pass_time(cluster, 6)
    for _ in range(3):
        raft_loop.propose(cluster.world, leader(cluster))

    cluster.heal(alone)
    pass_time(cluster, 10)

    logs = [raft_of(cluster, name).log for name in (alone, *many)]
    assert logs[0] == logs[1] == logs[2]
    assert not logs[0].matches(index, own)


def test_gossip_agrees_again_after_a_cut_is_healed() -> None:
    cluster = calm_cluster(5)
    few, many = (S1, S2), (S3, "s4.global", "s5.global")
    for name in few:
        cluster.partition(name, many)
    pass_time(cluster, 40)
    assert {status(cluster, one, other) for one in few for other in many} == {FAILED}
    assert {status(cluster, one, other) for one in many for other in few} == {FAILED}

    for name in few:
        cluster.heal(name)

    assert time_until(cluster, lambda: status(cluster, S1, S3) == status(cluster, S3, S1) == ALIVE) < 1
    pass_time(cluster, 1)
    assert {status(cluster, one, other) for one in (*few, *many) for other in (*few, *many)} == {ALIVE}


def test_a_server_that_all_forgot_while_it_was_cut_off_comes_back() -> None:
    cluster = calm_cluster()
    alone, other = followers(cluster)
    cluster.partition(alone, [leader(cluster), other])
    pass_time(cluster, 40)
    cluster.force_leave(leader(cluster), alone, prune=True)
    pass_time(cluster, 10)
    assert status(cluster, leader(cluster), alone) is None

    cluster.heal(alone)
    pass_time(cluster, 2)

    assert status(cluster, leader(cluster), alone) == status(cluster, other, alone) == ALIVE


def test_a_leader_that_leads_again_has_forgotten_what_it_saw_before() -> None:
    cluster = calm_cluster()
    first = leader(cluster)
    assert cluster.world.server(first).autopilot.healthy_since.keys() == {
        f"id-global-s{number}" for number in (1, 2, 3)
    }

    cluster.pause(first)
    pass_time(cluster, 5)
    cluster.resume(first)
    pass_time(cluster, 1)

    assert leader(cluster) != first
    assert not cluster.world.server(first).autopilot.healthy_since


def two_regions() -> Cluster:
    here, there = server_setups(3), server_setups(3, region="eu", net=2)
    bridge = tuple(setup.serf_address for setup in here)
    return Cluster([*here, *(replace(one, retry_join=(*one.retry_join, *bridge)) for one in there)], Timing(), 1, 0.0)


def test_two_regions_know_each_other_and_elect_for_themselves() -> None:
    cluster = two_regions()
    pass_time(cluster, 10)
    names = set(cluster.world.agents)

    assert len(names) == 6
    assert all(set(cluster.world.server(name).gossip.members) == names for name in names)
    for region in ("global", "eu"):
        first = raft_of(cluster, leader(cluster, region))
        assert set(first.log.configuration.voters) == {f"id-{region}-s{number}" for number in (1, 2, 3)}


def test_a_region_that_is_lost_is_failed_for_the_other_and_changes_nothing_there() -> None:
    cluster = two_regions()
    pass_time(cluster, 10)
    before = raft_of(cluster, leader(cluster))
    for number in (1, 2, 3):
        cluster.kill(f"s{number}.eu")
    pass_time(cluster, 60)

    assert [status(cluster, S1, f"s{number}.eu") for number in (1, 2, 3)] == [FAILED] * 3
    after = raft_of(cluster, leader(cluster))
    assert (after.term, after.log.last) == (before.term, before.log.last)


def test_the_leader_takes_down_the_clients_that_are_overdue() -> None:
    cluster = calm_cluster(clients=2)
    cluster.kill("c1")
    pass_time(cluster, 31)
    known = cluster.world.nodes["global"]

    assert [known[f"id-global-c{number}"].status for number in (1, 2)] == [DOWN, READY]
    assert "node TTL expired" in messages(cluster, leader(cluster))
    assert known["id-global-c1"].modify_index <= raft_of(cluster, leader(cluster)).commit_index


def test_a_server_without_the_key_of_gossip_knows_itself_alone_and_raft_goes_on() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    first = leader(cluster)

    assert set(cluster.world.server(name).gossip.members) == {name}
    assert [status(cluster, viewer, name) for viewer in (S1, S2, S3)] == [ALIVE] * 3
    assert cluster.world.leader_of(name) is cluster.world.agents[first]
    assert cluster.world.now - (raft_of(cluster, name).last_contact or 0) < 0.3
    assert cluster.world.known_leader(name) is None


@pytest.mark.parametrize(("series", "then"), [("2.0", FAILED), ("1.10", LEFT)])
def test_a_server_without_the_key_fails_for_the_others_and_autopilot_tells_it_that_it_is_no_peer(
    series: str, then: str
) -> None:
    cluster, name = cluster_with_unencrypted_follower(VERSIONS[series])
    first = leader(cluster)
    assert 28 < time_until(cluster, lambda: status(cluster, first, name) == FAILED) < 32
    assert suffrage(cluster, first, name) == VOTER

    assert time_until(cluster, lambda: suffrage(cluster, first, name) is None) < 11
    pass_time(cluster, 5)
    assert status(cluster, first, name) == then
    removed = raft_of(cluster, name)
    assert removed.log.configuration.peer(removed.local_id) is None
    assert (removed.state, removed.leader, leader(cluster)) == (FOLLOWER, None, first)


def test_a_server_that_has_the_key_again_is_a_member_at_once_and_a_voter_later() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    pass_time(cluster, 60)
    first = leader(cluster)
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, encrypted=True))

    assert time_until(cluster, lambda: status(cluster, first, name) == ALIVE) < 1
    assert time_until(cluster, lambda: suffrage(cluster, first, name) == NONVOTER) < 1
    assert 9 < time_until(cluster, lambda: suffrage(cluster, first, name) == VOTER) < 21


def test_servers_do_not_join_where_one_has_the_key_and_the_other_has_none() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    cluster.join(name, leader(cluster))

    assert set(cluster.world.server(name).gossip.members) == {name}
