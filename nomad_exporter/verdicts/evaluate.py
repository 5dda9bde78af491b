"""All verdicts of a fleet at one instant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import Role
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.live import live, polling_problem
from nomad_exporter.verdicts.quorum import quorum
from nomad_exporter.verdicts.quorum_state import QuorumState, quorum_state
from nomad_exporter.verdicts.ready import ready
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from nomad_exporter.verdicts.view import View, clusters, view


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdicts about one agent, and how the voters of its cluster stand, where that was asked and is known."""

    snapshot: Snapshot
    verdicts: Mapping[Question, Verdict]
    quorum_state: QuorumState | None = None


@dataclass(frozen=True, slots=True)
class ServerQuorum:
    """A server's own view, and how its cluster stands."""

    view: View
    quorum_state: QuorumState | None


def server_quorums(
    fleet: Iterable[Snapshot], agents: Collection[str], at: Instant, thresholds: Thresholds
) -> Mapping[str, ServerQuorum]:
    """The seats of all watched servers in the clusters of ``agents``, by agent; who never told of itself has none."""
    known = list(fleet)
    views = [found for snapshot in known if (found := view(snapshot, at, thresholds))]
    unidentified = any(_is_unidentified(snapshot) for snapshot in known)
    return {
        each.agent: ServerQuorum(each, stands)
        for cluster in clusters(views)
        if any(each.agent in agents for each in cluster)
        for stands in [quorum_state(cluster, thresholds, unidentified)]
        for each in cluster
    }


def _is_unidentified(snapshot: Snapshot) -> bool:
    """Whether the agent never told who it is, so that it may be any server."""
    return snapshot.agent_self.answer is None and snapshot.roles != {Role.CLIENT}


def evaluate_agent(
    snapshot: Snapshot,
    seat: ServerQuorum | None,
    at: Instant,
    thresholds: Thresholds,
    questions: Iterable[Question] = tuple(Question),
) -> Evaluation:
    """The verdicts about one agent; ``seat`` is its seat among all that are watched."""
    verdicts = {question: _JUDGES[question](snapshot, seat, at, thresholds) for question in questions}
    return Evaluation(snapshot, verdicts, seat.quorum_state if seat else None)


def evaluate(
    fleet: Iterable[Snapshot],
    chosen: Collection[Snapshot],
    at: Instant,
    thresholds: Thresholds,
    questions: Collection[Question] = tuple(Question),
) -> list[Evaluation]:
    """The verdicts about the agents ``chosen`` of a ``fleet``, whose servers are witnesses for each other's quorum.

    No other question is about more than the agent itself, and a fleet is not looked through for it.
    """
    names = {snapshot.agent.name for snapshot in chosen}
    seated = server_quorums(fleet, names, at, thresholds) if Question.QUORUM in questions else {}
    return [evaluate_agent(snapshot, seated.get(snapshot.agent.name), at, thresholds, questions) for snapshot in chosen]


def _quorum(snapshot: Snapshot, seat: ServerQuorum | None, at: Instant, thresholds: Thresholds) -> Verdict:
    asking = polling_problem(snapshot, at, thresholds)
    if asking:
        return asking.to_verdict(Question.QUORUM)
    if snapshot.roles == {Role.CLIENT}:
        return Verdict(Question.QUORUM, VerdictReason.NOT_A_VOTER, "The agent is a client: no quorum rests on it.")
    if snapshot.agent_self.last is None:
        return Verdict(Question.QUORUM, VerdictReason.STARTING, "The agent has not been asked about itself yet.")
    if seat is None:
        return Verdict(Question.QUORUM, VerdictReason.UNKNOWN, "The agent has never told which cluster it belongs to.")
    return quorum(seat.view, seat.quorum_state, thresholds)


_JUDGES: Mapping[Question, Callable[[Snapshot, ServerQuorum | None, Instant, Thresholds], Verdict]] = {
    Question.LIVE: lambda snapshot, _, at, thresholds: live(snapshot, at, thresholds),
    Question.READY: lambda snapshot, _, at, thresholds: ready(snapshot, at, thresholds),
    Question.QUORUM: _quorum,
}
