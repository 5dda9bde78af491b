"""Verdicts, the thresholds that they are measured by, and the formatting of their messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nomad_exporter.nomad import durations
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason

HEALTH_AGE_INTERVALS = 3
"""The maximum age of a health answer, in health intervals."""

EVIDENCE_INTERVALS = 2
"""The maximum age of a health answer that proves a voter healthy, in health intervals."""

MAX_BACKOFF = 30.0
"""The maximum backoff of the poller for an agent whose polls time out, in seconds."""

MAX_LISTED = 5
"""The maximum number of names in a message."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The configured thresholds of the verdicts. Durations are in seconds.

    ``failure_threshold`` is how many failed polls in a row make an agent not live. ``heartbeat_grace`` is how long past
    its TTL the heartbeat of a ready client may be. ``max_leader_contact`` is how long ago a ready server may have heard
    from its leader. ``max_apply_lag`` is how many committed entries a ready server may have left to apply.
    ``trust_gossip`` accepts gossip as the only evidence about a voter. ``autopilot`` is whether autopilot is polled.
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
        """The maximum age of the newest health answer; an older answer means that polling has stalled."""
        return HEALTH_AGE_INTERVALS * self.health_interval

    @property
    def max_evidence_age(self) -> float:
        """The maximum age of a health answer that proves a voter healthy."""
        return EVIDENCE_INTERVALS * self.health_interval

    @property
    def stall_timeout(self) -> float:
        """The time without any poll after which the exporter counts as stalled."""
        return self.max_health_age + MAX_BACKOFF


@dataclass(frozen=True, slots=True)
class Verdict:
    """A health verdict for one agent: the answer to a question, its reason, and a message for people.

    ``own_remedy`` replaces the remedy of the reason if this verdict has a more exact one.
    """

    question: Question
    reason: VerdictReason
    message: str
    own_remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether the answer is yes."""
        return self.question in VERDICT_REASONS[self.reason].yes

    @property
    def is_assumed(self) -> bool:
        """Whether the answer is yes only because nothing speaks against it."""
        return self.ok and self.reason in (VerdictReason.STARTING, VerdictReason.EXPORTER_STALLED)

    @property
    def remedy(self) -> str:
        """What to do about the reason."""
        return self.own_remedy or VERDICT_REASONS[self.reason].remedy


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why a verdict is not simply ``ok``, and a message for people; ``own_remedy`` as in ``Verdict``."""

    reason: VerdictReason
    message: str
    own_remedy: str = ""

    def to_verdict(self, question: Question) -> Verdict:
        """Return the verdict on ``question`` that this problem causes."""
        return Verdict(question, self.reason, self.message, self.own_remedy)


def humanize(seconds: float) -> str:
    """Format a duration for a message, such as ``1.2s`` or ``1m7s``."""
    return durations.text(round(seconds, 1 if seconds < 60 else None))


def poll_reason(failure: Failure) -> VerdictReason:
    """Return the reason of a verdict that a failed poll caused."""
    # The response of a gateway leaves open whether the agent or the gateway is at fault.
    is_unresponsive = failure.is_unresponsive and failure.reason is not FailureReason.GATEWAY
    return VerdictReason.UNRESPONSIVE if is_unresponsive else VerdictReason.POLL_ERROR


def describe(failure: Failure) -> str:
    """Describe a failed poll briefly.

    The reason is included unless the agent was merely unresponsive: it is the key to the troubleshooting table.
    """
    return failure.detail if poll_reason(failure) is VerdictReason.UNRESPONSIVE else str(failure)


def in_brackets(failure: Failure | None) -> str:
    """Describe a failed poll in brackets, after a space; return an empty text for None."""
    return f" ({describe(failure)})" if failure else ""


def format_list(items: Sequence[str], omitted: int = 0) -> str:
    """Join the first ``MAX_LISTED`` items with commas, and append the number of the others as "and 12 more".

    ``omitted`` is the number of items that are not in ``items`` at all.
    """
    shown = items[:MAX_LISTED]
    more = len(items) - len(shown) + omitted
    return ", ".join(shown) + (f" and {more} more" if more else "")
