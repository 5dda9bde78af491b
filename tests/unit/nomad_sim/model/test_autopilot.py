"""Tests of autopilot: health, removal of dead servers, and promotion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.model.autopilot import Autopilot, Change, is_healthy, member_of, observe, reconcile, run
from nomad_sim.model.gossip import ALIVE, FAILED, LEAVING, LEFT, Gossip, Member
from nomad_sim.model.raft import LEADER, Progress, Raft
from nomad_sim.model.raft_log import NONVOTER, VOTER, Configuration, Log, Peer
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup
from nomad_sim.versions import VERSIONS

NOW = 100.0
TIMING = Timing()

SETUPS = {name: Setup(name, f"id-{name}", host=name) for name in "abcde"}
PEERS = {name: Peer(f"id-{name}", f"{name}:4647") for name in "abcde"}


def raft_with(*peers: Peer, last_contact: float = NOW) -> Raft:
    """Return the leader ``a`` of these peers, with the same last contact for each of them."""
    log = Log(1, ((1, 1),), (Configuration(1, peers),))
    return Raft("id-a", TIMING, True, NOW, LEADER, 1, log, peers={peer.id: Progress(1, last_contact) for peer in peers})


def gossip_with(*members: Setup, **statuses: str) -> Gossip:
    """Return the gossip state of ``a``; members are alive unless ``statuses`` names them."""
    by_name = {setup.member: Member(setup, statuses.get(setup.name, ALIVE), 1, 0.0) for setup in members}
    return Gossip("a.global", by_name)


def leader_view(names: str, **statuses: str) -> tuple[Raft, Gossip]:
    """Return the Raft and gossip states of the leader ``a`` with these voters, one letter each."""
    return raft_with(*map(PEERS.__getitem__, names)), gossip_with(*map(SETUPS.__getitem__, names), **statuses)


def remaining_peers(change: Change | None) -> str:
    """Return the letters of the peers that remain after a change."""
    assert change
    return "".join(peer.id[-1] for peer in change.peers)


def test_member_of_finds_member_by_raft_id() -> None:
    _, gossip = leader_view("abc")

    assert member_of(gossip, PEERS["b"]) is gossip.members["b.global"]
    assert member_of(gossip, PEERS["d"]) is None


@pytest.mark.parametrize("status", [LEAVING, LEFT, FAILED])
def test_only_alive_member_is_healthy(status: str) -> None:
    raft, gossip = leader_view("abc", c=status)

    assert [is_healthy(raft, gossip, PEERS[name]) for name in "abcd"] == [True, True, False, False]


def test_server_with_lagging_log_is_unhealthy() -> None:
    raft, gossip = leader_view("ab")

    assert is_healthy(replace(raft, log=raft.log.append(1, 250)), gossip, PEERS["b"])
    assert not is_healthy(replace(raft, log=raft.log.append(1, 251)), gossip, PEERS["b"])


def test_peer_without_progress_is_unhealthy() -> None:
    raft, gossip = leader_view("abc")

    assert not is_healthy(replace(raft, peers={}), gossip, PEERS["b"])


def test_observe_keeps_start_of_health() -> None:
    raft, gossip = leader_view("abc")
    before = Autopilot({"id-a": 1.0, "id-b": 2.0, "id-d": 3.0})

    assert observe(before, raft, gossip, NOW).healthy_since == {"id-a": 1.0, "id-b": 2.0, "id-c": NOW}


def test_observe_keeps_start_of_leadership() -> None:
    raft, gossip = leader_view("abc")
    first = observe(Autopilot(), raft, gossip, NOW)

    assert observe(first, raft, gossip, NOW + 5).leader_since == NOW


def test_observe_resets_health_of_an_unhealthy_server() -> None:
    raft, gossip = leader_view("ab", b=FAILED)
    unhealthy = observe(Autopilot({"id-a": 1.0, "id-b": 2.0}), raft, gossip, NOW)

    assert unhealthy.healthy_since == {"id-a": 1.0}


def test_healthy_cluster_needs_no_change() -> None:
    raft, gossip = leader_view("abc")

    assert reconcile(raft, gossip) is None
    assert run(Autopilot(), raft, gossip, NOW, TIMING) is None


def test_reconcile_removes_a_server_that_left() -> None:
    change = reconcile(*leader_view("abc", b=LEFT))

    assert remaining_peers(change) == "ac"
    assert change
    assert change.reason == "removed server that left: b.global"


@pytest.mark.parametrize("status", [FAILED, LEAVING])
def test_reconcile_keeps_failed_and_leaving_servers(status: str) -> None:
    assert reconcile(*leader_view("abc", b=status)) is None


def test_reconcile_adds_a_new_server_as_nonvoter() -> None:
    raft, _ = leader_view("ab")
    _, gossip = leader_view("abc")

    assert reconcile(raft, gossip) == Change(
        (PEERS["a"], PEERS["b"], replace(PEERS["c"], suffrage=NONVOTER)), "added new server: c.global"
    )


def test_raft_protocol_2_adds_a_new_server_as_voter() -> None:
    old = Setup("d", "id-d", host="d", version=VERSIONS["0.12"])
    change = reconcile(raft_with(PEERS["a"]), gossip_with(SETUPS["a"], old))

    assert change
    assert change.peers[-1] == Peer("d:4647", "d:4647", VOTER)


@pytest.mark.parametrize("member", [replace(SETUPS["b"], region="eu"), SETUPS["c"]])
def test_reconcile_adds_no_failed_or_foreign_server(member: Setup) -> None:
    assert reconcile(raft_with(PEERS["a"]), gossip_with(SETUPS["a"], member, c=FAILED)) is None


@pytest.mark.parametrize(
    ("names", "dead", "remaining"),
    [
        ("abc", "c", "ab"),
        ("abc", "bc", None),
        ("ab", "b", None),
        ("abcd", "d", "abc"),
        ("abcd", "cd", None),
        ("abcde", "de", "abce"),
        ("abcde", "cde", None),
    ],
)
def test_dead_server_is_removed_only_if_a_majority_remains(names: str, dead: str, remaining: str | None) -> None:
    change = run(Autopilot(), *leader_view(names, **dict.fromkeys(dead, FAILED)), NOW, TIMING)

    assert (remaining_peers(change) if change else None) == remaining


def test_dead_nonvoter_is_removed() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))

    assert remaining_peers(run(Autopilot(), raft, leader_view("ab", b=FAILED)[1], NOW, TIMING)) == "a"


def test_server_unknown_to_gossip_is_removed() -> None:
    raft, _ = leader_view("abc")
    _, gossip = leader_view("ab")

    assert run(Autopilot(), raft, gossip, NOW, TIMING) == Change((PEERS["a"], PEERS["b"]), "removing dead server: id-c")


@pytest.mark.parametrize(("version", "left"), [("2.0", None), ("1.10", "c.global"), ("1.2", "c.global")])
def test_version_determines_whether_dead_member_leaves(version: str, left: str | None) -> None:
    raft, gossip = leader_view("abc", c=FAILED)
    own = replace(gossip.local_member, setup=replace(SETUPS["a"], version=VERSIONS[version]))
    change = run(Autopilot(), raft, replace(gossip, members={**gossip.members, "a.global": own}), NOW, TIMING)

    assert change
    assert change.left_member == left


def test_nonvoter_is_promoted_after_stabilization_time() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))
    _, gossip = leader_view("ab")

    assert run(Autopilot({"id-b": NOW - 9.9}), raft, gossip, NOW, TIMING) is None
    assert run(Autopilot({"id-b": NOW - 10.0}), raft, gossip, NOW, TIMING) == Change(
        (PEERS["a"], PEERS["b"]), "promoting server: b.global"
    )


def test_nonvoter_without_known_health_is_not_promoted() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))

    assert run(Autopilot(), raft, leader_view("ab")[1], NOW, TIMING) is None


def test_configured_nonvoter_is_never_promoted() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))
    gossip = gossip_with(SETUPS["a"], replace(SETUPS["b"], nonvoter=True))

    assert run(Autopilot({"id-b": 0.0}), raft, gossip, NOW, TIMING) is None


def test_removal_precedes_promotion() -> None:
    raft = raft_with(*map(PEERS.__getitem__, "abc"), replace(PEERS["d"], suffrage=NONVOTER))
    change = run(Autopilot({"id-d": 0.0}), raft, leader_view("abcd", c=FAILED)[1], NOW, TIMING)

    assert remaining_peers(change) == "abd"
