"""The client part of an agent: heartbeats, known servers and allocations; pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nomad_sim.model.rng import Draw
from nomad_sim.model.timing import Timing


@dataclass(frozen=True, slots=True)
class Client:
    """The state of one client.

    ``servers`` are RPC addresses, in the order in which the client tries them.
    ``last_heartbeat`` is the time of the last accepted heartbeat, initially the time of the start.
    ``next_heartbeat`` is the time of the next attempt. ``ttl`` is in seconds, 0 until a heartbeat is accepted.
    ``registered`` survives a restart, because Nomad's client stores it on disk.
    """

    servers: tuple[str, ...]
    last_heartbeat: float
    next_heartbeat: float
    ttl: float = 0.0
    registered: bool = False
    allocations: int = 0


def restart(client: Client, servers: tuple[str, ...], now: float) -> Client:
    """Return the client after a restart; its next heartbeat is due at once."""
    return replace(client, servers=servers, last_heartbeat=now, next_heartbeat=now, ttl=0.0)


def accept_heartbeat(client: Client, servers: tuple[str, ...], now: float, timing: Timing, draw: Draw) -> Client:
    """Return the client after an accepted heartbeat, with a new TTL and the ``servers`` from the response."""
    ttl = draw(timing.heartbeat_ttl)
    return replace(client, servers=servers, last_heartbeat=now, next_heartbeat=now + ttl, ttl=ttl, registered=True)


def fail_heartbeat(client: Client, now: float, timing: Timing, draw: Draw) -> Client:
    """Return the client after a heartbeat that no server accepted; the retry begins with the next server."""
    return replace(
        client, servers=(*client.servers[1:], *client.servers[:1]), next_heartbeat=now + draw(timing.heartbeat_retry)
    )
