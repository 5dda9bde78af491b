"""What the servers of a region have in their state store about its clients. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.setup import Setup

READY, DOWN = "ready", "down"


@dataclass(frozen=True, slots=True)
class Node:
    """A client as the servers know it. Indexes are of the raft log; ``heard`` and ``ttl`` are times."""

    setup: Setup
    status: str
    created: int
    modified: int
    heard: float
    ttl: float
    allocations: int = 0


Nodes = Mapping[str, Node]
"""By node ID."""


def heard(nodes: Nodes, setup: Setup, index: int, now: float, ttl: float) -> Nodes:
    """After a heartbeat of a client: ``index`` is the entry of its registration, 0 where it changes nothing."""
    known = nodes.get(setup.id)
    if known is None:
        return {**nodes, setup.id: Node(setup, READY, index, index, now, ttl)}
    modified = index or known.modified
    return {**nodes, setup.id: replace(known, setup=setup, status=READY, modified=modified, heard=now, ttl=ttl)}


def is_ready(nodes: Nodes, setup: Setup) -> bool:
    """Whether a heartbeat of this client changes nothing in the state."""
    known = nodes.get(setup.id)
    return known is not None and known.status == READY and known.setup == setup


def overdue(nodes: Nodes, now: float, led: float, timing: Timing) -> tuple[str, ...]:
    """The nodes whose time to live is over, and the grace too; the leader leads since ``led``."""

    def end(node: Node) -> float:
        return node.heard + node.ttl if node.heard >= led else led + timing.failover

    return tuple(name for name, node in nodes.items() if node.status == READY and now > end(node) + timing.grace)


def down(nodes: Nodes, names: tuple[str, ...], index: int) -> Nodes:
    fallen = {name: replace(nodes[name], status=DOWN, modified=index) for name in names}
    return {**nodes, **fallen}


def with_allocations(nodes: Nodes, name: str, count: int, index: int) -> Nodes:
    return {**nodes, name: replace(nodes[name], allocations=count, modified=index)}
