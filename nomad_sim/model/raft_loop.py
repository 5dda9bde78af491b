"""Run Raft on the servers of a cluster: ticks at their deadlines, and messages over the network."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model import raft
from nomad_sim.model.messages import Message
from nomad_sim.model.network import Reach
from nomad_sim.model.raft_log import Peer
from nomad_sim.model.world import World


def schedule(world: World, name: str) -> None:
    """Schedule the next tick of the server ``name``."""
    world.schedule(world.server(name).raft.deadline, lambda: _tick(world, name))


def propose(world: World, name: str, count: int = 1, peers: tuple[Peer, ...] | None = None) -> int:
    """Append entries to the log of the leader ``name``; return the index of the last entry."""
    _apply(world, name, raft.propose(world.server(name).raft, world.now, world.draw, count, peers))
    return world.server(name).raft.log.last


def _tick(world: World, name: str) -> None:
    server = world.server(name)
    # If the deadline has moved, another tick is scheduled for the new deadline.
    if world.agents[name].is_running and server.raft.deadline <= world.now:
        _apply(world, name, raft.tick(server.raft, world.now, world.draw))


def _apply(world: World, name: str, outcome: raft.Outcome) -> None:
    """Store the new state of a server, write its log messages, and send its messages."""
    server = world.server(name)
    world.put_server(name, replace(server, raft=raft.take_snapshot(outcome.raft)))
    world.log(name, "nomad.raft", outcome.logs)
    if outcome.raft.deadline != server.raft.deadline:
        schedule(world, name)
    for raft_id, message in outcome.messages:
        _send(world, name, raft_id, message)


def _send(world: World, name: str, raft_id: str, message: Message) -> None:
    recipient = world.by_raft_id(raft_id)
    if recipient:
        to = recipient.name
        world.schedule(world.now + world.draw(world.timing.latency), lambda: _deliver(world, name, to, message))


def _deliver(world: World, name: str, to: str, message: Message) -> None:
    if world.reach(name, to) is Reach.CONNECTED:
        _apply(world, to, raft.step(world.server(to).raft, message, world.now, world.draw))
