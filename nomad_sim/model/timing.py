"""The intervals and timeouts of a cluster."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

Range = tuple[float, float]
"""Minimum and maximum in seconds; each time is drawn uniformly from this range."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals and timeouts in seconds; the defaults are Nomad's own, as measured on real agents."""

    latency: Range = (0.0005, 0.002)
    """One-way delay of a message between two agents."""
    heartbeat_interval: Range = (0.1, 0.2)
    """Interval between two heartbeats from the leader to its followers."""
    election_timeout: Range = (1.0, 2.0)
    """Time without a heartbeat until a follower starts an election, and time until a candidate starts the next one."""
    leader_lease_timeout: float = 0.5
    """Time without responses from a majority until a leader steps down."""
    suspicion_timeout: Range = (34.0, 36.0)
    """Time from the first failed probe of a member until gossip marks the member as failed."""
    gossip_interval: float = 0.3
    """Interval between two gossip rounds."""
    leave_delay: float = 2.0
    """Time that a leaving server has the status "leaving" before its process ends."""
    reap_failed: float = 72 * 3600.0
    """Time until gossip forgets a failed member."""
    reap_left: float = 24 * 3600.0
    """Time until gossip forgets a member that left."""
    autopilot_interval: float = 10.0
    """Interval between two autopilot runs."""
    server_stabilization_time: float = 10.0
    """Time that a non-voter must be healthy before autopilot promotes it."""
    heartbeat_ttl: Range = (10.0, 20.0)
    """TTL of a client's heartbeat; the client sends the next heartbeat when the TTL ends."""
    heartbeat_retry: Range = (1.0, 15.0)
    """Delay before a client retries a failed heartbeat."""
    heartbeat_grace: float = 10.0
    """Time after the TTL until the leader marks a node as down."""
    failover_heartbeat_ttl: float = 300.0
    """TTL that a new leader assumes for a node that has not sent it a heartbeat yet."""
    retry_join_interval: float = 30.0
    """Interval at which a server that could not join any member retries."""
    churn: Range = (5.0, 20.0)
    """Interval between two changes to the allocations of a region."""
    rpc_hold_timeout: Range = (5.0, 5.3)
    """Time that a server holds a request that needs a leader while there is none."""
    token_cache_ttl: float = 30.0
    """Time that a client caches a resolved ACL token."""
    dial_timeout: float = 10.0
    """Timeout for connecting to an agent that does not respond."""

    def at_pace(self, pace: float) -> Timing:
        """Return a copy with every time divided by ``pace``, except the latency and the reap times."""
        unscaled = ("latency", "reap_failed", "reap_left")
        scaled: dict[str, Any] = {
            field.name: _divide(getattr(self, field.name), pace) for field in fields(self) if field.name not in unscaled
        }
        return replace(self, **scaled)


def _divide(time: float | Range, pace: float) -> float | Range:
    return (time[0] / pace, time[1] / pace) if isinstance(time, tuple) else time / pace
