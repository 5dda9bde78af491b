"""What clients and their servers have with each other: heartbeats, and allocations that come and go."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model import clients, nodes, raft_loop
from nomad_sim.model.agent_log import Seconds
from nomad_sim.model.agents import Agent
from nomad_sim.model.clients import Client
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World

MAX_ALLOCATIONS = 12


def start(world: World) -> None:
    """Lets allocations come and go for ever."""
    world.schedule(world.now + world.draw(world.timing.churn), lambda: _churn(world))


def schedule(world: World, name: str, client: Client) -> None:
    """Sees to it that the client ``name`` sends its next heartbeat."""
    world.schedule(client.next_heartbeat, lambda: _send_heartbeat(world, name))


def leader_through(world: World, name: str, server: str) -> str | None:
    """The leader that ``name`` reaches by asking ``server``, ready to be asked; None where there is none."""
    if world.reach(name, server) is not Reach.CONNECTED:
        return None
    leader = world.known_leader(server)
    if leader is None or world.reach(server, leader.name) is not Reach.CONNECTED:
        return None
    return leader.name if world.server(leader.name).is_leader else None


def _send_heartbeat(world: World, name: str) -> None:
    agent = world.agents[name]
    if not agent.is_running or agent.client is None or agent.client.next_heartbeat > world.now:
        return
    accepted_client = _try_servers(world, agent, agent.client)
    after = accepted_client or clients.fail_heartbeat(agent.client, world.now, world.timing, world.draw)
    world.put(replace(agent, client=after))
    world.log(name, "client", _log_messages(agent.client, after, accepted=accepted_client is not None))
    schedule(world, name, after)


def _try_servers(world: World, agent: Agent, client: Client) -> Client | None:
    """The client after one of its servers took the heartbeat; None where none did."""
    for address in client.servers:
        server = world.by_rpc_address(address)
        leader = leader_through(world, agent.name, server.name) if server else None
        if server and leader:
            return _register(world, agent, client, server.name, leader)
    return None


def _register(world: World, agent: Agent, client: Client, server: str, leader: str) -> Client:
    region = agent.setup.region
    alive = [known.setup.rpc_address for known in world.server(server).gossip.alive(region)]
    after = clients.accept_heartbeat(client, tuple(alive), world.now, world.timing, world.draw)
    known = world.nodes[region]
    index = 0 if nodes.is_ready(known, agent.setup) else raft_loop.propose(world, leader)
    world.put_nodes(region, nodes.record_heartbeat(world.nodes[region], agent.setup, index, world.now, after.ttl))
    return replace(after, allocations=world.nodes[region][agent.setup.id].allocations)


def _log_messages(before: Client, after: Client, accepted: bool) -> list[LogMessage]:
    if not accepted:
        return [LogMessage("error", "error heartbeating", (("error", "rpc error: No cluster leader"),))]
    registration = [] if before.ttl else [LogMessage("info", "node registration complete")]
    return [*registration, LogMessage("trace", "next heartbeat", (("period", Seconds(after.ttl)),))]


def _churn(world: World) -> None:
    """In each region that has a leader, one client gets an allocation or loses one."""
    for name in world.running():
        region = world.agents[name].setup.region
        ready = [node for node in world.nodes[region].values() if node.status == nodes.READY]
        if world.server(name).is_leader and ready:
            _place_allocation(world, name, region, world.rng.choice(ready))
    world.schedule(world.now + world.draw(world.timing.churn), lambda: _churn(world))


def _place_allocation(world: World, leader: str, region: str, node: nodes.Node) -> None:
    """Two entries: the evaluation, and the plan that was made of it."""
    steps = [step for step in (-1, 1) if 0 <= node.allocations + step <= MAX_ALLOCATIONS]
    count = node.allocations + world.rng.choice(steps)
    index = raft_loop.propose(world, leader, 2)
    world.put_nodes(region, nodes.set_allocations(world.nodes[region], node.setup.id, count, index))
    _pull_allocations(world, node, count)


def _pull_allocations(world: World, node: nodes.Node, count: int) -> None:
    """The client learns of it where it can ask a server."""
    agent = next((one for one in world.agents.values() if one.setup.id == node.setup.id), None)
    if agent is None:
        return
    is_reachable = agent.client and any(
        leader_through(world, agent.name, server.name)
        for server in map(world.by_rpc_address, agent.client.servers)
        if server
    )
    if agent.is_running and agent.client and is_reachable:
        world.put(replace(agent, client=replace(agent.client, allocations=count)))
        world.log(agent.name, "client", (LogMessage("debug", "updated allocations", (("total", count),)),))
