"""How long things take in a cluster."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

Range = tuple[float, float]
"""Seconds, from and to: the time is drawn from between."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a cluster, in seconds; the defaults are Nomad's own, as they were seen on real agents."""

    latency: Range = (0.0005, 0.002)
    """A message from one agent to another."""
    heartbeat_interval: Range = (0.1, 0.2)
    """From a leader to its followers."""
    election_timeout: Range = (1.0, 2.0)
    """How long a follower bears to hear no leader, and a candidate to win no election."""
    leader_lease_timeout: float = 0.5
    """How long a leader leads on without hearing from a majority."""
    suspicion_timeout: Range = (34.0, 36.0)
    """Until gossip tells that a server has failed."""
    gossip_interval: float = 0.3
    """Between two rounds of gossip."""
    leave_delay: float = 2.0
    """How long a server that leaves is leaving."""
    reap_failed: float = 72 * 3600.0
    reap_left: float = 24 * 3600.0
    """After these, gossip forgets a member."""
    autopilot_interval: float = 10.0
    """Between two looks of autopilot."""
    server_stabilization_time: float = 10.0
    """How long a server must be well to become a voter."""
    heartbeat_ttl: Range = (10.0, 20.0)
    """The time within which a client must send the next heartbeat; it sends it at the end of it."""
    heartbeat_retry: Range = (1.0, 15.0)
    """After a heartbeat that failed."""
    heartbeat_grace: float = 10.0
    """After the TTL, until the servers take a client for down."""
    failover_heartbeat_ttl: float = 300.0
    """Under a new leader, until a client that it has not heard itself counts as down."""
    retry_join_interval: float = 30.0
    """Until a server that could join nobody at its start tries again."""
    churn: Range = (5.0, 20.0)
    """Between two changes of the allocations of a region."""
    rpc_hold_timeout: Range = (5.0, 5.3)
    """How long a question is held that needs a leader, where there is none."""
    token_cache_ttl: float = 30.0
    """How long a client believes what it heard of a token without asking again."""
    dial_timeout: float = 10.0
    """Until a connection to an agent that does not answer is given up."""

    def at_pace(self, pace: float) -> Timing:
        """The same, ``pace`` times as fast; the latency of a message stays."""
        kept = ("latency", "reap_failed", "reap_left")
        faster: dict[str, Any] = {
            field.name: _divide(getattr(self, field.name), pace) for field in fields(self) if field.name not in kept
        }
        return replace(self, **faster)


def _divide(time: float | Range, pace: float) -> float | Range:
    return (time[0] / pace, time[1] / pace) if isinstance(time, tuple) else time / pace
