"""The target agent of requests with ``node_id`` or ``server_id``."""

from __future__ import annotations

from nomad_sim.api.forwarding import RpcError, connection_refused, route_to_leader, route_to_server
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, error_response
from nomad_sim.model.agents import Agent
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World


def reject_two_targets(agent: Agent, request: ApiRequest) -> ApiResponse | None:
    """Return an error if the request has both ``node_id`` and ``server_id``."""
    if request.first("node_id") and request.first("server_id"):
        return error_response(agent.setup.version, 400, "Cannot target node and server simultaneously")
    return None


def find_target(world: World, agent: Agent, request: ApiRequest, unknown_server: int) -> Agent | ApiResponse | Pending:
    """Return the target agent: ``agent`` itself if the request names no other.

    ``unknown_server`` is the status of the error for an unknown server; it differs between endpoints.
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
    found = [agent for agent in world.agents.values() if agent.client and agent.setup.id == node]
    return found[0] if found else RpcError(f'Unknown node "{node}"')


def _find_server(world: World, agent: Agent, request: ApiRequest, server: str) -> Agent | RpcError | Pending:
    if server == "leader":
        return route_to_leader(world, agent, request)
    target = route_to_server(world, agent, request)
    if not isinstance(target, Agent):
        return target
    in_region = [other for other in world.servers() if other.setup.region == target.setup.region]
    found = [other for other in in_region if server in (other.name, other.setup.id, other.setup.name)]
    return found[0] if found else RpcError(f"unknown Nomad server {server}")
