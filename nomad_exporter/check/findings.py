"""What is found about agents that were asked once: the answer to a question, and what it rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nomad_exporter.check import weighing
from nomad_exporter.check.weighing import State, Weighed
from nomad_exporter.clock import Instant
from nomad_exporter.judge.facts import RESTS_ON, ages, words
from nomad_exporter.judge.judging import Judged, judge_all
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question
from nomad_exporter.judge.telling import Told, tell
from nomad_exporter.judge.views import STEADY
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.snapshot import Snapshot

HEALTH = "health"
"""The question beside those of the judge: what Nomad says of itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a question about one agent, and the state that it means."""

    state: State
    told: Told


def sources(question: str, limits: Limits) -> frozenset[Source]:
    """What agents are to be asked for, so that the question can be answered."""
    needed = () if question == HEALTH else RESTS_ON[Question(question)]
    return frozenset({Source.HEALTH, *needed}) - (frozenset() if limits.autopilot else {Source.AUTOPILOT})


def findings(
    question: str, fleet: Sequence[Snapshot], names: Iterable[str], at: Instant, limits: Limits
) -> list[Finding]:
    """What is found about the agents ``names`` of a ``fleet``, in its order.

    No second answer will prove that two servers contradict each other for long: that they do is enough.
    """
    steady = [replace(snapshot, steady=STEADY) for snapshot in fleet]
    chosen = [snapshot for snapshot in steady if snapshot.agent.name in names]
    if question == HEALTH:
        return [_health(snapshot, at) for snapshot in chosen]
    asked = Question(question)
    return [
        _finding(weighing.WEIGHERS[asked](each, steady), tell(each, asked, at))
        for each in judge_all(steady, chosen, at, limits, [asked])
    ]


def _finding(weighed: Weighed, told: Told) -> Finding:
    """What was told, as it weighs for whoever runs the check."""
    state, reason, sentence = weighed
    return Finding(state, replace(told, holds=state is State.OK, reason=reason, sentence=sentence))


def _health(snapshot: Snapshot, at: Instant) -> Finding:
    told = words(snapshot.health.answer) if snapshot.health.answer else {}
    known = ages(Judged(snapshot, {}), Question.LIVE, at)
    state, reason, sentence = weighing.health(snapshot)
    return Finding(state, Told(snapshot.agent.name, state is State.OK, reason, sentence, told, known))
