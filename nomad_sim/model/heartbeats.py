"""Run client heartbeats, and place and remove allocations."""

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
"""Maximum number of allocations on one node."""


def start(world: World) -> None:
    """Start the recurring changes to allocations."""
    world.schedule(world.now + world.draw(world.timing.churn), lambda: _churn(world))


def schedule(world: World, name: str, client: Client) -> None:
    """Schedule the next heartbeat of the client ``name``."""
    world.schedule(client.next_heartbeat, lambda: _send_heartbeat(world, name))


def leader_through(world: World, name: str, server: str) -> str | None:
    """Return the ready leader to which ``server`` forwards a request from ``name``, or None if there is none."""
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
    accepted = _try_servers(world, agent, agent.client)
    after = accepted or clients.fail_heartbeat(agent.client, world.now, world.timing, world.draw)
    world.put(replace(agent, client=after))
    world.log(name, "client", _log_messages(agent.client, after, accepted=accepted is not None))
    schedule(world, name, after)


def _try_servers(world: World, agent: Agent, client: Client) -> Client | None:
    """Return the client after the first of its servers accepts the heartbeat, or None if no server accepts."""
    for address in client.servers:
        server = world.by_rpc_address(address)
        leader = leader_through(world, agent.name, server.name) if server else None
        if server and leader:
            return _register(world, agent, client, server.name, leader)
    return None


def _register(world: World, agent: Agent, client: Client, server: str, leader: str) -> Client:
    """Register the client or renew its heartbeat in the state store; return the updated client."""
    region = agent.setup.region
    alive = [member.setup.rpc_address for member in world.server(server).gossip.alive(region)]
    after = clients.accept_heartbeat(client, tuple(alive), world.now, world.timing, world.draw)
    index = 0 if nodes.is_ready(world.nodes[region], agent.setup) else raft_loop.propose(world, leader)
    world.put_nodes(region, nodes.record_heartbeat(world.nodes[region], agent.setup, index, world.now, after.ttl))
    return replace(after, allocations=world.nodes[region][agent.setup.id].allocations)


def _log_messages(before: Client, after: Client, accepted: bool) -> list[LogMessage]:
    if not accepted:
        return [LogMessage("error", "error heartbeating", (("error", "rpc error: No cluster leader"),))]
    registration = [] if before.ttl else [LogMessage("info", "node registration complete")]
    return [*registration, LogMessage("trace", "next heartbeat", (("period", Seconds(after.ttl)),))]


def _churn(world: World) -> None:
    """Add or remove one allocation in each region with a leader and a ready node, and schedule the next change."""
    for name in world.running():
        region = world.agents[name].setup.region
        ready = [node for node in world.nodes[region].values() if node.status == nodes.READY]
        if world.server(name).is_leader and ready:
            _place_allocation(world, name, region, world.rng.choice(ready))
    world.schedule(world.now + world.draw(world.timing.churn), lambda: _churn(world))


def _place_allocation(world: World, leader: str, region: str, node: nodes.Node) -> None:
    """Add or remove an allocation on a node."""
    # A change takes two log entries: the evaluation and the plan result.
    steps = [step for step in (-1, 1) if 0 <= node.allocations + step <= MAX_ALLOCATIONS]
    count = node.allocations + world.rng.choice(steps)
    index = raft_loop.propose(world, leader, 2)
    world.put_nodes(region, nodes.set_allocations(world.nodes[region], node.setup.id, count, index))
    _pull_allocations(world, node, count)


def _pull_allocations(world: World, node: nodes.Node, count: int) -> None:
    """Update the client's allocation count if the client can reach the leader through one of its servers."""
    agent = next((agent for agent in world.agents.values() if agent.setup.id == node.setup.id), None)
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
