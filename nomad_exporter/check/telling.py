"""How findings are told: a line for each agent, as monitoring systems read it, or as JSON; and the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nomad_exporter.check.findings import Finding
from nomad_exporter.check.weighing import SEVERITY, State
from nomad_exporter.judge.reasons import Reason


def softened(findings: Sequence[Finding]) -> list[Finding]:
    """The findings where a warning is enough."""
    return [replace(one, state=State.WARNING) if one.state is State.CRITICAL else one for one in findings]


def worst(findings: Sequence[Finding]) -> State:
    """The state of all agents together."""
    return min((one.state for one in findings), key=SEVERITY.index)


def lines(question: str, findings: Sequence[Finding]) -> str:
    """The worst one first, for of several lines most monitoring systems show the first.

    ``CRITICAL s2 ready: no_leader: The server is unhealthy: No cluster leader.``
    """
    told = sorted(findings, key=lambda one: SEVERITY.index(one.state))
    return "\n".join(_plain(f"{one.state.name} {one.agent} {question}: {_why(one)}") for one in told)


def _why(finding: Finding) -> str:
    return finding.sentence if finding.reason is Reason.OK else f"{finding.reason}: {finding.sentence}"


def _plain(text: str) -> str:
    """One line of what a terminal shows; behind a bar, Nagios would look for numbers."""
    return "".join(char if char.isprintable() else " " for char in text).replace("|", "/")


def as_json(question: str, findings: Sequence[Finding]) -> str:
    """The object that the path of the question answers, with the ``state``; of several agents each is told."""
    told = _one(findings[0]) if len(findings) == 1 else _several(findings)
    return json.dumps({"verdict": question, **told}, indent=2)


def _one(finding: Finding) -> Mapping[str, Any]:
    return {
        "holds": finding.state is State.OK,
        "state": finding.state.name,
        "agent": finding.agent,
        "reason": finding.reason,
        "sentence": finding.sentence,
        "numbers": finding.numbers,
        "ages": {source: round(age, 3) for source, age in finding.ages.items()},
    }


def _several(findings: Sequence[Finding]) -> Mapping[str, Any]:
    """All must hold; the reason is that of the worst."""
    state = worst(findings)
    first = next(one for one in findings if one.state is state)
    well = sum(one.state is State.OK for one in findings)
    sentence = f"{well} of {len(findings)} agents: yes."
    return {
        "holds": state is State.OK,
        "state": state.name,
        "reason": first.reason,
        "sentence": sentence if state is State.OK else f"{sentence} {first.agent}: {first.sentence}",
        "agents": [_one(one) for one in findings],
    }
