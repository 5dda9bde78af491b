"""The evaluation of all verdicts about a fleet at one instant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.live import live, polling_problem
from nomad_exporter.verdicts.quorum import quorum
from nomad_exporter.verdicts.quorum_state import QuorumState, build_quorum_state
from nomad_exporter.verdicts.ready import identity_problems, ready
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict, in_brackets
from nomad_exporter.verdicts.view import View, build_view, group_by_cluster


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdicts about one agent, by question.

    ``quorum_state`` is that of the agent's cluster; None if it is not known or the question was not evaluated.
    """

    snapshot: Snapshot
    verdicts: Mapping[Question, Verdict]
    quorum_state: QuorumState | None = None


@dataclass(frozen=True, slots=True)
class ServerQuorum:
    """The view of one server, and the quorum state of its cluster."""

    view: View
    quorum_state: QuorumState | None


def evaluate(
    fleet: Iterable[Snapshot],
    selected: Collection[Snapshot],
    now: Instant,
    thresholds: Thresholds,
    questions: Collection[Question] = tuple(Question),
) -> list[Evaluation]:
    """Evaluate the verdicts about the ``selected`` agents of a ``fleet``, in the order of the selection.

    All servers of the fleet are evidence for the quorum of their cluster.
    """
    names = {snapshot.agent.name for snapshot in selected}
    # Only the quorum depends on other agents, so other questions do not iterate over the fleet.
    servers = server_quorums(fleet, names, now, thresholds) if Question.QUORUM in questions else {}
    return [
        evaluate_agent(snapshot, servers.get(snapshot.agent.name), now, thresholds, questions) for snapshot in selected
    ]


def evaluate_agent(
    snapshot: Snapshot,
    server: ServerQuorum | None,
    now: Instant,
    thresholds: Thresholds,
    questions: Iterable[Question] = tuple(Question),
) -> Evaluation:
    """Evaluate the verdicts about one agent; ``server`` is None unless the agent is a server that has answered self."""
    verdicts = {question: _RULES[question](snapshot, server, now, thresholds) for question in questions}
    return Evaluation(snapshot, verdicts, server.quorum_state if server else None)


def server_quorums(
    fleet: Iterable[Snapshot], agents: Collection[str], now: Instant, thresholds: Thresholds
) -> Mapping[str, ServerQuorum]:
    """Return the quorum of each server in the clusters of ``agents``, by agent name.

    A server that has never answered self is missing from the result.
    """
    snapshots = list(fleet)
    views = [view for snapshot in snapshots if (view := build_view(snapshot, now, thresholds))]
    unidentified = {snapshot.agent.cluster for snapshot in snapshots if _is_unidentified(snapshot)}
    return {
        view.agent: ServerQuorum(view, state)
        for cluster in group_by_cluster(views)
        if any(view.agent in agents for view in cluster)
        for state in [build_quorum_state(cluster, thresholds, cluster[0].cluster in unidentified)]
        for view in cluster
    }


def _is_unidentified(snapshot: Snapshot) -> bool:
    """Return whether the agent may be a server, but it is not known which one."""
    return (snapshot[SELF].answer is None or snapshot.identity.has_several) and snapshot.roles != {Role.CLIENT}


def _quorum(snapshot: Snapshot, server: ServerQuorum | None, now: Instant, thresholds: Thresholds) -> Verdict:
    problem = polling_problem(snapshot, now, thresholds) or next(identity_problems(snapshot), None)
    if problem:
        return problem.to_verdict(Question.QUORUM)
    if snapshot.roles == {Role.CLIENT}:
        message = "Safe to stop: the agent is a client, and no quorum depends on it."
        return Verdict(Question.QUORUM, VerdictReason.NOT_A_VOTER, message)
    if snapshot[SELF].last is None:
        return Verdict(Question.QUORUM, VerdictReason.STARTING, "/v1/agent/self has not been polled yet.")
    if server is None:
        cause = in_brackets(snapshot[SELF].failure)
        message = f"The agent has not yet reported its cluster in /v1/agent/self{cause}."
        return Verdict(Question.QUORUM, VerdictReason.UNKNOWN, message)
    return quorum(server.view, server.quorum_state, thresholds)


_RULES: Mapping[Question, Callable[[Snapshot, ServerQuorum | None, Instant, Thresholds], Verdict]] = {
    Question.LIVE: lambda snapshot, _, now, thresholds: live(snapshot, now, thresholds),
    Question.READY: lambda snapshot, _, now, thresholds: ready(snapshot, now, thresholds),
    Question.QUORUM: _quorum,
}
