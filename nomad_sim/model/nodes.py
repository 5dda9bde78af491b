"""What the servers of a region have in their state store about its clients. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup

READY, DOWN = "ready", "down"


@dataclass(frozen=True, slots=True)
class Node:
    """A client as the servers know it. Indexes are of the raft log; ``record_heartbeat`` and ``ttl`` are times."""

    setup: Setup
    status: str
    create_index: int
    modify_index: int
    last_heartbeat: float
    ttl: float
    allocations: int = 0


Nodes = Mapping[str, Node]
"""By node ID."""


def record_heartbeat(nodes: Nodes, setup: Setup, index: int, now: float, ttl: float) -> Nodes:
    """After a heartbeat of a client: ``index`` is the entry of its registration, 0 where it changes nothing."""
    known = nodes.get(setup.id)
    if known is None:
        return {**nodes, setup.id: Node(setup, READY, index, index, now, ttl)}
    modified = index or known.modify_index
    return {
        **nodes,
        setup.id: replace(known, setup=setup, status=READY, modify_index=modified, last_heartbeat=now, ttl=ttl),
    }


def is_ready(nodes: Nodes, setup: Setup) -> bool:
    """Whether a heartbeat of this client changes nothing in the state."""
    known = nodes.get(setup.id)
    return known is not None and known.status == READY and known.setup == setup


def expired(nodes: Nodes, now: float, leader_since: float, timing: Timing) -> tuple[str, ...]:
    """The nodes whose time to live is over, and the grace too; the leader leads since ``leader_since``."""

    def end(node: Node) -> float:
        return (
            node.last_heartbeat + node.ttl
            if node.last_heartbeat >= leader_since
            else leader_since + timing.failover_heartbeat_ttl
        )

    return tuple(
        name for name, node in nodes.items() if node.status == READY and now > end(node) + timing.heartbeat_grace
    )


def mark_down(nodes: Nodes, names: tuple[str, ...], index: int) -> Nodes:
    downed = {name: replace(nodes[name], status=DOWN, modify_index=index) for name in names}
    return {**nodes, **downed}


def set_allocations(nodes: Nodes, name: str, count: int, index: int) -> Nodes:
    return {**nodes, name: replace(nodes[name], allocations=count, modify_index=index)}
