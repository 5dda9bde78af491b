"""The state of a cluster: its status, its agents by state, and the verdict whether it can lose a voter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.cluster import ClusterState, ClusterStatus, cluster_states, cluster_verdict
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import VerdictReason
from tests.support.answers import REFUSED
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    Fleet,
    after_poll,
    agent,
    client,
    cluster,
    dead,
    evaluate_fleet,
    gossip,
    leaderless,
    polled_server,
    raft,
    reasons,
    rpc,
    self_answer,
)


def states(fleet: Fleet, at: Instant = AT) -> list[ClusterState]:
    snapshots = [*fleet.values()]
    return cluster_states(evaluate(snapshots, snapshots, at, THRESHOLDS), {"default"}, at, THRESHOLDS)


def state(fleet: Fleet, at: Instant = AT) -> ClusterState:
    [only] = states(fleet, at=at)
    return only


def in_cluster(name: str, fleet: Fleet, prefix: str = "") -> dict[str, Snapshot]:
    """Return the fleet with the name of its cluster configured, and with ``prefix`` before the names of the agents."""
    return {
        prefix + key: replace(each, agent=replace(each.agent, name=prefix + key, cluster=name))
        for key, each in fleet.items()
    }


def refused(name: str, roles: Iterable[Role] = (), region: str = "") -> Snapshot:
    """Return an agent that has never answered, with the configured roles and region."""
    snapshot = Snapshot(replace(agent(name), roles=frozenset(roles), region=region))
    return after_poll(after_poll(snapshot, HEALTH, REFUSED), SELF, REFUSED)


def with_dead(number: int, voters: int = 3) -> Fleet:
    """Return a cluster of which the last ``number`` voters are dead."""
    fleet = cluster(voters)
    return {name: dead(each) if int(name[1:]) > voters - number else each for name, each in fleet.items()}


def without_leader(fleet: Fleet) -> Fleet:
    return {name: each if each.consecutive_failures else leaderless(each) for name, each in fleet.items()}


@pytest.mark.parametrize(
    ("fleet", "status", "has_leader", "tolerance"),
    [
        pytest.param(cluster(3), "ok", True, 1, id="all healthy"),
        pytest.param(with_dead(1, voters=5), "degraded", True, 1, id="one of five dead"),
        pytest.param(with_dead(1), "no_tolerance", True, 0, id="one of three dead"),
        pytest.param(cluster(1), "no_tolerance", True, 0, id="one voter"),
        pytest.param(cluster(3, monitor=[1]), "unknown", True, None, id="one of three monitored"),
        pytest.param(without_leader(cluster(3)), "no_leader", False, None, id="election"),
        pytest.param(without_leader(with_dead(1)), "no_leader", False, None, id="leader dead"),
        pytest.param(with_dead(2), "quorum_lost", True, -1, id="majority dead, leader not stepped down"),
        pytest.param(without_leader(with_dead(2)), "quorum_lost", False, -1, id="majority dead"),
        pytest.param(with_dead(3), "quorum_lost", False, -2, id="all dead"),
    ],
)
def test_first_status_that_applies(fleet: Fleet, status: str, has_leader: bool, tolerance: int | None) -> None:
    found = state(fleet)

    assert (found.status, found.has_leader) == (status, has_leader)
    assert found.quorum
    assert found.quorum.failure_tolerance == tolerance


def test_lost_quorum_stays_known_for_days() -> None:
    assert state(with_dead(3), at=AT + 3 * 86_400).status is ClusterStatus.QUORUM_LOST


def test_total_loss_before_any_answer_has_no_leader() -> None:
    found = state({f"s{number}": refused(f"s{number}", {Role.SERVER}, "eu") for number in (1, 2, 3)})

    assert (found.status, found.has_leader, found.quorum) == (ClusterStatus.NO_LEADER, False, None)
    assert (found.region, found.servers) == ("eu", {"ready": 0, "not_ready": 3, "not_live": 0})


def test_agent_without_known_role_leaves_only_an_unknown_status() -> None:
    found = state({"a": refused("a")})

    assert (found.region, found.status, found.servers, found.clients) == ("unknown", "unknown", None, None)


def test_cluster_of_clients_has_no_status() -> None:
    found = state({"c1": client("c1"), "c2": dead(client("c2"))})

    assert (found.status, found.servers) == (None, None)
    assert found.clients == {"ready": 1, "not_ready": 1, "not_live": 0}


def test_agents_are_counted_by_state() -> None:
    fleet = cluster(3)
    fleet = {**fleet, "s2": leaderless(fleet["s2"]), "s3": dead(dead(dead(fleet["s3"])))}

    assert state(fleet).servers == {"ready": 1, "not_ready": 1, "not_live": 1}


def test_one_of_three_healthy_servers_never_proves_a_loss() -> None:
    for members in (gossip(1, 2, 3), gossip(1, 2, failed=[3]), gossip(1, failed=[2, 3]), gossip(1), None):
        found = state({"s1": polled_server(1, self_answer(1, raft(1, 2, 3)), members)})

        assert found.status in (ClusterStatus.UNKNOWN, ClusterStatus.NO_TOLERANCE), members
        assert found.quorum
        assert (found.quorum.failure_tolerance or 0) >= 0


# Labels.


def test_regions_are_separate_clusters() -> None:
    eu = polled_server(1, self_answer(1, raft(1), region="eu"), gossip(1))
    us = polled_server(1, self_answer(1, raft(1), region="us"), gossip(1), name="us-1")

    assert [(each.name, each.region) for each in states({"s1": eu, "us-1": us})] == [
        ("default", "eu"),
        ("default", "us"),
    ]


def regional(*regions: str) -> dict[str, Snapshot]:
    """Return a server with a cluster of its own in each region."""
    return {
        f"{region}-1": polled_server(1, self_answer(1, raft(1), region=region), gossip(1), f"{region}-1")
        for region in regions
    }


def regions(fleet: Fleet) -> dict[str, list[str]]:
    """Return the servers of each region."""
    return {each.region: [*each.agents] for each in states(fleet)}


def test_agent_without_region_joins_the_only_one_of_its_cluster() -> None:
    silent = {"s9": refused("s9", {Role.SERVER}), "c9": refused("c9", {Role.CLIENT})}
    [found] = states({**silent, **regional("eu")})

    assert (found.region, found.status) == ("eu", ClusterStatus.NO_TOLERANCE)
    assert (found.servers, found.clients) == (
        {"ready": 1, "not_ready": 1, "not_live": 0},
        {"ready": 0, "not_ready": 1, "not_live": 0},
    )


def test_region_of_a_client_is_known() -> None:
    fleet = {"s9": refused("s9", {Role.SERVER}), "c1": client(region="eu")}

    assert regions(fleet) == {"eu": ["s9"]}


def test_agent_without_region_joins_none_of_several() -> None:
    fleet = {**regional("eu", "us"), "s9": refused("s9", {Role.SERVER})}

    assert regions(fleet) == {"eu": ["eu-1"], "us": ["us-1"], "unknown": ["s9"]}


def test_region_of_a_cluster_with_another_name_is_not_joined() -> None:
    fleet = {**in_cluster("west", regional("eu")), "s9": refused("s9", {Role.SERVER})}

    assert regions(fleet) == {"eu": ["eu-1"], "unknown": ["s9"]}


def test_agent_without_role_and_region_joins_no_region() -> None:
    found = states({**regional("eu"), "a": refused("a")})

    assert [(each.region, each.status) for each in found] == [
        ("eu", ClusterStatus.NO_TOLERANCE),
        ("unknown", ClusterStatus.UNKNOWN),
    ]


def test_groups_that_share_both_labels_conflict() -> None:
    other = {f"x{n}": polled_server(n, self_answer(n, raft(7, 8, 9)), gossip(7, 8, 9), f"x{n}") for n in (7, 8, 9)}
    found = state({**cluster(3), **other})

    assert (found.status, found.quorum) == (ClusterStatus.CONFLICTING, None)
    assert cluster_verdict(found).reason is VerdictReason.CONFLICTING_VIEWS
    assert "s1, s2, s3, x7, x8" in cluster_verdict(found).message


def test_dead_group_still_conflicts() -> None:
    lost = polled_server(7, self_answer(7, raft(7, 8, 9)), gossip(7, 8, 9), "x7")

    assert state({**cluster(3), "x7": dead(lost)}, at=AT + 5).status is ClusterStatus.CONFLICTING
    assert state({**cluster(3), "x7": after_poll(lost, SELF, REFUSED)}).status is ClusterStatus.CONFLICTING


def test_agent_added_by_a_reload_does_not_count_until_polled() -> None:
    found = state({**cluster(3), "s9": Snapshot(agent("s9"))})

    assert replace(found, has_unpolled=False) == state(cluster(3))
    assert cluster_verdict(found).reason is VerdictReason.STARTING


def test_unpolled_agents_alone_are_a_cluster() -> None:
    assert state({"s9": Snapshot(agent("s9"))}).status is ClusterStatus.UNKNOWN


# Verdicts.


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        pytest.param(cluster(3), VerdictReason.OK, id="three"),
        pytest.param(with_dead(1, voters=5), VerdictReason.OK, id="four of five"),
        pytest.param(with_dead(1), VerdictReason.WOULD_LOSE_QUORUM, id="two of three"),
        pytest.param(cluster(2), VerdictReason.WOULD_LOSE_QUORUM, id="two"),
        pytest.param(cluster(3, monitor=[1]), VerdictReason.INSUFFICIENT_EVIDENCE, id="one of three monitored"),
        pytest.param(without_leader(cluster(3)), VerdictReason.NO_LEADER, id="election"),
        pytest.param(with_dead(3), VerdictReason.QUORUM_LOST, id="all dead"),
        pytest.param({"s1": refused("s1", {Role.SERVER})}, VerdictReason.NO_LEADER, id="never answered"),
        pytest.param({"a": refused("a")}, VerdictReason.UNKNOWN, id="unknown role"),
        pytest.param({"c1": client()}, VerdictReason.UNKNOWN, id="clients only"),
    ],
)
def test_cluster_can_lose_any_voter_only_with_tolerance(fleet: Fleet, reason: VerdictReason) -> None:
    assert cluster_verdict(state(fleet)).reason is reason


def test_cluster_is_starting_until_every_agent_was_polled() -> None:
    found = state({**cluster(2), "s3": Snapshot(agent("s3"))})

    assert cluster_verdict(found).reason is VerdictReason.STARTING


# Two clusters with equal addresses and IDs.

_CHANGES: dict[str, Callable[[Snapshot], Snapshot]] = {
    "none": lambda snapshot: snapshot,
    "dead": dead,
    "leaderless": leaderless,
    "refused self": lambda snapshot: after_poll(snapshot, SELF, REFUSED),
    "never polled": lambda snapshot: Snapshot(snapshot.agent),
}

_CHANGED = st.dictionaries(st.sampled_from(["s1", "s2", "s3"]), st.sampled_from([*_CHANGES]), max_size=3)
_MONITORED = st.sets(st.sampled_from([1, 2, 3]), min_size=1)


def changed(fleet: Fleet, changes: dict[str, str]) -> Fleet:
    return {name: _CHANGES[changes.get(name, "none")](each) for name, each in fleet.items()}


@given(_MONITORED, _CHANGED, _MONITORED, _CHANGED, st.sampled_from([1, 2, 3]))
def test_no_verdict_depends_on_another_cluster(
    monitored: set[int], changes: dict[str, str], others: set[int], other_changes: dict[str, str], leader: int
) -> None:
    east = in_cluster("east", changed(cluster(3, monitor=sorted(monitored)), changes), "east-")
    servers = {
        f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3), leader), gossip(1, 2, 3))
        for number in sorted(others)
    }
    west = in_cluster("west", changed(servers, other_changes), "west-")

    together = evaluate_fleet({**east, **west})
    assert {name: _judged(together[name]) for name in east} == {
        name: _judged(each) for name, each in evaluate_fleet(east).items()
    }
    assert states({**east, **west})[0] == states(east)[0]


def _judged(evaluation: Evaluation) -> object:
    return evaluation.verdicts, evaluation.quorum_state


def test_two_servers_at_one_address_conflict_below_raft_protocol_3() -> None:
    by_address = tuple(replace(server, id=server.address) for server in raft(1, 2, 3))

    def servers(prefix: str) -> dict[str, Snapshot]:
        members = replace(gossip(1, 2, 3))
        named = replace(members, members=tuple(replace(each, id=prefix + each.id) for each in members.members))
        return {
            f"{prefix}{number}": polled_server(
                number, self_answer(number, by_address, member=named.members[number - 1]), named, f"{prefix}{number}"
            )
            for number in (1, 2, 3)
        }

    assert rpc(1) == by_address[0].id
    east, west = servers("east"), servers("west")
    assert set(reasons(east).values()) == {VerdictReason.OK}
    assert set(reasons({"west2": west["west2"], **east}).values()) == {VerdictReason.CONFLICTING_VIEWS}
