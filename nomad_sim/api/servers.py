"""``/v1/agent/servers``: read and replace the server list of a client."""

from __future__ import annotations

import ipaddress

from nomad_sim.api.forwarding import connection_refused
from nomad_sim.api.http import ApiRequest, ApiResponse, error_response, json_response
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World


def list_servers(_: World, agent: Agent, request: ApiRequest) -> ApiResponse:
    """Return the RPC addresses of the client's servers, sorted."""
    return json_response(sorted(agent.client.servers) if agent.client else [], request)


def update_servers(cluster: Cluster, agent: Agent, request: ApiRequest) -> ApiResponse:
    """Replace the whole list by the addresses at which a server responds; return 400 if none responds."""
    addresses = request.parameters.get("address", [])
    if not addresses:
        return error_response(agent.setup.version, 400, "missing server address")
    errors = {address: _server_error(cluster.world, agent, address) for address in addresses}
    reachable = tuple(address for address, error in errors.items() if not error)
    if not reachable:
        return error_response(agent.setup.version, 400, format_errors([error for error in errors.values() if error]))
    cluster.set_servers(agent.name, tuple(map(with_port, reachable)))
    return ApiResponse(200)


def with_port(address: str, port: int = 4647) -> str:
    """Return ``address`` with ``port`` appended if it has none."""
    host, colon, digits = address.rpartition(":")
    return address if colon and digits.isdigit() and host else f"{address}:{port}"


def format_errors(errors: list[str]) -> str:
    """Format a list of errors as Nomad does."""
    lines = "".join(f"\t* {error}\n" for error in errors)
    return f"{len(errors)} error{'s' if len(errors) > 1 else ''} occurred:\n{lines}\n"


def host_error(address: str) -> str | None:
    """Return the error of resolving the host of ``address``; None for an IP address and for ``localhost``."""
    host = with_port(address).rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if host == "localhost" else f"lookup {host}: no such host"
    return None


def _server_error(world: World, agent: Agent, address: str) -> str | None:
    invalid = address and host_error(address)
    if invalid:
        return invalid
    full = with_port(address)
    if world.reach_agent(agent.name, world.by_rpc_address(full)) is Reach.CONNECTED:
        return None
    return f"Server at address {full} failed ping: {connection_refused(full).text}"
