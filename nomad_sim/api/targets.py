"""Which agent a question means with ``node_id`` or ``server_id``, for the endpoints that can be asked about another."""

from __future__ import annotations

from nomad_sim.api.forwarding import RpcError, connection_refused, route_to_leader, route_to_server
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, error_response
from nomad_sim.model.agents import Agent
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World


def reject_two_targets(agent: Agent, request: ApiRequest) -> ApiResponse | None:
    """The error where two agents are meant at once."""
    has_both = request.first("node_id") and request.first("server_id")
    return (
        error_response(agent.setup.version, 400, "Cannot target node and server simultaneously") if has_both else None
    )


def find_target(world: World, agent: Agent, request: ApiRequest, unknown_server: int) -> Agent | ApiResponse | Pending:
    """The agent that is meant: without a word, the one that was asked.

    ``unknown_server`` is the status where no server can be found; the endpoints differ in it.
    """
    node, server = request.first("node_id"), request.first("server_id")
    version = agent.setup.version
    if not node and not server:
        return agent
    found = _find_node(world, node) if node else _find_server(world, agent, request, server)
    if isinstance(found, Pending):
        return found
    if isinstance(found, RpcError):
        return error_response(version, 404 if node else unknown_server, found.text)
    reach = world.reach(agent.name, found.name)
    if reach is Reach.REFUSED:
        return error_response(
            version, 500, "No path to node" if node else connection_refused(found.setup.rpc_address).text
        )
    return found if reach is Reach.CONNECTED else Pending()


def _find_node(world: World, node: str) -> Agent | RpcError:
    found = [one for one in world.agents.values() if one.client and one.setup.id == node]
    return found[0] if found else RpcError(f'Unknown node "{node}"')


def _find_server(world: World, agent: Agent, request: ApiRequest, server: str) -> Agent | RpcError | Pending:
    if server == "leader":
        return route_to_leader(world, agent, request)
    target = route_to_server(world, agent, request)
    if not isinstance(target, Agent):
        return target
    found = [one for one in world.servers() if server in (one.name, one.setup.id, one.setup.name)]
    mine = [one for one in found if one.setup.region == target.setup.region]
    return mine[0] if mine else RpcError(f"unknown Nomad server {server}")
