"""All verdicts of a fleet at one instant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.live import live, of_asking
from nomad_exporter.judge.quorum import quorum
from nomad_exporter.judge.ready import ready
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.standing import Standing, standing
from nomad_exporter.judge.verdict import Verdict
from nomad_exporter.judge.views import View, clusters, view
from nomad_exporter.nomad.answers import Role
from nomad_exporter.watch.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts about one agent, and how the voters of its cluster stand, where that was asked and is known."""

    snapshot: Snapshot
    verdicts: Mapping[Question, Verdict]
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A server's own view, and how its cluster stands."""

    view: View
    standing: Standing | None


def seats(fleet: Iterable[Snapshot], agents: Collection[str], at: Instant, limits: Limits) -> Mapping[str, Seat]:
    """The seats of all watched servers in the clusters of ``agents``, by agent; who never told of itself has none."""
    known = list(fleet)
    views = [found for snapshot in known if (found := view(snapshot, at, limits))]
    strangers = any(_is_stranger(snapshot) for snapshot in known)
    return {
        each.agent: Seat(each, stands)
        for cluster in clusters(views)
        if any(each.agent in agents for each in cluster)
        for stands in [standing(cluster, limits, strangers)]
        for each in cluster
    }


def _is_stranger(snapshot: Snapshot) -> bool:
    """Whether the agent never told who it is, so that it may be any server."""
    return snapshot.own.answer is None and snapshot.roles != {Role.CLIENT}


def judge(
    snapshot: Snapshot, seat: Seat | None, at: Instant, limits: Limits, questions: Iterable[Question] = tuple(Question)
) -> Judged:
    """The verdicts about one agent; ``seat`` is its seat among all that are watched."""
    verdicts = {question: _JUDGES[question](snapshot, seat, at, limits) for question in questions}
    return Judged(snapshot, verdicts, seat.standing if seat else None)


def judge_all(
    fleet: Iterable[Snapshot],
    chosen: Collection[Snapshot],
    at: Instant,
    limits: Limits,
    questions: Collection[Question] = tuple(Question),
) -> list[Judged]:
    """The verdicts about the agents ``chosen`` of a ``fleet``, whose servers are witnesses for each other's quorum.

    No other question is about more than the agent itself, and a fleet is not looked through for it.
    """
    names = {snapshot.agent.name for snapshot in chosen}
    seated = seats(fleet, names, at, limits) if Question.QUORUM in questions else {}
    return [judge(snapshot, seated.get(snapshot.agent.name), at, limits, questions) for snapshot in chosen]


def _quorum(snapshot: Snapshot, seat: Seat | None, at: Instant, limits: Limits) -> Verdict:
    asking = of_asking(snapshot, at, limits)
    if asking:
        return asking.about(Question.QUORUM)
    if snapshot.roles == {Role.CLIENT}:
        return Verdict(Question.QUORUM, Reason.NOT_A_VOTER, "The agent is a client: no quorum rests on it.")
    if snapshot.own.last is None:
        return Verdict(Question.QUORUM, Reason.STARTING, "The agent has not been asked about itself yet.")
    if seat is None:
        return Verdict(Question.QUORUM, Reason.UNKNOWN, "The agent has never told which cluster it belongs to.")
    return quorum(seat.view, seat.standing, limits)


_JUDGES: Mapping[Question, Callable[[Snapshot, Seat | None, Instant, Limits], Verdict]] = {
    Question.LIVE: lambda snapshot, _, at, limits: live(snapshot, at, limits),
    Question.READY: lambda snapshot, _, at, limits: ready(snapshot, at, limits),
    Question.QUORUM: _quorum,
}
