"""Output of a check: lines for monitoring systems, JSON, and the state of all agents together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nomad_exporter.check.evaluate import SEVERITY, Finding, State
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.report import Report, summarize, to_dict
from nomad_exporter.verdicts.verdict import format_list


def downgrade_critical(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with WARNING instead of CRITICAL."""
    return [
        replace(finding, state=State.WARNING) if finding.state is State.CRITICAL else finding for finding in findings
    ]


def worst_state(findings: Sequence[Finding]) -> State:
    """Return the state of all agents together."""
    return min((finding.state for finding in findings), key=SEVERITY.index)


def format_lines(question: str, findings: Sequence[Finding]) -> str:
    """Return one line per agent, the worst first, then one indented line per remedy.

    Such as ``CRITICAL s2 ready: no_leader: The server's health check fails: No cluster leader.``
    """
    # Most monitoring systems show only the first line, and cut off long output: lines of agents come before remedies.
    ordered = _worst_first(findings)
    lines = [
        f"{finding.state.name} {finding.report.agent} {question}: {_explain(finding.report)}" for finding in ordered
    ]
    return "\n".join(map(_to_plain_text, [*lines, *_remedies(ordered)]))


def _remedies(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each remedy, which names its agents unless there is only one agent."""
    agents: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.report.ok:
            agents.setdefault(finding.report.remedy, []).append(finding.report.agent)
    if len(findings) == 1:
        return [f"  Remedy: {remedy}" for remedy in agents]
    return [f"  Remedy for {format_list(names)}: {remedy}" for remedy, names in agents.items()]


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: SEVERITY.index(finding.state))


def _explain(report: Report) -> str:
    return report.message if report.reason is VerdictReason.OK else f"{report.reason}: {report.message}"


def _to_plain_text(text: str) -> str:
    """Return ``text`` in one line, without control characters and without the bar."""
    # Nagios parses the text after a bar as performance data.
    return "".join(char if char.isprintable() else " " for char in text).replace("|", "/")


def format_json(question: str, findings: Sequence[Finding]) -> str:
    """Return the object that the path of the question returns, and the state; several agents have one object each."""
    result = _to_object(findings[0]) if len(findings) == 1 else _combine(question, findings)
    return json.dumps({"verdict": question, **result}, indent=2)


def _to_object(finding: Finding) -> Mapping[str, Any]:
    return {"state": finding.state.name, **to_dict(finding.report)}


def _combine(question: str, findings: Sequence[Finding]) -> Mapping[str, Any]:
    failing = [finding.report for finding in _worst_first(findings) if not finding.report.ok]
    return {
        "state": worst_state(findings).name,
        **summarize(question, len(findings), len(findings) - len(failing), failing),
        "agents": [_to_object(finding) for finding in findings],
    }
