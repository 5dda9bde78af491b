"""A verdict: the answer to one question about one agent, and why."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter.judge.reasons import GUIDE, Question, Reason
from nomad_exporter.nomad import durations


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sentence`` says the ``reason`` to a person, with the numbers of this moment."""

    question: Question
    reason: Reason
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the answer is yes."""
        return self.question in GUIDE[self.reason].yes


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an answer is not simply yes."""

    reason: Reason
    sentence: str

    def about(self, question: Question) -> Verdict:
        """The verdict on ``question`` that it makes."""
        return Verdict(question, self.reason, self.sentence)


def rough(seconds: float) -> str:
    """``seconds`` as precise as a sentence needs them: ``1.2s``, ``1m7s``."""
    return durations.text(round(seconds, 1 if seconds < 60 else None))
