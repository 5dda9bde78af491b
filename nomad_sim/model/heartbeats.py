"""What clients and their servers have with each other: heartbeats, and allocations that come and go."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.model import clients, nodes, rafts
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.clients import Client
from nomad_exporter.demo.model.journal import Seconds
from nomad_exporter.demo.model.messages import Said
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World

MOST_ALLOCATIONS = 12


def begun(world: World) -> None:
    """Lets allocations come and go for ever."""
    world.at(world.now + world.draw(world.timing.work), lambda: _work(world))


def awaited(world: World, name: str, client: Client) -> None:
    """Sees to it that the client ``name`` sends its next heartbeat."""
    world.at(client.due, lambda: _heartbeat(world, name))


def leader_through(world: World, name: str, server: str) -> str | None:
    """The leader that ``name`` reaches by asking ``server``, ready to be asked; None where there is none."""
    if world.reach(name, server) is not Reach.ANSWERED:
        return None
    leader = world.known_leader(server)
    if leader is None or world.reach(server, leader.name) is not Reach.ANSWERED:
        return None
    return leader.name if world.server(leader.name).leads else None


def _heartbeat(world: World, name: str) -> None:
    agent = world.agents[name]
    if not agent.runs or agent.client is None or agent.client.due > world.now:
        return
    taken = _taken(world, agent, agent.client)
    after = taken or clients.refused(agent.client, world.now, world.timing, world.draw)
    world.put(replace(agent, client=after))
    world.say(name, "client", _lines(agent.client, after, accepted=taken is not None))
    awaited(world, name, after)


def _taken(world: World, agent: Agent, client: Client) -> Client | None:
    """The client after one of its servers took the heartbeat; None where none did."""
    for address in client.servers:
        asked = world.at_rpc(address)
        leader = leader_through(world, agent.name, asked.name) if asked else None
        if asked and leader:
            return _registered(world, agent, client, asked.name, leader)
    return None


def _registered(world: World, agent: Agent, client: Client, asked: str, leader: str) -> Client:
    region = agent.setup.region
    alive = [known.setup.rpc_address for known in world.server(asked).gossip.alive(region)]
    after = clients.accepted(client, tuple(alive), world.now, world.timing, world.draw)
    known = world.nodes[region]
    index = 0 if nodes.is_ready(known, agent.setup) else rafts.proposed(world, leader)
    world.put_nodes(region, nodes.heard(world.nodes[region], agent.setup, index, world.now, after.ttl))
    return replace(after, allocations=world.nodes[region][agent.setup.id].allocations)


def _lines(before: Client, after: Client, accepted: bool) -> list[Said]:
    if not accepted:
        return [Said("error", "error heartbeating", (("error", "rpc error: No cluster leader"),))]
    registered = [] if before.ttl else [Said("info", "node registration complete")]
    return [*registered, Said("trace", "next heartbeat", (("period", Seconds(after.ttl)),))]


def _work(world: World) -> None:
    """In each region that has a leader, one client gets an allocation or loses one."""
    for name in world.running():
        region = world.agents[name].setup.region
        ready = [node for node in world.nodes[region].values() if node.status == nodes.READY]
        if world.server(name).leads and ready:
            _place(world, name, region, world.chance.choice(ready))
    world.at(world.now + world.draw(world.timing.work), lambda: _work(world))


def _place(world: World, leader: str, region: str, node: nodes.Node) -> None:
    """Two entries: the evaluation, and the plan that was made of it."""
    steps = [step for step in (-1, 1) if 0 <= node.allocations + step <= MOST_ALLOCATIONS]
    count = node.allocations + world.chance.choice(steps)
    index = rafts.proposed(world, leader, 2)
    world.put_nodes(region, nodes.with_allocations(world.nodes[region], node.setup.id, count, index))
    _pull(world, node, count)


def _pull(world: World, node: nodes.Node, count: int) -> None:
    """The client learns of it where it can ask a server."""
    agent = next((one for one in world.agents.values() if one.setup.id == node.setup.id), None)
    if agent is None:
        return
    reached = agent.client and any(
        leader_through(world, agent.name, asked.name) for asked in map(world.at_rpc, agent.client.servers) if asked
    )
    if agent.runs and agent.client and reached:
        world.put(replace(agent, client=replace(agent.client, allocations=count)))
        world.say(agent.name, "client", (Said("debug", "updated allocations", (("total", count),)),))
