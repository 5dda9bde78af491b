"""Evaluation of a check: the state of each agent, which becomes the exit code, and its report. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import HEALTH, Source, enabled_sources
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.live import poll_problem
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.report import Report, ages, build_report, health_messages
from nomad_exporter.verdicts.verdict import Thresholds, Verdict, describe, in_brackets

ALWAYS = Instant(float("-inf"), float("-inf"))
"""An instant before any poll."""

NOMAD_HEALTH = "health"
"""The question beside those of ``Question``: what Nomad itself reports."""


class State(IntEnum):
    """The states of Nagios; the value is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


SEVERITY = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
"""The states, the worst first."""


class Status(NamedTuple):
    """The state of one agent, with its reason, message and, as in ``Verdict``, a remedy of its own."""

    state: State
    reason: VerdictReason
    message: str
    own_remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check of one agent."""

    state: State
    report: Report


_CALLER_FAULTS = frozenset({FailureReason.CREDENTIALS, FailureReason.UNAUTHORIZED})
"""Failures caused by the credentials of the caller."""


def required_sources(question: str, thresholds: Thresholds) -> tuple[Source[Any], ...]:
    """Return the sources to poll for a question."""
    enabled = enabled_sources(autopilot=thresholds.autopilot)
    return tuple(source for source in enabled if source is HEALTH or question in source.verdicts)


def check_agents(
    question: str, fleet: Sequence[Snapshot], names: Iterable[str], now: Instant, thresholds: Thresholds
) -> list[Finding]:
    """Return a finding for each agent of ``fleet`` in ``names``, in the order of the fleet."""
    # A check polls once, so a single answer must count as a stable one.
    stable = [replace(snapshot, stable_since=ALWAYS) for snapshot in fleet]
    chosen = [snapshot for snapshot in stable if snapshot.agent.name in names]
    if question == NOMAD_HEALTH:
        return [_health_finding(snapshot, now) for snapshot in chosen]
    asked = Question(question)
    return [
        _verdict_finding(_STATUSES[asked](evaluation, stable), build_report(evaluation, asked, now))
        for evaluation in evaluate(stable, chosen, now, thresholds, [asked])
    ]


def _verdict_finding(status: Status, report: Report) -> Finding:
    is_ok = status.state is State.OK
    _, reason, message, own_remedy = status
    return Finding(status.state, replace(report, ok=is_ok, reason=reason, message=message, own_remedy=own_remedy))


def _health_finding(snapshot: Snapshot, now: Instant) -> Finding:
    state, reason, message, own_remedy = _health(snapshot)
    answer, failed = snapshot[HEALTH].answer, snapshot[HEALTH].failure
    details = health_messages(answer) if answer else {}
    poll_ages = ages(Evaluation(snapshot, {}), Question.LIVE, now)
    failure, ok = describe(failed) if failed else "", state is State.OK
    return Finding(state, Report(snapshot.agent.name, ok, reason, message, details, poll_ages, failure, own_remedy))


def _live(evaluation: Evaluation, _: Sequence[Snapshot]) -> Status:
    failure = evaluation.snapshot[HEALTH].failure
    # A failure such as an unknown host name proves neither that the agent is live nor that it is not.
    if failure and not (failure.is_unresponsive or failure.is_responsive):
        return _failed_poll(State.UNKNOWN, failure)
    return _status(evaluation.verdicts[Question.LIVE], [evaluation.snapshot])


def _ready(evaluation: Evaluation, _: Sequence[Snapshot]) -> Status:
    return _status(evaluation.verdicts[Question.READY], [evaluation.snapshot])


def _quorum(evaluation: Evaluation, fleet: Sequence[Snapshot]) -> Status:
    """Return the status of a server; an inconclusive one names the agents without an answer, this server first."""
    evidence = sorted(fleet, key=lambda snapshot: snapshot is not evaluation.snapshot)
    status = _status(evaluation.verdicts[Question.QUORUM], evidence)
    missing = [f"{snapshot.agent.name} ({failed[0]})" for snapshot in evidence if (failed := _failures(snapshot))]
    if not missing or VERDICT_REASONS[status.reason].conclusive:
        return status
    return status._replace(message=f"{status.message} Not reporting: {', '.join(missing[:3])}.")


def _health(snapshot: Snapshot) -> Status:
    failure, answer = snapshot[HEALTH].failure, snapshot[HEALTH].answer
    if answer is None:
        return _failed_poll(_failed_state(_failures(snapshot)), failure)
    messages = "; ".join(f"{role}: {check.message}" for role, check in sorted(answer.plain.checks.items()))
    state, reason = (
        (State.OK, VerdictReason.OK) if answer.plain.status == 200 else (State.CRITICAL, VerdictReason.UNHEALTHY)
    )
    return Status(state, reason, f"Nomad reports {messages}.")


def _status(verdict: Verdict, evidence: Iterable[Snapshot]) -> Status:
    """Return the status of a verdict that rests on the snapshots in ``evidence``."""
    if verdict.ok:
        return Status(State.OK, verdict.reason, verdict.message, verdict.own_remedy)
    failures = (failure for snapshot in evidence for failure in _failures(snapshot))
    state = State.CRITICAL if VERDICT_REASONS[verdict.reason].conclusive else _failed_state(failures)
    return Status(state, verdict.reason, verdict.message, verdict.own_remedy)


def _failed_poll(state: State, failure: Failure | None) -> Status:
    problem = poll_problem(failure, f"Poll of /v1/agent/health failed{in_brackets(failure)}.")
    return Status(state, problem.reason, problem.message, problem.own_remedy)


def _failures(snapshot: Snapshot) -> list[Failure]:
    return [source_state.failure for source_state in snapshot.source_states if source_state.failure]


def _failed_state(failures: Iterable[Failure]) -> State:
    return State.UNKNOWN if any(failure.reason in _CALLER_FAULTS for failure in failures) else State.CRITICAL


_STATUSES: Mapping[Question, Callable[[Evaluation, Sequence[Snapshot]], Status]] = {
    Question.LIVE: _live,
    Question.READY: _ready,
    Question.QUORUM: _quorum,
}
