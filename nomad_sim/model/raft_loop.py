"""How the servers' rafts run: each acts when its time has come, and what it says reaches the others."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model import raft
from nomad_sim.model.messages import Message
from nomad_sim.model.network import Reach
from nomad_sim.model.raft_log import Peer
from nomad_sim.model.world import World


def schedule(world: World, name: str) -> None:
    """Sees to it that the server ``name`` acts when it is due."""
    world.schedule(world.server(name).raft.deadline, lambda: _tick(world, name))


def propose(world: World, name: str, count: int = 1, peers: tuple[Peer, ...] | None = None) -> int:
    """The leader ``name`` takes new entries into its log; gives the index of the last."""
    _apply(world, name, raft.propose(world.server(name).raft, world.now, world.draw, count, peers))
    return world.server(name).raft.log.last


def _tick(world: World, name: str) -> None:
    """A server that was put off meanwhile has another work for its new time."""
    server = world.server(name)
    if world.agents[name].is_running and server.raft.deadline <= world.now:
        _apply(world, name, raft.tick(server.raft, world.now, world.draw))


def _apply(world: World, name: str, outcome: raft.Outcome) -> None:
    """The server is from now on as the outcome has it, and what it says is under way."""
    server = world.server(name)
    world.put_server(name, replace(server, raft=raft.take_snapshot(outcome.raft)))
    world.log(name, "nomad.raft", outcome.logs)
    if outcome.raft.deadline != server.raft.deadline:
        schedule(world, name)
    for raft_id, message in outcome.messages:
        _send(world, name, raft_id, message)


def _send(world: World, name: str, raft_id: str, message: Message) -> None:
    other = world.by_raft_id(raft_id)
    if other:
        to = other.name
        world.schedule(world.now + world.draw(world.timing.latency), lambda: _deliver(world, name, to, message))


def _deliver(world: World, name: str, to: str, message: Message) -> None:
    if world.reach(name, to) is Reach.CONNECTED:
        _apply(world, to, raft.step(world.server(to).raft, message, world.now, world.draw))
