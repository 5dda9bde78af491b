"""How the servers' rafts run: each acts when its time has come, and what it says reaches the others."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.model import raft
from nomad_exporter.demo.model.log import Peer
from nomad_exporter.demo.model.messages import Message
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World


def awaited(world: World, name: str) -> None:
    """Sees to it that the server ``name`` acts when it is due."""
    world.at(world.server(name).raft.due, lambda: _act(world, name))


def proposed(world: World, name: str, count: int = 1, peers: tuple[Peer, ...] | None = None) -> int:
    """The leader ``name`` takes new entries into its log; gives the index of the last."""
    _take(world, name, raft.proposed(world.server(name).raft, world.now, world.draw, count, peers))
    return world.server(name).raft.log.last


def _act(world: World, name: str) -> None:
    """A server that was put off meanwhile has another work for its new time."""
    server = world.server(name)
    if world.agents[name].runs and server.raft.due <= world.now:
        _take(world, name, raft.acted(server.raft, world.now, world.draw))


def _take(world: World, name: str, outcome: raft.Outcome) -> None:
    """The server is from now on as the outcome has it, and what it says is under way."""
    server = world.server(name)
    world.put_server(name, replace(server, raft=raft.with_snapshot(outcome.raft)))
    world.say(name, "nomad.raft", outcome.said)
    if outcome.raft.due != server.raft.due:
        awaited(world, name)
    for raft_id, message in outcome.sent:
        _send(world, name, raft_id, message)


def _send(world: World, name: str, raft_id: str, message: Message) -> None:
    other = world.of_raft(raft_id)
    if other:
        to = other.name
        world.at(world.now + world.draw(world.timing.latency), lambda: _deliver(world, name, to, message))


def _deliver(world: World, name: str, to: str, message: Message) -> None:
    if world.reach(name, to) is Reach.ANSWERED:
        _take(world, to, raft.received(world.server(to).raft, message, world.now, world.draw))
