"""Who reaches whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nomad_exporter.demo.model.agents import Agent, State

Cuts = frozenset[frozenset[str]]
"""Pairs of agents between which every packet is lost."""


class Reach(Enum):
    """What comes of a connection from one agent to another."""

    ANSWERED = "answered"
    REFUSED = "refused"
    SILENT = "silent"


def reach(agents: Mapping[str, Agent], cuts: Cuts, asker: str, asked: str) -> Reach:
    """What ``asker`` meets at ``asked``; itself it always reaches."""
    if asker == asked:
        return Reach.ANSWERED
    if frozenset((asker, asked)) in cuts or agents[asked].state is State.FROZEN:
        return Reach.SILENT
    return Reach.ANSWERED if agents[asked].runs else Reach.REFUSED


def gossips(agents: Mapping[str, Agent], cuts: Cuts, one: str, other: str) -> bool:
    """Whether ``one`` can gossip with ``other``: who has a key takes no plain word, and who has none reads no other."""
    alike = agents[one].setup.encrypted == agents[other].setup.encrypted
    return alike and reach(agents, cuts, one, other) is Reach.ANSWERED


def heard(agents: Mapping[str, Agent], cuts: Cuts, asker: str) -> frozenset[str]:
    """The running servers that a server hears of, directly or through others that it knows."""
    found = {asker}
    edge = [asker]
    while edge:
        current = edge.pop()
        for name in _neighbours(agents, current) - found:
            if gossips(agents, cuts, current, name):
                found.add(name)
                edge.append(name)
    return frozenset(found)


def _neighbours(agents: Mapping[str, Agent], name: str) -> set[str]:
    server = agents[name].server
    return set(server.gossip.members) & agents.keys() if server else set()
