"""Changes of verdicts and of clusters, as log lines. The changes of answers are in ``polling/transitions.py``."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import Role
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import LogLine
from nomad_exporter.verdicts.cluster import ClusterState, ClusterStatus, cluster_states, cluster_verdict
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate, server_quorums
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict

MAX_NAMES = 5
"""How many agents a line about several agents names."""


@dataclass(frozen=True, slots=True)
class Line:
    """A log line: its ``kind``, its fields, and ``agent`` unless it is about no single agent.

    ``details`` are fields that may differ between lines that count as equal.
    """

    kind: LogLine
    fields: Mapping[str, str]
    agent: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_fields(self) -> Mapping[str, str]:
        """The fields in the order of the line."""
        agent = {"agent": self.agent} if self.agent else {}
        return {**self.fields, **agent, **self.details}


LOGGED_QUESTIONS = (Question.LIVE, Question.READY)
"""The questions about an agent itself. The quorum changes for all servers of a cluster at once."""

Agents = Mapping[str, Evaluation]
"""The newest evaluation of each agent, by agent name, with the newest verdicts that rest on evidence."""

VERDICT_EVENTS: Mapping[tuple[Question, bool], tuple[str, LogLine]] = {
    (Question.LIVE, True): ("live", LogLine("agent live")),
    (Question.LIVE, False): ("not_live", LogLine("agent not live", logging.ERROR)),
    (Question.READY, True): ("ready", LogLine("agent ready")),
    (Question.READY, False): ("not_ready", LogLine("agent not ready", logging.WARNING)),
}
"""The field ``event`` and the log line of a verdict, by question and answer."""

CLUSTER_EVENT = "cluster_state"
"""The field ``event`` of all lines about clusters."""


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """The state of a cluster; ``unknown_since`` is when its newer states became unknown, None if they are not."""

    state: ClusterState
    unknown_since: Instant | None = None


Clusters = Mapping[tuple[str, str], KnownCluster]
"""The clusters with a status, by their labels ``nomad_cluster`` and ``nomad_region``."""


@dataclass(frozen=True, slots=True)
class StatusLines:
    """The log lines of a status: when a cluster ``entered`` it, and when the cluster has ``recovered`` from it.

    ``works`` is whether the cluster has a leader and a quorum. Without ``recovered``, the line of the next status is
    written.
    """

    entered: LogLine
    recovered: LogLine | None = None
    works: bool = False


CLUSTER_LINES: Mapping[ClusterStatus, StatusLines] = {
    ClusterStatus.CONFLICTING: StatusLines(
        LogLine("clusters conflict", logging.ERROR), LogLine("clusters no longer conflict")
    ),
    ClusterStatus.QUORUM_LOST: StatusLines(LogLine("quorum lost", logging.ERROR), LogLine("quorum recovered")),
    ClusterStatus.NO_LEADER: StatusLines(LogLine("no leader", logging.ERROR), LogLine("leader recovered")),
    ClusterStatus.UNKNOWN: StatusLines(LogLine("cluster state unknown", logging.WARNING)),
    ClusterStatus.NO_TOLERANCE: StatusLines(LogLine("no failure tolerance", logging.WARNING), works=True),
    ClusterStatus.DEGRADED: StatusLines(LogLine("cluster degraded", logging.WARNING), works=True),
    ClusterStatus.OK: StatusLines(LogLine("cluster ok"), works=True),
}
"""The log lines of each status of a cluster."""

_SILENT_AT_FIRST = (ClusterStatus.OK, ClusterStatus.UNKNOWN)
"""A first status that is not logged: no problem, or no evidence yet."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of all agents and clusters at one instant."""

    agents: Agents = field(default_factory=dict)
    clusters: Clusters = field(default_factory=dict)

    def after(self, fleet: Sequence[Snapshot], polled: Container[str], now: Instant, thresholds: Thresholds) -> Known:
        """Return what is known of the ``fleet`` now; ``polled`` are the names of the clusters that were polled."""
        agents = reevaluate(self.agents, fleet, now, thresholds)
        return Known(agents, update_clusters(self.clusters, fleet, polled, now, thresholds))


def changes(before: Known, after: Known) -> Iterator[Line]:
    """Yield a line for each changed verdict and each changed status of a cluster."""
    yield from verdict_changes(before.agents, after.agents)
    yield from cluster_changes(before.clusters, after.clusters)


# Verdicts about agents.


def reevaluate(known: Agents, fleet: Sequence[Snapshot], now: Instant, thresholds: Thresholds) -> Agents:
    """Return what is known of the agents of the ``fleet`` now; evaluate only those whose verdicts may have changed.

    A verdict that rests on no evidence leaves the known verdict unchanged.
    """
    due = [snapshot for snapshot in fleet if _is_due(known.get(snapshot.agent.name), snapshot, now, thresholds)]
    evaluations = evaluate(fleet, due, now, thresholds, LOGGED_QUESTIONS)
    evaluated = {evaluation.snapshot.agent.name: _merge(known, evaluation) for evaluation in evaluations}
    return {name: evaluated.get(name) or known[name] for name in (snapshot.agent.name for snapshot in fleet)}


def _is_due(known: Evaluation | None, snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> bool:
    """Return whether the agent was polled since its evaluation, or a poll is late: then time alone changes verdicts."""
    if known is None or known.snapshot is not snapshot:
        return True
    last = snapshot.last_poll_ended
    return last is not None and now.since(last) > thresholds.health_interval


def _merge(known: Agents, new: Evaluation) -> Evaluation:
    conclusive = {question: verdict for question, verdict in new.verdicts.items() if _has_evidence(verdict)}
    return replace(new, verdicts={**_known_verdicts(known, new.snapshot.agent), **conclusive})


def _has_evidence(verdict: Verdict) -> bool:
    return not (verdict.is_assumed or verdict.reason is VerdictReason.STARTING)


def _known_verdicts(known: Agents, agent: Agent) -> Mapping[Question, Verdict]:
    """Return the known verdicts about an agent; empty if an agent with other settings had its name."""
    evaluation = known.get(agent.name)
    return evaluation.verdicts if evaluation and evaluation.snapshot.agent == agent else {}


def verdict_changes(before: Agents, after: Agents) -> Iterator[Line]:
    """Yield a line for each verdict whose answer or reason changed."""
    for name, evaluation in after.items():
        if evaluation is before.get(name):
            continue
        old = _known_verdicts(before, evaluation.snapshot.agent)
        for question, verdict in evaluation.verdicts.items():
            if _has_changed(old.get(question), verdict):
                event, kind = VERDICT_EVENTS[question, verdict.ok]
                fields = {"event": event, "reason": str(verdict.reason)}
                yield Line(kind, fields, name, {"message": verdict.message})


def _has_changed(old: Verdict | None, new: Verdict) -> bool:
    """Return whether a verdict changed; a first one only counts if it shows a problem of the agent."""
    if old is None:
        return not new.ok and new.reason is not VerdictReason.EXPORTER_STALLED
    return (old.ok, old.reason) != (new.ok, new.reason)


# Clusters.


def update_clusters(
    known: Clusters, fleet: Sequence[Snapshot], polled: Container[str], now: Instant, thresholds: Thresholds
) -> Clusters:
    """Return the clusters of a fleet that have a status; ``polled`` as in ``cluster_states``."""
    # Most agents are clients, and clients alone have no status.
    servers = [snapshot for snapshot in fleet if snapshot.known_roles != {Role.CLIENT}]
    quorums = server_quorums(servers, {snapshot.agent.name for snapshot in servers}, now, thresholds)
    evaluations = [
        Evaluation(snapshot, {}, quorum.quorum_state if (quorum := quorums.get(snapshot.agent.name)) else None)
        for snapshot in servers
        if snapshot.is_polled
    ]
    states = cluster_states(evaluations, polled, now, thresholds, fleet)
    return {
        key: _update(known.get(key), state, now, thresholds)
        for state in states
        if state.is_polled and state.status
        for key in [(state.name, state.region)]
    }


def _update(known: KnownCluster | None, state: ClusterState, now: Instant, thresholds: Thresholds) -> KnownCluster:
    """Return the new state, unless it has been unknown for less than the maximum age of an answer."""
    # During an election, evidence about some voters is missing for a few seconds.
    if known is None or state.status is not ClusterStatus.UNKNOWN:
        return KnownCluster(state)
    since = known.unknown_since or now
    return replace(known, unknown_since=since) if now.since(since) < thresholds.max_age else KnownCluster(state, since)


def cluster_changes(before: Clusters, after: Clusters) -> Iterator[Line]:
    """Yield a line for each cluster whose status changed; a first status only if it shows a problem."""
    for key, cluster in after.items():
        old, new = before[key].state.status if key in before else None, cluster.state.status
        is_silent = new in _SILENT_AT_FIRST or _is_planned(cluster.state)
        if new and old != new and (old or not is_silent):
            line = _line(old, new)
            yield Line(
                replace(line, level=logging.INFO) if _is_planned(cluster.state) else line, _fields(cluster.state)
            )


def _is_planned(cluster: ClusterState) -> bool:
    """Return whether no voter can be lost even if all are healthy, as there are too few."""
    return cluster.status is ClusterStatus.NO_TOLERANCE and cluster.is_small


def _line(old: ClusterStatus | None, new: ClusterStatus) -> LogLine:
    recovered = CLUSTER_LINES[old].recovered if old else None
    return recovered if recovered and CLUSTER_LINES[new].works else CLUSTER_LINES[new].entered


def _fields(cluster: ClusterState) -> Mapping[str, str]:
    labels = {"nomad_cluster": cluster.name, "nomad_region": cluster.region}
    return {"event": CLUSTER_EVENT, "state": str(cluster.status), **labels, **_numbers(cluster), **_conflict(cluster)}


def _numbers(cluster: ClusterState) -> Mapping[str, str]:
    """Return the numbers of voters by health, and the quorum size; nothing if the voters are not known."""
    quorum = cluster.quorum
    if quorum is None:
        return {}
    by_health = {str(health): number for health, number in quorum.voters.items()}
    numbers = {"voters": quorum.count.voters, **by_health, "quorum_size": quorum.count.quorum_size}
    return {name: str(number) for name, number in numbers.items()}


def _conflict(cluster: ClusterState) -> Mapping[str, str]:
    """Return the servers that conflict, and what to do about it."""
    if cluster.status is not ClusterStatus.CONFLICTING:
        return {}
    return {**name_agents(cluster.agents), "remedy": cluster_verdict(cluster).remedy}


def name_agents(names: Sequence[str]) -> Mapping[str, str]:
    """Return the fields that count agents and name the first of them."""
    shown = [*names[:MAX_NAMES], *(["…"] if len(names) > MAX_NAMES else [])]
    return {"agents": str(len(names)), "names": ",".join(shown)}
