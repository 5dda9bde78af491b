"""A client in small: its heartbeats, the servers it knows, its allocations. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nomad_sim.model.rng import Draw
from nomad_sim.model.timing import Timing


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``servers`` are RPC addresses, in the order in which they are tried; ``ttl`` is 0 until registered.

    ``last_heartbeat`` is when a server last accepted one, initially the start of the client; ``next_heartbeat`` is when
    the next one is sent.
    ``registered`` outlives a restart, for the client remembers it on its disk.
    """

    servers: tuple[str, ...]
    last_heartbeat: float
    next_heartbeat: float
    ttl: float = 0.0
    registered: bool = False
    allocations: int = 0


def restart(client: Client, servers: tuple[str, ...], now: float) -> Client:
    return replace(client, servers=servers, last_heartbeat=now, next_heartbeat=now, ttl=0.0)


def accept_heartbeat(client: Client, servers: tuple[str, ...], now: float, timing: Timing, draw: Draw) -> Client:
    """After a server took the heartbeat: it says how long the next may take, and which servers live."""
    ttl = draw(timing.heartbeat_ttl)
    return replace(client, servers=servers, last_heartbeat=now, next_heartbeat=now + ttl, ttl=ttl, registered=True)


def fail_heartbeat(client: Client, now: float, timing: Timing, draw: Draw) -> Client:
    """After no server took it: the next server is tried first, later."""
    return replace(
        client, servers=(*client.servers[1:], *client.servers[:1]), next_heartbeat=now + draw(timing.heartbeat_retry)
    )
