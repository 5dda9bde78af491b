"""A verdict: the answer to one question about one agent, and why."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter.nomad import durations
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason


@dataclass(frozen=True, slots=True)
class Verdict:
    """``message`` says the ``reason`` to a person, with the numbers of this moment."""

    question: Question
    reason: VerdictReason
    message: str

    @property
    def ok(self) -> bool:
        """Whether the answer is yes."""
        return self.question in VERDICT_REASONS[self.reason].yes


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer is not simply yes."""

    reason: VerdictReason
    message: str

    def to_verdict(self, question: Question) -> Verdict:
        """The verdict on ``question`` that it makes."""
        return Verdict(question, self.reason, self.message)


def humanize(seconds: float) -> str:
    """``seconds`` as precise as a sentence needs them: ``1.2s``, ``1m7s``."""
    return durations.text(round(seconds, 1 if seconds < 60 else None))


HEALTH_AGE_INTERVALS = 3
"""An answer about health is older than this many health intervals only where it is not asked for any more."""

EVIDENCE_INTERVALS = 2
"""As many health intervals an answer about health proves that a voter is well."""

MAX_BACKOFF = 30.0
"""How much later, in seconds, an agent is asked that hung the last times."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of the verdicts, and the cadence that they rest on. Durations are in seconds.

    ``failure_threshold`` in a row must meet silence until an agent is not live. A client is ready while its heartbeat is not
    older than its TTL and ``heartbeat_grace``; a server while it has heard from its leader within ``max_leader_contact`` and
    has applied all but ``max_apply_lag`` committed entries. ``trust_gossip`` lets gossip alone vouch for a voter;
    ``autopilot`` says that autopilot is asked too.
    """

    health_interval: float = 5.0
    max_age: float = 45.0
    failure_threshold: int = 3
    heartbeat_grace: float = 10.0
    max_leader_contact: float = 10.0
    max_apply_lag: int = 1000
    trust_gossip: bool = False
    autopilot: bool = False

    @property
    def max_health_age(self) -> float:
        """How old the newest answer about health may be."""
        return HEALTH_AGE_INTERVALS * self.health_interval

    @property
    def max_evidence_age(self) -> float:
        """How old an answer about health may be to prove that a voter is well."""
        return EVIDENCE_INTERVALS * self.health_interval

    @property
    def stall_timeout(self) -> float:
        """After how long without any attempt the exporter itself is at fault."""
        return self.max_health_age + MAX_BACKOFF
