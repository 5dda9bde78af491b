"""Changes of verdicts and of clusters, as log lines. The changes of answers are in ``polling/transitions.py``."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.polling.line_groups import Line
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import LogLine
from nomad_exporter.verdicts.cluster_changes import Clusters, cluster_changes, update_clusters
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict

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
