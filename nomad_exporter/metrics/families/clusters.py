"""Families about a cluster; present from the first poll of its last agent until no agent of it is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from nomad_exporter.metrics.family import Family, Sample, states
from nomad_exporter.nomad.stats import Number
from nomad_exporter.verdicts.cluster import ClusterState, ClusterStatus
from nomad_exporter.verdicts.quorum_state import QuorumState

L = TypeVar("L", bound=str)

_LABELS = ("nomad_cluster", "nomad_region")


def _family(
    name: str, help: str, value: Callable[[ClusterState], Iterable[Sample]], labels: tuple[str, ...] = ()
) -> Family[ClusterState]:
    """Return a family whose samples have the labels of the cluster before those in ``labels``."""

    def samples(cluster: ClusterState) -> Iterable[Sample]:
        return [((cluster.name, cluster.region, *values), number) for values, number in value(cluster)]

    return Family(f"nomad_cluster_{name}", help, "cluster", samples, (*_LABELS, *labels))


def _quorum(value: Callable[[QuorumState], Number | None]) -> Callable[[ClusterState], Iterable[Sample]]:
    def samples(cluster: ClusterState) -> Iterable[Sample]:
        number = value(cluster.quorum) if cluster.quorum else None
        return () if number is None else [((), number)]

    return samples


def _has_leader(cluster: ClusterState) -> Iterable[Sample]:
    return () if cluster.servers is None else [((), int(cluster.has_leader))]


def _leader_info(cluster: ClusterState) -> Iterable[Sample]:
    return [((cluster.leader.agent, cluster.leader.address), 1)] if cluster.leader else ()


def _by_label(counts: Mapping[L, int] | None) -> Iterable[Sample]:
    return [((label,), number) for label, number in (counts or {}).items()]


CLUSTERS: tuple[Family[ClusterState], ...] = (
    _family(
        "state",
        "Condition of the cluster: 1 for the first that applies, 0 for the others.",
        lambda cluster: states(cluster.status, ClusterStatus),
        ("state",),
    ),
    _family("has_leader", "Whether a server recently reached its leader.", _has_leader),
    _family(
        "leader_info",
        "Leader of the newest term; address is its RPC address.",
        _leader_info,
        ("agent", "address"),
    ),
    _family(
        "voters",
        "Voters by health; a voter that responds but is not proven healthy is unknown.",
        lambda cluster: _by_label(cluster.quorum.voters if cluster.quorum else None),
        ("health",),
    ),
    _family(
        "quorum_size", "Voters needed for quorum, a majority of all voters.", _quorum(lambda q: q.count.quorum_size)
    ),
    _family("voters_expected", "Servers that the cluster waits for at bootstrap.", _quorum(lambda q: q.expected)),
    _family(
        "failure_tolerance",
        "Healthy voters that can be lost; negative if quorum is lost, absent if not known.",
        _quorum(lambda q: q.failure_tolerance),
    ),
    _family(
        "servers", "Monitored servers of the cluster by state.", lambda cluster: _by_label(cluster.servers), ("state",)
    ),
    _family(
        "clients", "Monitored clients of the cluster by state.", lambda cluster: _by_label(cluster.clients), ("state",)
    ),
)
