"""What a verdict means to whoever runs a check: a state, which is the exit code, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.report import SOURCES, Report, ages, build_report, health_messages
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from nomad_exporter.verdicts.view import STABLE_ANSWERS


class State(IntEnum):
    """The states of Nagios and its like; the number is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


SEVERITY = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
"""The worst first."""

Status = tuple[State, VerdictReason, str]

_OPEN = frozenset({VerdictReason.POLL_ERROR, VerdictReason.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE})
"""Reasons that do not say that anything is wrong with the agent, but that too little is known of it."""

_BARS = frozenset({FailureReason.CREDENTIALS, FailureReason.UNAUTHORIZED})
"""Failures that are the fault of whoever asks."""


def live(judged: Evaluation, _: Sequence[Snapshot]) -> Status:
    """Where nothing could be asked, nothing is known."""
    failure = judged.snapshot.health.failure
    if failure and not (failure.is_unresponsive or failure.is_responsive):
        return State.UNKNOWN, VerdictReason.POLL_ERROR, f"The agent could not be asked ({failure})."
    return _status(judged.verdicts[Question.LIVE], [judged.snapshot])


def ready(judged: Evaluation, _: Sequence[Snapshot]) -> Status:
    """Where the agent did not let us in, nothing is known."""
    return _status(judged.verdicts[Question.READY], [judged.snapshot])


def quorum(judged: Evaluation, fleet: Sequence[Snapshot]) -> Status:
    """Where any witness did not let us in, nothing is known; what they did not tell is told."""
    witnesses = sorted(fleet, key=lambda one: one is not judged.snapshot)
    state, reason, sentence = _status(judged.verdicts[Question.QUORUM], witnesses)
    missing = [f"{one.agent.name} ({why[0]})" for one in witnesses if (why := _failures(one))]
    told = f" Not told: {', '.join(missing[:3])}." if missing and reason in _OPEN else ""
    return state, reason, sentence + told


def _status(verdict: Verdict, witnesses: Iterable[Snapshot]) -> Status:
    if verdict.ok:
        return State.OK, verdict.reason, verdict.message
    failures = (failure for one in witnesses for failure in _failures(one))
    state = _state_of(failures) if verdict.reason in _OPEN else State.CRITICAL
    return state, verdict.reason, verdict.message


def _failures(snapshot: Snapshot) -> list[Failure]:
    return [seen.failure for seen in snapshot.source_states if seen.failure]


def _state_of(failures: Iterable[Failure]) -> State:
    return State.UNKNOWN if any(failure.reason in _BARS for failure in failures) else State.CRITICAL


STATUSES: Mapping[Question, Callable[[Evaluation, Sequence[Snapshot]], Status]] = {
    Question.LIVE: live,
    Question.READY: ready,
    Question.QUORUM: quorum,
}


def health(snapshot: Snapshot) -> Status:
    """What Nomad says of itself, as the bridge gives it."""
    failure, answer = snapshot.health.failure, snapshot.health.answer
    if answer is None:
        reason = VerdictReason.UNRESPONSIVE if failure and failure.is_unresponsive else VerdictReason.POLL_ERROR
        return _state_of(_failures(snapshot)), reason, f"The agent did not tell its health ({failure})."
    phrases = "; ".join(f"of the {role}: {check.message}" for role, check in sorted(answer.plain.checks.items()))
    state, reason = (
        (State.OK, VerdictReason.OK) if answer.plain.status == 200 else (State.CRITICAL, VerdictReason.UNHEALTHY)
    )
    return state, reason, f"Nomad says {phrases}."


HEALTH = "health"
"""The question beside those of the judge: what Nomad says of itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a question about one agent, and the state that it means."""

    state: State
    told: Report


def sources(question: str, thresholds: Thresholds) -> frozenset[Source]:
    """What agents are to be asked for, so that the question can be answered."""
    needed = () if question == HEALTH else SOURCES[Question(question)]
    return frozenset({Source.HEALTH, *needed}) - (frozenset() if thresholds.autopilot else {Source.AUTOPILOT})


def findings(
    question: str, fleet: Sequence[Snapshot], names: Iterable[str], at: Instant, thresholds: Thresholds
) -> list[Finding]:
    """What is found about the agents ``names`` of a ``fleet``, in its order.

    No second answer will prove that two servers contradict each other for long: that they do is enough.
    """
    steady = [replace(snapshot, unchanged_answers=STABLE_ANSWERS) for snapshot in fleet]
    chosen = [snapshot for snapshot in steady if snapshot.agent.name in names]
    if question == HEALTH:
        return [_health(snapshot, at) for snapshot in chosen]
    asked = Question(question)
    return [
        _finding(STATUSES[asked](each, steady), build_report(each, asked, at))
        for each in evaluate(steady, chosen, at, thresholds, [asked])
    ]


def _finding(weighed: Status, told: Report) -> Finding:
    """What was told, as it weighs for whoever runs the check."""
    state, reason, sentence = weighed
    return Finding(state, replace(told, ok=state is State.OK, reason=reason, message=sentence))


def _health(snapshot: Snapshot, at: Instant) -> Finding:
    told = health_messages(snapshot.health.answer) if snapshot.health.answer else {}
    known = ages(Evaluation(snapshot, {}), Question.LIVE, at)
    state, reason, sentence = health(snapshot)
    return Finding(state, Report(snapshot.agent.name, state is State.OK, reason, sentence, told, known))
