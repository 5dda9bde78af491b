"""What the verdicts are measured by."""

from __future__ import annotations

from dataclasses import dataclass

FRESH_INTERVALS = 3
"""An answer about health is older than this many health intervals only where it is not asked for any more."""

PROOF_INTERVALS = 2
"""As many health intervals an answer about health proves that a voter is well."""

PATIENCE = 30.0
"""How much later, in seconds, an agent is asked that hung the last times."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the verdicts, and the cadence that they rest on. Durations are in seconds.

    ``attempts`` in a row must meet silence until an agent is not live. A client is ready while its heartbeat is not
    older than its TTL and ``heartbeat_grace``; a server while it has heard from its leader within ``max_contact`` and
    has applied all but ``max_apply_lag`` committed entries. ``trust_gossip`` lets gossip alone vouch for a voter;
    ``autopilot`` says that autopilot is asked too.
    """

    health_interval: float = 5.0
    max_age: float = 45.0
    attempts: int = 3
    heartbeat_grace: float = 10.0
    max_contact: float = 10.0
    max_apply_lag: int = 1000
    trust_gossip: bool = False
    autopilot: bool = False

    @property
    def fresh(self) -> float:
        """How old the newest answer about health may be."""
        return FRESH_INTERVALS * self.health_interval

    @property
    def proof(self) -> float:
        """How old an answer about health may be to prove that a voter is well."""
        return PROOF_INTERVALS * self.health_interval

    @property
    def stall(self) -> float:
        """After how long without any attempt the exporter itself is at fault."""
        return self.fresh + PATIENCE
