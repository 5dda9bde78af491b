"""The state of each cluster: its servers, its clients, its voters, and whether it can lose one of them.

A cluster is what shares the labels ``nomad_cluster`` and ``nomad_region``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import Role
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.quorum import NO_CONFIGURATION, describe_voters, find_problem
from nomad_exporter.verdicts.quorum_state import Leader, QuorumState, VoterHealth
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict, format_list
from nomad_exporter.verdicts.view import is_healthy

UNKNOWN_REGION = "unknown"
"""The region of agents that never reported one, if none is configured, unless their cluster has one known region."""

TOLERANT_VOTERS = 3
"""The number of voters with which a cluster can lose one of them."""


class ClusterStatus(StrEnum):
    """The condition of a cluster: the label ``state`` of ``nomad_cluster_state``."""

    CONFLICTING = "conflicting"
    QUORUM_LOST = "quorum_lost"
    NO_LEADER = "no_leader"
    UNKNOWN = "unknown"
    NO_TOLERANCE = "no_tolerance"
    DEGRADED = "degraded"
    OK = "ok"


class AgentState(StrEnum):
    """The condition of an agent: the label ``state`` of ``nomad_cluster_servers`` and ``nomad_cluster_clients``."""

    READY = "ready"
    NOT_READY = "not_ready"
    NOT_LIVE = "not_live"


AgentCounts = Mapping[AgentState, int]
"""The number of agents by state, zeros included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """The state of one cluster.

    It ``is_polled`` and exported once each of its agents was polled at some time. With ``has_unpolled``, an agent with
    the same name of the cluster has not been polled yet. ``servers`` and ``clients`` are None if no agent has the role.
    ``has_unknown_roles`` is whether the role of an agent is neither reported nor configured. ``has_leader`` is whether
    a server has recently reached its leader. ``quorums`` are the states of the groups of servers that share voters:
    normally one, none if no Raft configuration is known. ``agents`` are the names of the servers.
    """

    name: str
    region: str
    is_polled: bool = True
    has_unpolled: bool = False
    servers: AgentCounts | None = None
    clients: AgentCounts | None = None
    has_unknown_roles: bool = False
    has_leader: bool = False
    quorums: tuple[QuorumState, ...] = ()
    agents: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Name and region, as in ``prod/global``."""
        return f"{self.name}/{self.region}"

    @property
    def quorum(self) -> QuorumState | None:
        """The state of the voters; None if it is not known, or if several groups of servers share the labels."""
        return self.quorums[0] if len(self.quorums) == 1 else None

    @property
    def is_small(self) -> bool:
        """Whether fewer than ``TOLERANT_VOTERS`` voters exist, and no more are expected."""
        quorum = self.quorum
        return quorum is not None and max(quorum.count.voters, quorum.expected or 0) < TOLERANT_VOTERS

    @property
    def leader(self) -> Leader | None:
        """The leader of the newest term; None while no server reaches its leader."""
        return self.quorum.elected if self.quorum and self.has_leader else None

    @property
    def status(self) -> ClusterStatus | None:
        """The first status that applies; None for a cluster of which only clients are monitored."""
        if self.servers is None:
            return ClusterStatus.UNKNOWN if self.has_unknown_roles else None
        return next(status for status, applies in _STATUSES if applies(self))


def _has_conflict(cluster: ClusterState) -> bool:
    return len(cluster.quorums) > 1 or any(quorum.has_lasting_conflict for quorum in cluster.quorums)


def _is_quorum_lost(cluster: ClusterState) -> bool:
    return cluster.quorum is not None and cluster.quorum.is_quorum_lost


def _is_unknown(cluster: ClusterState) -> bool:
    quorum = cluster.quorum
    return quorum is None or not quorum.is_current or quorum.voters[VoterHealth.UNKNOWN] > 0


def _has_no_tolerance(cluster: ClusterState) -> bool:
    return cluster.quorum is not None and (cluster.quorum.failure_tolerance or 0) <= 0


def _is_degraded(cluster: ClusterState) -> bool:
    return cluster.quorum is not None and cluster.quorum.voters[VoterHealth.UNHEALTHY] > 0


_STATUSES: tuple[tuple[ClusterStatus, Callable[[ClusterState], bool]], ...] = (
    (ClusterStatus.CONFLICTING, _has_conflict),
    (ClusterStatus.QUORUM_LOST, _is_quorum_lost),
    (ClusterStatus.NO_LEADER, lambda cluster: not cluster.has_leader),
    (ClusterStatus.UNKNOWN, _is_unknown),
    (ClusterStatus.NO_TOLERANCE, _has_no_tolerance),
    (ClusterStatus.DEGRADED, _is_degraded),
    (ClusterStatus.OK, lambda _: True),
)


def cluster_states(
    evaluations: Sequence[Evaluation],
    polled: Container[str],
    now: Instant,
    thresholds: Thresholds,
    fleet: Sequence[Snapshot] = (),
) -> list[ClusterState]:
    """Return the state of each cluster, in the order of its first agent, given the evaluations of all its agents.

    ``polled`` are the names of the clusters of which every agent was polled at some time. An agent that a reload has
    just added counts once it has been polled. The numbers of agents by state need the verdicts ``live`` and ``ready``.
    ``fleet`` are all agents, if clients were not evaluated: the region that they report counts.
    """
    unpolled = {each.snapshot.agent.cluster for each in evaluations if not each.snapshot.is_polled}
    countable = _countable(evaluations)
    only_regions = _only_regions(fleet or [each.snapshot for each in countable])
    members: dict[tuple[str, str], list[Evaluation]] = defaultdict(list)
    for evaluation in countable:
        members[evaluation.snapshot.agent.cluster, _region(evaluation.snapshot, only_regions)].append(evaluation)
    return [
        replace(_build(name, region, agents, now, thresholds), is_polled=name in polled, has_unpolled=name in unpolled)
        for (name, region), agents in members.items()
    ]


def _countable(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations of polled agents, and of all agents of a cluster of which none has been polled."""
    polled = {each.snapshot.agent.cluster for each in evaluations if each.snapshot.is_polled}
    return [each for each in evaluations if each.snapshot.is_polled or each.snapshot.agent.cluster not in polled]


def _only_regions(snapshots: Iterable[Snapshot]) -> Mapping[str, str]:
    """Return the region of each cluster name of which exactly one region is known."""
    regions: dict[str, set[str]] = defaultdict(set)
    for snapshot in snapshots:
        if snapshot.known_region:
            regions[snapshot.agent.cluster].add(snapshot.known_region)
    return {name: next(iter(known)) for name, known in regions.items() if len(known) == 1}


def _region(snapshot: Snapshot, only_regions: Mapping[str, str]) -> str:
    # If the role is not known either, the agent may be all that is known of another region.
    others = only_regions.get(snapshot.agent.cluster) if snapshot.known_roles else None
    return snapshot.known_region or others or UNKNOWN_REGION


def _build(name: str, region: str, agents: Sequence[Evaluation], now: Instant, thresholds: Thresholds) -> ClusterState:
    servers = [each for each in agents if Role.SERVER in each.snapshot.known_roles]
    return ClusterState(
        name=name,
        region=region,
        servers=_count(servers),
        clients=_count([each for each in agents if Role.CLIENT in each.snapshot.known_roles]),
        has_unknown_roles=any(not each.snapshot.known_roles for each in agents),
        has_leader=any(is_healthy(each.snapshot, now, thresholds) for each in servers),
        quorums=_quorums(servers),
        agents=tuple(each.snapshot.agent.name for each in servers),
    )


def _count(agents: Sequence[Evaluation]) -> AgentCounts | None:
    tally = Counter(map(_agent_state, agents))
    return {state: tally[state] for state in AgentState} if agents else None


def _agent_state(evaluation: Evaluation) -> AgentState:
    verdicts = evaluation.verdicts
    if Question.LIVE not in verdicts or not verdicts[Question.LIVE].ok:
        return AgentState.NOT_LIVE
    return AgentState.READY if verdicts[Question.READY].ok else AgentState.NOT_READY


def _quorums(servers: Iterable[Evaluation]) -> tuple[QuorumState, ...]:
    """Return the distinct quorum states of the servers, also of those that no longer respond."""
    return tuple({state.agents: state for each in servers if (state := each.quorum_state)}.values())


def cluster_verdict(cluster: ClusterState) -> Verdict:
    """Return whether the cluster can lose any one of its healthy voters."""
    problem = _problem(cluster)
    if problem:
        return problem.to_verdict(Question.QUORUM)
    message = f"Any one voter can be lost: {describe_voters(cluster.quorum)}" if cluster.quorum else ""
    return Verdict(Question.QUORUM, VerdictReason.OK, message)


def _problem(cluster: ClusterState) -> Problem | None:
    # An agent that a reload has added may belong to this cluster or to another region, and may be down.
    if cluster.has_unpolled:
        return Problem(VerdictReason.STARTING, "Not every agent of the cluster has been polled yet.")
    if len(cluster.quorums) > 1:
        message = f"The servers do not belong to one cluster: {format_list(cluster.agents)}."
        return Problem(VerdictReason.CONFLICTING_VIEWS, message)
    if cluster.quorum:
        return find_problem(cluster.quorum, "losing one more would lose quorum", counts=True, could_count=True)
    if cluster.servers and not cluster.has_leader:
        return Problem(VerdictReason.NO_LEADER, "No server reaches a leader, and the voters are not known.")
    return Problem(VerdictReason.UNKNOWN, NO_CONFIGURATION)
