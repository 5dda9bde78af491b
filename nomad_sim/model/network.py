"""Who reaches whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nomad_sim.model.agents import Agent, State

Partitions = frozenset[frozenset[str]]
"""Pairs of agents between which every packet is lost."""


class Reach(Enum):
    """What comes of a connection from one agent to another."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed out"


def reach(agents: Mapping[str, Agent], partitions: Partitions, source: str, target: str) -> Reach:
    """What ``source`` meets at ``target``; itself it always reaches."""
    if source == target:
        return Reach.CONNECTED
    if frozenset((source, target)) in partitions or agents[target].state is State.PAUSED:
        return Reach.TIMED_OUT
    return Reach.CONNECTED if agents[target].is_running else Reach.REFUSED


def can_gossip(agents: Mapping[str, Agent], partitions: Partitions, one: str, other: str) -> bool:
    """Whether ``one`` can gossip with ``other``: who has a key takes no plain word, and who has none reads no other."""
    alike = agents[one].setup.encrypted == agents[other].setup.encrypted
    return alike and reach(agents, partitions, one, other) is Reach.CONNECTED


def gossip_reachable(agents: Mapping[str, Agent], partitions: Partitions, source: str) -> frozenset[str]:
    """The running servers that a server hears of, directly or through others that it knows."""
    found = {source}
    edge = [source]
    while edge:
        current = edge.pop()
        for name in _neighbours(agents, current) - found:
            if can_gossip(agents, partitions, current, name):
                found.add(name)
                edge.append(name)
    return frozenset(found)


def _neighbours(agents: Mapping[str, Agent], name: str) -> set[str]:
    server = agents[name].server
    return set(server.gossip.members) & agents.keys() if server else set()
