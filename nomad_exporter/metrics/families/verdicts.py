"""Families of verdicts, about an agent and about a cluster. They depend on the instant of the scrape.

A cluster has samples from the first poll of its last agent until no agent of the cluster is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Family, Lifetime, Sample, one, states
from nomad_exporter.nomad.sources import SELF, Source
from nomad_exporter.nomad.stats import Number
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.cluster import ClusterState, ClusterStatus
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import Question

L = TypeVar("L", bound=str)

_CLUSTER_LABELS = ("nomad_cluster", "nomad_region")


# Agents.


@dataclass(frozen=True, slots=True)
class AgentAtScrape:
    """An agent and its verdicts at the instant of a scrape; ``max_age`` limits the age of an answer, in seconds."""

    evaluation: Evaluation
    now: Instant
    max_age: float

    @property
    def snapshot(self) -> Snapshot:
        return self.evaluation.snapshot

    @property
    def is_polled(self) -> bool:
        """Whether the first poll has ended; before that, no verdict is exported."""
        return self.snapshot.last_poll_ended is not None

    def exports(self, source: Source[Any], lifetime: Lifetime) -> bool:
        """Return whether the newest answer of ``source`` is exported in families with this ``lifetime``."""
        if lifetime is Lifetime.CONFIGURED:
            return self.snapshot[source].answer is not None
        is_fresh = self.snapshot[source].age(self.now) <= self.max_age
        return is_fresh and (lifetime is Lifetime.MAX_AGE or self._is_of_the_moment(source, lifetime))

    def _is_of_the_moment(self, source: Source[Any], lifetime: Lifetime) -> bool:
        snapshot = self.snapshot
        is_outdated = lifetime is Lifetime.TERM and self._leads_an_older_term()
        # Without its leader, a server is not polled for what needs the leader.
        is_unpolled = source.needs_leader and not snapshot.reaches_leader
        is_failing = snapshot[source].failure is not None or snapshot.is_silent_since(source)
        return not (is_outdated or is_unpolled or is_failing)

    def _leads_an_older_term(self) -> bool:
        state, agent_self = self.evaluation.quorum_state, self.snapshot[SELF].answer
        if agent_self is None or not agent_self.is_leader or not (state and state.elected):
            return False
        return agent_self.numbers.get("raft.term", 0) < state.elected.term


def _up(agent: AgentAtScrape) -> Iterable[Sample]:
    state = agent.snapshot[SELF]
    if state.last is None:
        return ()
    # A stale answer is not "up": the poller may be stuck, for example in name resolution.
    is_fresh = agent.now.since(state.last.ended) <= agent.max_age
    return one(int(state.failure is None and is_fresh))


def _verdict(question: Question) -> Callable[[AgentAtScrape], Iterable[Sample]]:
    def samples(agent: AgentAtScrape) -> Iterable[Sample]:
        return one(int(agent.evaluation.verdicts[question].ok) if agent.is_polled else None)

    return samples


def _reasons(agent: AgentAtScrape) -> Iterable[Sample]:
    if not agent.is_polled:
        return ()
    return [((question, verdict.reason), 1) for question, verdict in agent.evaluation.verdicts.items()]


VERDICTS: tuple[Family[AgentAtScrape], ...] = (
    Family(
        "nomad_agent_up",
        "Whether the last poll of /v1/agent/self succeeded; absent before the first poll.",
        "polls",
        _up,
    ),
    Family(
        "nomad_agent_live",
        "Whether the agent is live, as reported by /health/live.",
        "verdict",
        _verdict(Question.LIVE),
    ),
    Family(
        "nomad_agent_ready",
        "Whether the agent is ready, as reported by /health/ready.",
        "verdict",
        _verdict(Question.READY),
    ),
    Family(
        "nomad_agent_safe_to_stop",
        "Whether the cluster keeps its quorum without the agent, as reported by /health/quorum.",
        "verdict",
        _verdict(Question.QUORUM),
    ),
    Family(
        "nomad_agent_verdict_reason",
        "Reason of each verdict: 1 for the current reason.",
        "verdict",
        _reasons,
        ("verdict", "reason"),
    ),
    Family(
        "nomad_agent_certificate_expiry_timestamp_seconds",
        "Expiry time of the agent's certificate.",
        "polls",
        lambda agent: one(agent.snapshot.certificates.peer),
    ),
    Family(
        "nomad_exporter_client_certificate_expiry_timestamp_seconds",
        "Expiry time of the client certificate presented to the agent.",
        "polls",
        lambda agent: one(agent.snapshot.certificates.own),
    ),
)


# Clusters.


def _of_cluster(
    name: str, help: str, value: Callable[[ClusterState], Iterable[Sample]], labels: tuple[str, ...] = ()
) -> Family[ClusterState]:
    """Return a family whose samples have the labels of the cluster before those in ``labels``."""

    def samples(cluster: ClusterState) -> Iterable[Sample]:
        return [((cluster.name, cluster.region, *values), number) for values, number in value(cluster)]

    return Family(f"nomad_cluster_{name}", help, "cluster", samples, (*_CLUSTER_LABELS, *labels))


def _of_quorum(value: Callable[[QuorumState], Number | None]) -> Callable[[ClusterState], Iterable[Sample]]:
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
    _of_cluster(
        "state",
        "Condition of the cluster: 1 for the first that applies, 0 for the others.",
        lambda cluster: states(cluster.status, ClusterStatus),
        ("state",),
    ),
    _of_cluster("has_leader", "Whether a server recently reached its leader.", _has_leader),
    _of_cluster(
        "leader_info",
        "Leader of the newest term; address is its RPC address.",
        _leader_info,
        ("agent", "address"),
    ),
    _of_cluster(
        "voters",
        "Voters by health; a voter that responds but is not proven healthy is unknown.",
        lambda cluster: _by_label(cluster.quorum.voters if cluster.quorum else None),
        ("health",),
    ),
    _of_cluster(
        "quorum_size", "Voters needed for quorum, a majority of all voters.", _of_quorum(lambda q: q.count.quorum_size)
    ),
    _of_cluster(
        "voters_expected", "Servers that the cluster waits for at bootstrap.", _of_quorum(lambda q: q.expected)
    ),
    _of_cluster(
        "failure_tolerance",
        "Healthy voters that can be lost; negative if quorum is lost, absent if not known.",
        _of_quorum(lambda q: q.failure_tolerance),
    ),
    _of_cluster(
        "servers", "Monitored servers of the cluster by state.", lambda cluster: _by_label(cluster.servers), ("state",)
    ),
    _of_cluster(
        "clients", "Monitored clients of the cluster by state.", lambda cluster: _by_label(cluster.clients), ("state",)
    ),
)
