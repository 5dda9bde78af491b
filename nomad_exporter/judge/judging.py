"""All verdicts of a fleet at one instant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.live import live, of_asking
from nomad_exporter.judge.quorum import Standing, quorum, standing
from nomad_exporter.judge.ready import ready
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Verdict
from nomad_exporter.judge.views import View, clusters, view
from nomad_exporter.nomad.answers import Role
from nomad_exporter.watch.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts about one agent, and how the voters of its cluster stand, where that is known."""

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
    """Whether the agent was asked who it is and never told, so that it may be any server."""
    return snapshot.own.last is not None and snapshot.own.answer is None and snapshot.roles != {Role.CLIENT}


def judge(snapshot: Snapshot, seat: Seat | None, at: Instant, limits: Limits) -> Judged:
    """The verdicts about one agent; ``seat`` is its seat among all that are watched."""
    verdicts = (live(snapshot, at, limits), ready(snapshot, at, limits), _quorum(snapshot, seat, at, limits))
    return Judged(snapshot, {verdict.question: verdict for verdict in verdicts}, seat.standing if seat else None)


def judge_all(fleet: Sequence[Snapshot], chosen: Collection[Snapshot], at: Instant, limits: Limits) -> list[Judged]:
    """The verdicts about the agents ``chosen`` of a ``fleet``, whose servers are witnesses for each other."""
    seated = seats(fleet, {snapshot.agent.name for snapshot in chosen}, at, limits)
    return [judge(snapshot, seated.get(snapshot.agent.name), at, limits) for snapshot in chosen]


def _quorum(snapshot: Snapshot, seat: Seat | None, at: Instant, limits: Limits) -> Verdict:
    asking = of_asking(snapshot, at, limits)
    if asking:
        return Verdict(Question.QUORUM, asking.reason, asking.sentence)
    if snapshot.roles == {Role.CLIENT}:
        return Verdict(Question.QUORUM, Reason.NOT_A_VOTER, "The agent is a client: no quorum rests on it.")
    if snapshot.own.last is None:
        return Verdict(Question.QUORUM, Reason.STARTING, "The agent has not been asked about itself yet.")
    if seat is None:
        return Verdict(Question.QUORUM, Reason.UNKNOWN, "The agent has never told which cluster it belongs to.")
    return quorum(seat.view, seat.standing, limits)
