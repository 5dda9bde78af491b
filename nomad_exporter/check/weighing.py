"""What a verdict means to whoever runs a check: a state, which is the exit code, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum

from nomad_exporter.judge.judging import Judged
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Verdict
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.failures import Reason as Failed
from nomad_exporter.watch.snapshot import Snapshot


class State(IntEnum):
    """The states of Nagios and its like; the number is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


SEVERITY = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
"""The worst first."""

Weighed = tuple[State, Reason, str]

_OPEN = frozenset({Reason.NOT_READABLE, Reason.UNKNOWN, Reason.NOT_ENOUGH_WITNESSES})
"""Reasons that do not say that anything is wrong with the agent, but that too little is known of it."""

_BARS = frozenset({Failed.CREDENTIALS, Failed.UNAUTHORIZED})
"""Failures that are the fault of whoever asks."""


def live(judged: Judged, _: Sequence[Snapshot]) -> Weighed:
    """Where nothing could be asked, nothing is known."""
    failure = judged.snapshot.health.failure
    if failure and not (failure.silent or failure.alive):
        return State.UNKNOWN, Reason.NOT_READABLE, f"The agent could not be asked ({failure})."
    return _weighed(judged.verdicts[Question.LIVE], [judged.snapshot])


def ready(judged: Judged, _: Sequence[Snapshot]) -> Weighed:
    """Where the agent did not let us in, nothing is known."""
    return _weighed(judged.verdicts[Question.READY], [judged.snapshot])


def quorum(judged: Judged, fleet: Sequence[Snapshot]) -> Weighed:
    """Where any witness did not let us in, nothing is known; what they did not tell is told."""
    witnesses = sorted(fleet, key=lambda one: one is not judged.snapshot)
    state, reason, sentence = _weighed(judged.verdicts[Question.QUORUM], witnesses)
    missing = [f"{one.agent.name} ({why[0]})" for one in witnesses if (why := _failures(one))]
    told = f" Not told: {', '.join(missing[:3])}." if missing and reason in _OPEN else ""
    return state, reason, sentence + told


def _weighed(verdict: Verdict, witnesses: Iterable[Snapshot]) -> Weighed:
    if verdict.holds:
        return State.OK, verdict.reason, verdict.sentence
    failures = (failure for one in witnesses for failure in _failures(one))
    state = _state_of(failures) if verdict.reason in _OPEN else State.CRITICAL
    return state, verdict.reason, verdict.sentence


def _failures(snapshot: Snapshot) -> list[Failure]:
    return [seen.failure for seen in snapshot.seen if seen.failure]


def _state_of(failures: Iterable[Failure]) -> State:
    return State.UNKNOWN if any(failure.reason in _BARS for failure in failures) else State.CRITICAL


WEIGHERS: Mapping[Question, Callable[[Judged, Sequence[Snapshot]], Weighed]] = {
    Question.LIVE: live,
    Question.READY: ready,
    Question.QUORUM: quorum,
}


def health(snapshot: Snapshot) -> Weighed:
    """What Nomad says of itself, as the bridge gives it."""
    failure, answer = snapshot.health.failure, snapshot.health.answer
    if answer is None:
        reason = Reason.NOT_ANSWERING if failure and failure.silent else Reason.NOT_READABLE
        return _state_of(_failures(snapshot)), reason, f"The agent did not tell its health ({failure})."
    words = "; ".join(f"of the {role}: {check.message}" for role, check in sorted(answer.plain.checks.items()))
    state, reason = (State.OK, Reason.OK) if answer.plain.status == 200 else (State.CRITICAL, Reason.UNHEALTHY)
    return state, reason, f"Nomad says {words}."
