"""A client in small: its heartbeats, the servers it knows, its allocations. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nomad_exporter.demo.model.chance import Draw
from nomad_exporter.demo.model.timing import Timing


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``servers`` are RPC addresses, in the order in which they are tried; ``ttl`` is 0 until registered.

    ``heartbeat`` is when a server last took one, at first when the client started; ``due`` when the next goes out.
    ``registered`` outlives a restart, for the client remembers it on its disk.
    """

    servers: tuple[str, ...]
    heartbeat: float
    due: float
    ttl: float = 0.0
    registered: bool = False
    allocations: int = 0


def restarted(client: Client, servers: tuple[str, ...], now: float) -> Client:
    return replace(client, servers=servers, heartbeat=now, due=now, ttl=0.0)


def accepted(client: Client, servers: tuple[str, ...], now: float, timing: Timing, draw: Draw) -> Client:
    """After a server took the heartbeat: it says how long the next may take, and which servers live."""
    ttl = draw(timing.ttl)
    return replace(client, servers=servers, heartbeat=now, due=now + ttl, ttl=ttl, registered=True)


def refused(client: Client, now: float, timing: Timing, draw: Draw) -> Client:
    """After no server took it: the next server is tried first, later."""
    return replace(client, servers=(*client.servers[1:], *client.servers[:1]), due=now + draw(timing.retry))
