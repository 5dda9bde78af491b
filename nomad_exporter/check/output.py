"""How findings are told: a line for each agent, as monitoring systems read it, or as JSON; and the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nomad_exporter.check.evaluate import SEVERITY, Finding, State
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.report import Report, summarize, to_dict


def downgrade_critical(findings: Sequence[Finding]) -> list[Finding]:
    """The findings where a warning is enough."""
    return [replace(one, state=State.WARNING) if one.state is State.CRITICAL else one for one in findings]


def worst(findings: Sequence[Finding]) -> State:
    """The state of all agents together."""
    return min((one.state for one in findings), key=SEVERITY.index)


def format_lines(question: str, findings: Sequence[Finding]) -> str:
    """The worst one first, for of several lines most monitoring systems show the first.

    ``CRITICAL s2 ready: no_leader: The server is unhealthy: No cluster leader.``
    """
    told = sorted(findings, key=lambda one: SEVERITY.index(one.state))
    return "\n".join(_plain(f"{one.state.name} {one.told.agent} {question}: {_why(one.told)}") for one in told)


def _why(told: Report) -> str:
    return told.message if told.reason is VerdictReason.OK else f"{told.reason}: {told.message}"


def _plain(text: str) -> str:
    """One line of what a terminal shows; behind a bar, Nagios would look for numbers."""
    return "".join(char if char.isprintable() else " " for char in text).replace("|", "/")


def format_json(question: str, findings: Sequence[Finding]) -> str:
    """The object that the path of the question answers, with the ``state``; of several agents each is told."""
    told = _one(findings[0]) if len(findings) == 1 else _several(question, findings)
    return json.dumps({"verdict": question, **told}, indent=2)


def _one(finding: Finding) -> Mapping[str, Any]:
    return {"state": finding.state.name, **to_dict(finding.told)}


def _several(question: str, findings: Sequence[Finding]) -> Mapping[str, Any]:
    """All must hold; the first of the worst is named where one does not."""
    ordered = sorted(findings, key=lambda one: SEVERITY.index(one.state))
    failing = [one.told for one in ordered if not one.told.ok]
    return {
        "state": worst(findings).name,
        **summarize(question, len(findings), len(findings) - len(failing), failing),
        "agents": [_one(one) for one in findings],
    }
