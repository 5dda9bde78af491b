"""The nodes (clients) in the state store of a region's servers; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup

READY, DOWN = "ready", "down"


@dataclass(frozen=True, slots=True)
class Node:
    """A client as the servers know it.

    Indexes refer to the Raft log, ``last_heartbeat`` is a time on the cluster's clock, ``ttl`` is in seconds.
    """

    setup: Setup
    status: str
    create_index: int
    modify_index: int
    last_heartbeat: float
    ttl: float
    allocations: int = 0


Nodes = Mapping[str, Node]
"""Nodes by node ID."""


def record_heartbeat(nodes: Nodes, setup: Setup, index: int, now: float, ttl: float) -> Nodes:
    """Return the nodes after a client's heartbeat; ``index`` is the log entry of the registration, or 0 without one."""
    known = nodes.get(setup.id)
    if known is None:
        return {**nodes, setup.id: Node(setup, READY, index, index, now, ttl)}
    modify_index = index or known.modify_index
    return {
        **nodes,
        setup.id: replace(known, setup=setup, status=READY, modify_index=modify_index, last_heartbeat=now, ttl=ttl),
    }


def is_ready(nodes: Nodes, setup: Setup) -> bool:
    """Return whether the client is registered with this setup and ready, so a heartbeat needs no log entry."""
    known = nodes.get(setup.id)
    return known is not None and known.status == READY and known.setup == setup


def expired(nodes: Nodes, now: float, leader_since: float, timing: Timing) -> tuple[str, ...]:
    """Return the IDs of the ready nodes whose heartbeat TTL and grace period are over.

    A node without a heartbeat since ``leader_since`` has the failover TTL, counted from then.
    """

    def ttl_end(node: Node) -> float:
        return (
            node.last_heartbeat + node.ttl
            if node.last_heartbeat >= leader_since
            else leader_since + timing.failover_heartbeat_ttl
        )

    return tuple(
        name for name, node in nodes.items() if node.status == READY and now > ttl_end(node) + timing.heartbeat_grace
    )


def mark_down(nodes: Nodes, names: tuple[str, ...], index: int) -> Nodes:
    """Return the nodes with the status of ``names`` set to down by the log entry ``index``."""
    down = {name: replace(nodes[name], status=DOWN, modify_index=index) for name in names}
    return {**nodes, **down}


def set_allocations(nodes: Nodes, name: str, count: int, index: int) -> Nodes:
    """Return the nodes with the allocation count of ``name`` set by the log entry ``index``."""
    return {**nodes, name: replace(nodes[name], allocations=count, modify_index=index)}
