"""Findings of a check: the state and the report of each agent, and their output as lines or JSON. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from nomad_exporter.check.collect import NOT_POLLED
from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.sources import HEALTH, Source, enabled_sources
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.lines import Finding, State, failed_state, state_of, worst_first, worst_state
from nomad_exporter.verdicts.live import poll_problem
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.report import Report, ages, build_report, health_messages, summarize, to_dict
from nomad_exporter.verdicts.verdict import Thresholds, Verdict, describe, in_brackets

ALWAYS = Instant(float("-inf"), float("-inf"))
"""An instant before any poll."""

NOMAD_HEALTH = "health"
"""The question beside those of ``Question``: what Nomad itself reports."""


class Status(NamedTuple):
    """The state of one agent, with its reason, message and, as in ``Verdict``, a remedy of its own."""

    state: State
    reason: VerdictReason
    message: str
    own_remedy: str = ""


NOT_POLLED_REMEDY = "Raise --timeout, or check fewer agents at a time, so that every poll can begin."


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
        return _failed_poll(failed_state(_failures(snapshot)), failure)
    messages = "; ".join(f"{role}: {check.message}" for role, check in sorted(answer.plain.checks.items()))
    state, reason = (
        (State.OK, VerdictReason.OK) if answer.plain.status == 200 else (State.CRITICAL, VerdictReason.UNHEALTHY)
    )
    return Status(state, reason, f"Nomad reports {messages}.")


def _status(verdict: Verdict, evidence: Iterable[Snapshot]) -> Status:
    """Return the status of a verdict that rests on the snapshots in ``evidence``."""
    if verdict.ok:
        return Status(State.OK, verdict.reason, verdict.message, verdict.own_remedy)
    failures = [failure for snapshot in evidence for failure in _failures(snapshot)]
    state = state_of(verdict, failures)
    return Status(state, verdict.reason, verdict.message, _remedy(state, failures) or verdict.own_remedy)


def _failed_poll(state: State, failure: Failure | None) -> Status:
    problem = poll_problem(failure, f"Poll of /v1/agent/health failed{in_brackets(failure)}.")
    return Status(state, problem.reason, problem.message, _remedy(state, [failure]) or problem.own_remedy)


def _remedy(state: State, failures: Collection[Failure | None]) -> str:
    """Return the remedy of a poll that did not begin, if nothing is known for want of one; else an empty text."""
    return NOT_POLLED_REMEDY if state is State.UNKNOWN and NOT_POLLED in failures else ""


def _failures(snapshot: Snapshot) -> list[Failure]:
    return [source_state.failure for source_state in snapshot.source_states if source_state.failure]


_STATUSES: Mapping[Question, Callable[[Evaluation, Sequence[Snapshot]], Status]] = {
    Question.LIVE: _live,
    Question.READY: _ready,
    Question.QUORUM: _quorum,
}


# Output.


def downgrade_critical(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with WARNING instead of CRITICAL."""
    return [
        replace(finding, state=State.WARNING) if finding.state is State.CRITICAL else finding for finding in findings
    ]


def format_json(question: str, findings: Sequence[Finding]) -> str:
    """Return the object that the path of the question returns, and the state; several agents have one object each."""
    result = _to_object(findings[0]) if len(findings) == 1 else _combine(question, findings)
    return json.dumps({"verdict": question, **result}, indent=2)


def _to_object(finding: Finding) -> Mapping[str, Any]:
    return {"state": finding.state.name, **to_dict(finding.report)}


def _combine(question: str, findings: Sequence[Finding]) -> Mapping[str, Any]:
    failing = [finding.report for finding in worst_first(findings) if not finding.report.ok]
    return {
        "state": worst_state(findings).name,
        **summarize(question, len(findings), len(findings) - len(failing), failing),
        "agents": [_to_object(finding) for finding in findings],
    }
