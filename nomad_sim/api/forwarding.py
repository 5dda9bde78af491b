"""Forwarding of requests: to another region, to the leader, or from a client to one of its servers."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.api.http import ApiRequest, Pending, parse_bool
from nomad_sim.model.agents import Agent
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World


@dataclass(frozen=True, slots=True)
class RpcError:
    """A failed RPC, with Nomad's error text."""

    text: str


def connection_refused(address: str) -> RpcError:
    return RpcError(f"rpc error: failed to get conn: dial tcp {address}: connect: connection refused")


def route_to_server(world: World, agent: Agent, request: ApiRequest) -> Agent | RpcError | Pending:
    """Return a server of the requested region: the agent itself, or a server that the agent knows."""
    target = agent if agent.server else _choose_server(world, agent, request)
    region = request.first("region")
    if not isinstance(target, Agent) or region in ("", target.setup.region):
        return target
    members = world.server(target.name).gossip.alive(region)
    if not members:
        return RpcError("No path to region")
    return _dial(world, target, world.agents[request.choose(members).setup.member], request)


def route_to_leader(world: World, agent: Agent, request: ApiRequest) -> Agent | RpcError | Pending:
    """Return the leader of the requested region; Pending while the region has no leader that is ready to serve.

    After Nomad's RPC hold timeout, a missing leader is an error.
    """
    target = route_to_server(world, agent, request)
    if not isinstance(target, Agent):
        return target
    leader = world.known_leader(target.name)
    is_held = world.now - request.received_at < world.timing.rpc_hold_timeout[0]
    if leader is None:
        return Pending() if is_held else RpcError(_forwarded_error(agent, "No cluster leader"))
    reached = _dial(world, target, leader, request)
    if isinstance(reached, Agent) and not world.server(leader.name).is_leader:
        return Pending() if is_held else RpcError(_forwarded_error(agent, "Not ready to serve consistent reads"))
    return reached


def route_to(world: World, agent: Agent, request: ApiRequest) -> Agent | RpcError | Pending:
    """Return the server that handles the request: any server if ``stale`` is set, else the leader."""
    is_stale = "stale" in request.parameters and parse_bool(request.first("stale")) is not False
    return (route_to_server if is_stale else route_to_leader)(world, agent, request)


def _forwarded_error(agent: Agent, text: str) -> str:
    # A client receives the error over RPC from the server that it forwarded the request to.
    return text if agent.server else f"rpc error: {text}"


def _choose_server(world: World, agent: Agent, request: ApiRequest) -> Agent | RpcError | Pending:
    client = agent.client
    if client is None or (agent.setup.version.waits_for_registration and not client.registered):
        return Pending()
    if not client.servers:
        return RpcError("no servers")
    address = request.choose(sorted(client.servers))
    server = world.by_rpc_address(address)
    reach = world.reach_agent(agent.name, server)
    if server is None or reach is Reach.REFUSED:
        return connection_refused(address)
    return server if reach is Reach.CONNECTED else Pending()


def _dial(world: World, source: Agent, target: Agent, request: ApiRequest) -> Agent | RpcError | Pending:
    """Return ``target`` if ``source`` reaches it; Pending until the dial timeout if ``target`` does not respond."""
    reach = world.reach(source.name, target.name)
    if reach is Reach.REFUSED:
        return connection_refused(target.setup.rpc_address)
    if reach is Reach.CONNECTED:
        return target
    is_late = world.now - request.received_at >= world.timing.dial_timeout
    return (
        RpcError(f"rpc error: failed to get conn: dial tcp {target.setup.rpc_address}: i/o timeout")
        if is_late
        else Pending()
    )
