"""``GET /v1/agent/health``: the health of the client and the server part of an agent."""

from __future__ import annotations

from typing import Any

from nomad_sim.api.forwarding import RpcError, route_to
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, error_response, json_response, parse_bool
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

_INVALID_STALE = "Expect `true` or `false` for `stale` query string parameter"

RoleHealth = dict[str, Any]


def health(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the health of each role in ``type``; 500 if one is not ok. Unknown types are ignored."""
    stale_error = _stale_error(agent, request)
    if stale_error and not agent.setup.version.stale_error_has_body:
        return error_response(agent.setup.version, 400, stale_error)
    server = _server(world, agent, request) if _includes_role(request, "server", agent.server is not None) else None
    if isinstance(server, Pending):
        return server
    client = _client(agent) if _includes_role(request, "client", agent.client is not None) else None
    roles = {role: result for role, result in (("client", client), ("server", server)) if result}
    response = json_response(roles, request)
    text = response.body.decode()
    if stale_error:
        return error_response(agent.setup.version, 400, f"{stale_error}, got {request.first('stale')}{text}")
    is_ok = all(result["ok"] for result in roles.values())
    return response if is_ok else error_response(agent.setup.version, 500, text)


def _includes_role(request: ApiRequest, role: str, has_role: bool) -> bool:
    types = request.parameters.get("type")
    return has_role if types is None else role in types


def _stale_error(agent: Agent, request: ApiRequest) -> str:
    value = request.first("stale")
    is_invalid = value != "" and parse_bool(value) is None and agent.setup.version.strict_stale
    return _INVALID_STALE if is_invalid else ""


def _client(agent: Agent) -> RoleHealth:
    if agent.client is None:
        return _failing("client not enabled")
    return _passing() if agent.client.servers else _failing("no known servers")


def _server(world: World, agent: Agent, request: ApiRequest) -> RoleHealth | Pending:
    if agent.server is None:
        return _failing("server not enabled")
    target = route_to(world, agent, request)
    if isinstance(target, Pending):
        return target
    if isinstance(target, RpcError):
        return _failing(target.text)
    return _passing() if world.server(target.name).raft.leader else _failing("no leader")


def _passing() -> RoleHealth:
    return {"message": "ok", "ok": True}


def _failing(message: str) -> RoleHealth:
    return {"ok": False, "message": message}
