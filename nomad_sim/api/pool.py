"""``/v1/agent/join`` and ``/v1/agent/force-leave``: add and remove members of the gossip pool."""

from __future__ import annotations

from nomad_sim.api.acl import AGENT_WRITE, SELF_DENIALS, Acl, check_token
from nomad_sim.api.http import ApiRequest, ApiResponse, error_response, json_response, parse_bool
from nomad_sim.api.servers import format_errors, host_error, with_port
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.network import Reach

_DEPRECATED = "anonymous server join is deprecated and will be removed in a future version of Nomad"
_ENCRYPTED = "encryption is configured but remote state is not encrypted"
_PLAIN = "remote state is encrypted and encryption is not configured"


def join(acl: Acl, cluster: Cluster, agent: Agent, request: ApiRequest) -> ApiResponse:
    """Join the servers at ``address``; return how many were joined.

    The status is 200 even if all joins fail. A token without permission only causes a warning.
    """
    version = agent.setup.version
    addresses = request.parameters.get("address", [])
    if not addresses:
        return error_response(version, 400, "missing address to join")
    errors = [error for error in (_join_one(cluster, agent, address) for address in addresses) if error]
    joined = len(addresses) - len(errors)
    result = {"error": "" if joined else format_errors(errors), "num_joined": joined}
    warning = _DEPRECATED if check_token(acl, agent, request, AGENT_WRITE, SELF_DENIALS) else ""
    return json_response({**result, "warning": warning} if version.join_warning else result, request)


def _join_one(cluster: Cluster, agent: Agent, address: str) -> str | None:
    """Join the server at ``address``; return an error text if that fails."""
    full = with_port(address, 4648)
    invalid = host_error(address)
    prefix = agent.setup.version.join_failure
    if invalid:
        return f"{prefix.replace('join', 'resolve')} {address}: {invalid}"
    world = cluster.world
    other = world.by_serf_address(full)
    reach = world.reach_agent(agent.name, other)
    if other is None or reach is not Reach.CONNECTED:
        reason = "i/o timeout" if reach is Reach.TIMED_OUT else "connect: connection refused"
        return f"{prefix} {full}: dial tcp {full}: {reason}"
    if not world.can_gossip(agent.name, other.name):
        reason = _ENCRYPTED if agent.setup.encrypted else _PLAIN
        return f"{prefix} {full}: {reason if prefix.islower() else reason.capitalize()}"
    cluster.join(agent.name, other.name)
    return None


def force_leave(cluster: Cluster, agent: Agent, request: ApiRequest) -> ApiResponse:
    """Force ``node`` to leave, with ``prune`` also removing it; an unknown member is not an error."""
    version = agent.setup.version
    node = request.first("node")
    if not node:
        return error_response(version, 400, "missing node to force leave")
    prune = parse_bool(request.first("prune") or "false") if version.prune else False
    if prune is None:
        return error_response(version, 400, "invalid prune value")
    cluster.force_leave(agent.name, node, prune)
    return ApiResponse(200)
