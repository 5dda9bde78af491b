"""What the leader does about the servers of its region."""

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
    """The leader ``a`` of these peers, who heard all of them at the same time."""
    log = Log(1, ((1, 1),), (Configuration(1, peers),))
    return Raft("id-a", TIMING, True, NOW, LEADER, 1, log, peers={peer.id: Progress(1, last_contact) for peer in peers})


def gossip_with(*members: Setup, **statuses: str) -> Gossip:
    """What ``a`` knows; all are alive that nothing is said of."""
    known = {setup.member: Member(setup, statuses.get(setup.name, ALIVE), 1, 0.0) for setup in members}
    return Gossip("a.global", known)


def servers(names: str, **statuses: str) -> tuple[Raft, Gossip]:
    """Voters, by the letters of their names, and what the leader takes them for."""
    return raft_with(*map(PEERS.__getitem__, names)), gossip_with(*map(SETUPS.__getitem__, names), **statuses)


def left_ids(change: Change | None) -> str:
    """The letters of the peers that remain."""
    assert change
    return "".join(peer.id[-1] for peer in change.peers)


def test_a_peer_is_the_member_of_its_id() -> None:
    _, gossip = servers("abc")

    assert member_of(gossip, PEERS["b"]) is gossip.members["b.global"]
    assert member_of(gossip, PEERS["d"]) is None


@pytest.mark.parametrize("status", [LEAVING, LEFT, FAILED])
def test_a_server_is_well_that_is_alive(status: str) -> None:
    raft, gossip = servers("abc", c=status)

    assert [is_healthy(raft, gossip, PEERS[name]) for name in "abcd"] == [True, True, False, False]


def test_a_server_is_not_well_whose_log_is_far_behind() -> None:
    raft, gossip = servers("ab")

    assert is_healthy(replace(raft, log=raft.log.append(1, 250)), gossip, PEERS["b"])
    assert not is_healthy(replace(raft, log=raft.log.append(1, 251)), gossip, PEERS["b"])


def test_a_peer_that_was_never_heard_is_not_well() -> None:
    raft, gossip = servers("abc")

    assert not is_healthy(replace(raft, peers={}), gossip, PEERS["b"])


def test_autopilot_remembers_since_when_a_server_is_well() -> None:
    raft, gossip = servers("abc")
    before = Autopilot({"id-a": 1.0, "id-b": 2.0, "id-d": 3.0})

    assert observe(before, raft, gossip, NOW).healthy_since == {"id-a": 1.0, "id-b": 2.0, "id-c": NOW}


def test_autopilot_remembers_since_when_the_leader_leads() -> None:
    raft, gossip = servers("abc")
    first = observe(Autopilot(), raft, gossip, NOW)

    assert observe(first, raft, gossip, NOW + 5).leader_since == NOW


def test_autopilot_begins_anew_with_a_server_that_was_not_well_for_a_moment() -> None:
    raft, gossip = servers("ab", b=FAILED)
    unhealthy = observe(Autopilot({"id-a": 1.0, "id-b": 2.0}), raft, gossip, NOW)

    assert unhealthy.healthy_since == {"id-a": 1.0}


def test_all_being_well_nothing_is_to_be_done() -> None:
    raft, gossip = servers("abc")

    assert reconcile(raft, gossip) is None
    assert run(Autopilot(), raft, gossip, NOW, TIMING) is None


def test_a_server_that_left_is_dropped_at_once() -> None:
    change = reconcile(*servers("abc", b=LEFT))

    assert left_ids(change) == "ac"
    assert change
    assert change.reason == "removed server that left: b.global"


@pytest.mark.parametrize("status", [FAILED, LEAVING])
def test_a_server_that_failed_or_leaves_is_not_dropped_at_once(status: str) -> None:
    assert reconcile(*servers("abc", b=status)) is None


def test_a_server_that_is_new_is_taken_in_without_a_vote() -> None:
    raft, _ = servers("ab")
    _, gossip = servers("abc")

    assert reconcile(raft, gossip) == Change(
        (PEERS["a"], PEERS["b"], replace(PEERS["c"], suffrage=NONVOTER)), "added new server: c.global"
    )


def test_before_raft_protocol_3_a_server_that_is_new_has_a_vote_at_once() -> None:
    old = Setup("d", "id-d", host="d", version=VERSIONS["0.12"])
    change = reconcile(raft_with(PEERS["a"]), gossip_with(SETUPS["a"], old))

    assert change
    assert change.peers[-1] == Peer("d:4647", "d:4647", VOTER)


@pytest.mark.parametrize("member", [replace(SETUPS["b"], region="eu"), SETUPS["c"]])
def test_a_server_of_another_region_or_one_that_is_not_alive_is_not_taken_in(member: Setup) -> None:
    assert reconcile(raft_with(PEERS["a"]), gossip_with(SETUPS["a"], member, c=FAILED)) is None


@pytest.mark.parametrize(
    ("names", "dead", "remain"),
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
def test_a_dead_server_is_dropped_where_the_living_are_a_majority(names: str, dead: str, remain: str | None) -> None:
    change = run(Autopilot(), *servers(names, **dict.fromkeys(dead, FAILED)), NOW, TIMING)

    assert (left_ids(change) if change else None) == remain


def test_a_dead_server_without_a_vote_is_dropped_too() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))

    assert left_ids(run(Autopilot(), raft, servers("ab", b=FAILED)[1], NOW, TIMING)) == "a"


def test_a_server_that_gossip_has_forgotten_is_dropped() -> None:
    raft, _ = servers("abc")
    _, gossip = servers("ab")

    assert run(Autopilot(), raft, gossip, NOW, TIMING) == Change((PEERS["a"], PEERS["b"]), "removing dead server: id-c")


@pytest.mark.parametrize(("version", "left"), [("2.0", None), ("1.10", "c.global"), ("1.2", "c.global")])
def test_the_version_tells_whether_the_member_of_a_dead_server_is_told_to_have_left(
    version: str, left: str | None
) -> None:
    raft, gossip = servers("abc", c=FAILED)
    own = replace(gossip.local_member, setup=replace(SETUPS["a"], version=VERSIONS[version]))
    change = run(Autopilot(), raft, replace(gossip, members={**gossip.members, "a.global": own}), NOW, TIMING)

    assert change
    assert change.left_member == left


def test_a_server_without_a_vote_gets_one_when_it_was_well_for_long_enough() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))
    _, gossip = servers("ab")

    assert run(Autopilot({"id-b": NOW - 9.9}), raft, gossip, NOW, TIMING) is None
    assert run(Autopilot({"id-b": NOW - 10.0}), raft, gossip, NOW, TIMING) == Change(
        (PEERS["a"], PEERS["b"]), "promoting server: b.global"
    )


def test_a_server_that_is_not_well_gets_no_vote() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))

    assert run(Autopilot(), raft, servers("ab")[1], NOW, TIMING) is None


def test_a_server_that_is_to_have_no_vote_never_gets_one() -> None:
    raft = raft_with(PEERS["a"], replace(PEERS["b"], suffrage=NONVOTER))
    gossip = gossip_with(SETUPS["a"], replace(SETUPS["b"], nonvoter=True))

    assert run(Autopilot({"id-b": 0.0}), raft, gossip, NOW, TIMING) is None


def test_the_dead_come_before_the_new() -> None:
    raft = raft_with(*map(PEERS.__getitem__, "abc"), replace(PEERS["d"], suffrage=NONVOTER))
    change = run(Autopilot({"id-d": 0.0}), raft, servers("abcd", c=FAILED)[1], NOW, TIMING)

    assert left_ids(change) == "abd"
