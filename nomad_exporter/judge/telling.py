"""A verdict as machines read it: the same JSON object from a path and from the command ``check``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.judge.facts import Facts, ages, facts
from nomad_exporter.judge.judging import Judged
from nomad_exporter.judge.reasons import Question, Reason


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to a question about one agent, and what it rests on: ``numbers`` by name, ``ages`` in seconds."""

    agent: str
    holds: bool
    reason: Reason
    sentence: str
    numbers: Facts
    ages: Mapping[str, float]


def tell(judged: Judged, question: Question, at: Instant) -> Told:
    """The verdict about one agent, and what it rests on at this instant."""
    verdict = judged.verdicts[question]
    return Told(
        judged.snapshot.agent.name,
        verdict.holds,
        verdict.reason,
        verdict.sentence,
        facts(judged, question),
        ages(judged, question, at),
    )


def as_object(told: Told) -> Mapping[str, Any]:
    """What is told of one agent, for JSON; ages to the millisecond."""
    return {
        "holds": told.holds,
        "agent": told.agent,
        "reason": told.reason,
        "sentence": told.sentence,
        "numbers": told.numbers,
        "ages": {source: round(age, 3) for source, age in told.ages.items()},
    }


def together(agents: int, well: int, first: Told | None) -> Mapping[str, Any]:
    """What is told of several agents, of which so many are ``well``: all must hold.

    ``first`` is the one to be named of those that do not; None where all do.
    """
    sentence = f"{well} of {agents} agents: yes."
    return {
        "holds": first is None,
        "reason": first.reason if first else Reason.OK,
        "sentence": f"{sentence} {first.agent}: {first.sentence}" if first else sentence,
    }
