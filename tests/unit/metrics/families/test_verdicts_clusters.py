"""The families about a cluster: what is exported while servers run, while all are dead, and of clients alone."""

from __future__ import annotations

from nomad_exporter.metrics.families.verdicts import CLUSTERS
from nomad_exporter.metrics.family import render_family
from nomad_exporter.verdicts.cluster import AgentState, ClusterState, cluster_states
from nomad_exporter.verdicts.evaluate import evaluate
from tests.support.fleets import AT, THRESHOLDS, Fleet, client, cluster, dead

LABELS = 'nomad_cluster="default",nomad_region="unknown"'


def lines(cluster: ClusterState) -> list[str]:
    """Return the lines about a cluster, without the labels of the cluster and without zeros of the state."""
    text = b"".join(render_family(family, cluster, "") for family in CLUSTERS).decode()
    short = text.replace(f"{{{LABELS}}}", "").replace(f"{LABELS},", "").removeprefix("nomad_cluster_")
    return [line.removeprefix("nomad_cluster_") for line in short.splitlines() if not line.endswith('"} 0')]


def lines_of(fleet: Fleet) -> list[str]:
    snapshots = [*fleet.values()]
    [state] = cluster_states(evaluate(snapshots, snapshots, AT, THRESHOLDS), {"default"}, AT, THRESHOLDS)
    return lines(state)


def test_healthy_cluster() -> None:
    assert lines_of({**cluster(3), "c1": client()}) == [
        'state{state="ok"} 1',
        "has_leader 1",
        'leader_info{agent="s1",address="10.0.0.1:4647"} 1',
        'voters{health="healthy"} 3',
        "quorum_size 2",
        "failure_tolerance 1",
        'servers{state="ready"} 3',
        'clients{state="ready"} 1',
    ]


def test_cluster_of_dead_servers() -> None:
    assert lines_of({name: dead(each) for name, each in cluster(3).items()}) == [
        'state{state="quorum_lost"} 1',
        "has_leader 0",
        'voters{health="unhealthy"} 3',
        "quorum_size 2",
        "failure_tolerance -2",
        'servers{state="not_ready"} 3',
    ]


def test_cluster_of_clients() -> None:
    assert lines_of({"c1": client()}) == ['clients{state="ready"} 1']


def test_cluster_of_unknown_roles() -> None:
    assert lines(ClusterState(name="default", region="unknown", has_unknown_roles=True)) == ['state{state="unknown"} 1']


def test_servers_without_known_voters() -> None:
    servers = {AgentState.READY: 0, AgentState.NOT_READY: 0, AgentState.NOT_LIVE: 3}

    assert lines(ClusterState(name="default", region="unknown", servers=servers)) == [
        'state{state="no_leader"} 1',
        "has_leader 0",
        'servers{state="not_live"} 3',
    ]
