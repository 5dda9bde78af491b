"""Lines about several agents, the worst first: the output of ``check``, and the text of the status page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.report import Report
from nomad_exporter.verdicts.verdict import Verdict, format_list


class State(IntEnum):
    """The states of Nagios; the value is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


SEVERITY = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
"""The states, the worst first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check of one agent."""

    state: State
    report: Report


_OWN_FAULTS = frozenset({FailureReason.CREDENTIALS, FailureReason.UNAUTHORIZED, FailureReason.INTERNAL})
"""Failures caused by the credentials of the caller, or by the check itself: they prove nothing about the agent."""


def state_of(verdict: Verdict, failures: Iterable[Failure]) -> State:
    """Return the state of a verdict that rests on polls with these failures."""
    if verdict.ok:
        return State.OK
    return State.CRITICAL if VERDICT_REASONS[verdict.reason].conclusive else failed_state(failures)


def failed_state(failures: Iterable[Failure]) -> State:
    """Return the state of an agent of which nothing is known because of these failures."""
    return State.UNKNOWN if any(failure.reason in _OWN_FAULTS for failure in failures) else State.CRITICAL


def worst_state(findings: Sequence[Finding]) -> State:
    """Return the state of all agents together."""
    return min((finding.state for finding in findings), key=SEVERITY.index)


def format_lines(question: str, findings: Sequence[Finding]) -> str:
    """Return one line per agent, the worst first, then one indented line per remedy.

    Such as ``CRITICAL s2 ready: no_leader: The server's health check fails: No cluster leader.`` The first line ends
    with performance data, if there are any.
    """
    # Most monitoring systems show only the first line, and cut off long output: lines of agents come before remedies.
    ordered = worst_first(findings)
    lines = [
        f"{finding.state.name} {finding.report.agent} {question}: {_explain(finding.report)}" for finding in ordered
    ]
    first, *others = map(to_plain_text, [*lines, *_remedies(ordered)])
    return "\n".join([first + _performance_data(question, findings), *others])


def _performance_data(question: str, findings: Sequence[Finding]) -> str:
    """Return the numbers of voters for Nagios, after a bar; an empty text if the agents do not agree on one cluster."""
    names = ("voters", "healthy", "quorum_size") if question == Question.QUORUM else ()
    known = (finding.report.details for finding in findings if finding.report.details)
    found = {" ".join(f"{name}={details[name]}" for name in names if name in details) for details in known} - {""}
    return f" | {found.pop()}" if len(found) == 1 else ""


def _remedies(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each remedy, which names its agents unless there is only one agent."""
    agents: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.report.ok:
            agents.setdefault(finding.report.remedy, []).append(finding.report.agent)
    if len(findings) == 1:
        return [f"  Remedy: {remedy}" for remedy in agents]
    return [f"  Remedy for {format_list(names)}: {remedy}" for remedy, names in agents.items()]


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, the worst first."""
    return sorted(findings, key=lambda finding: SEVERITY.index(finding.state))


def _explain(report: Report) -> str:
    return report.message if report.reason is VerdictReason.OK else f"{report.reason}: {report.message}"


def to_plain_text(text: str) -> str:
    """Return ``text`` in one line, without control characters and without the bar."""
    # Nagios parses the text after a bar as performance data.
    return "".join(char if char.isprintable() else " " for char in text).replace("|", "/")
