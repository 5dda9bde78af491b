"""Connectivity between agents; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nomad_sim.model.agents import Agent, State

Partitions = frozenset[frozenset[str]]
"""Pairs of agents between which every packet is dropped."""


class Reach(Enum):
    """The result of a connection from one agent to another."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed out"


def reach(agents: Mapping[str, Agent], partitions: Partitions, source: str, target: str) -> Reach:
    """Return the result of a connection from ``source`` to ``target``; an agent always reaches itself."""
    if source == target:
        return Reach.CONNECTED
    if (partitions and frozenset((source, target)) in partitions) or agents[target].state is State.PAUSED:
        return Reach.TIMED_OUT
    return Reach.CONNECTED if agents[target].is_running else Reach.REFUSED


def can_gossip(agents: Mapping[str, Agent], partitions: Partitions, one: str, other: str) -> bool:
    """Return whether two servers can exchange gossip: both or neither encrypt it, and they reach each other."""
    same_encryption = agents[one].setup.encrypted == agents[other].setup.encrypted
    return same_encryption and reach(agents, partitions, one, other) is Reach.CONNECTED


def gossip_reachable(agents: Mapping[str, Agent], partitions: Partitions, source: str) -> frozenset[str]:
    """Return the running servers that ``source`` reaches by gossip, directly or through other members."""
    reached = {source}
    frontier = [source]
    while frontier:
        current = frontier.pop()
        for name in _known_servers(agents, current):
            if name not in reached and can_gossip(agents, partitions, current, name):
                reached.add(name)
                frontier.append(name)
    return frozenset(reached)


def _known_servers(agents: Mapping[str, Agent], name: str) -> list[str]:
    server = agents[name].server
    return [member for member in server.gossip.members if member in agents] if server else []
