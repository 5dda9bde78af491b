"""The endpoints of an agent by path, with their methods and the capabilities that they require."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nomad_sim.api import health, monitor, pool, pprof, region, servers
from nomad_sim.api.acl import (
    AGENT_READ,
    AGENT_WRITE,
    CLIENT_DENIALS,
    NODE_READ,
    OPERATOR_READ,
    RPC_DENIALS,
    SELF_DENIALS,
    Acl,
    Denial,
    check_token,
    check_token_on_client,
)
from nomad_sim.api.config import agent_config
from nomad_sim.api.forwarding import RpcError, route_to_server
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, Reply, error_response, json_response
from nomad_sim.api.members import members, self_member
from nomad_sim.api.statistics import stats
from nomad_sim.model.agents import Agent, State
from nomad_sim.model.cluster import Cluster

GET = ("GET",)
WRITE = ("PUT", "POST")
ANY: tuple[str, ...] = ()
"""Any method: the endpoint does not check it."""

PAUSED_REPLY = Pending(1.0)
"""A paused agent responds after it is resumed."""


@dataclass(slots=True)
class NomadApi:
    """The HTTP API of all agents of a cluster. ``acl`` is replaced when a token is revoked."""

    cluster: Cluster
    acl: Acl = field(default_factory=Acl)


Endpoint = Callable[[NomadApi, Agent, ApiRequest], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, its methods, and the role of the agent and the token capability that it requires."""

    endpoint: Endpoint
    methods: tuple[str, ...] = GET
    role: str = ""
    capability: str = ""
    denials: Mapping[str, Denial] = field(default_factory=lambda: RPC_DENIALS)


def _agent_self(api: NomadApi, agent: Agent, request: ApiRequest) -> ApiResponse:
    body = {
        "config": agent_config(agent.setup),
        "member": self_member(agent),
        "stats": stats(api.cluster.world, agent),
    }
    return json_response(body, request)


def _members(api: NomadApi, agent: Agent, request: ApiRequest) -> Reply:
    target = route_to_server(api.cluster.world, agent, replace(request, parameters={}))  # Nomad ignores ``region``.
    if isinstance(target, RpcError):
        return error_response(agent.setup.version, 500, target.text)
    return target if isinstance(target, Pending) else json_response(members(api.cluster.world, target), request)


def _join(api: NomadApi, agent: Agent, request: ApiRequest) -> ApiResponse:
    return pool.join(api.acl, api.cluster, agent, request)


def _prometheus(_: NomadApi, agent: Agent, __: ApiRequest) -> ApiResponse:
    return error_response(agent.setup.version, 415, "Prometheus is not enabled")


def _with_world(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda api, agent, request: endpoint(api.cluster.world, agent, request)


def _with_cluster(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda api, agent, request: endpoint(api.cluster, agent, request)


def _with_acl(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda api, agent, request: endpoint(api.acl, api.cluster.world, agent, request)


ROUTES: Mapping[str, tuple[Route, ...]] = {
    "/v1/agent/self": (Route(_agent_self, capability=AGENT_READ, denials=SELF_DENIALS),),
    "/v1/agent/members": (Route(_members, capability=NODE_READ),),
    "/v1/agent/health": (Route(_with_world(health.health)),),
    "/v1/agent/servers": (
        Route(_with_world(servers.list_servers), GET, "client", AGENT_READ, CLIENT_DENIALS),
        Route(_with_cluster(servers.update_servers), WRITE, "client", AGENT_WRITE, CLIENT_DENIALS),
    ),
    "/v1/agent/join": (Route(_join, WRITE, "server"),),
    "/v1/agent/force-leave": (Route(_with_cluster(pool.force_leave), WRITE, "server", AGENT_WRITE, SELF_DENIALS),),
    "/v1/agent/monitor": (Route(_with_acl(monitor.monitor), ANY),),
    "/v1/status/leader": (Route(_with_world(region.status_leader)),),
    "/v1/status/peers": (Route(_with_world(region.status_peers)),),
    "/v1/nodes": (Route(_with_world(region.list_nodes), capability=NODE_READ),),
    "/v1/operator/autopilot/health": (Route(_with_world(region.autopilot_health), capability=OPERATOR_READ),),
    "/v1/metrics": (Route(_prometheus),),
}

ROUTES_BY_PREFIX: Mapping[str, tuple[Route, ...]] = {
    region.NODE_PREFIX: (Route(_with_world(region.read_node), capability=NODE_READ),),
    pprof.PREFIX: (Route(_with_acl(pprof.pprof), ANY),),
}


def handle(api: NomadApi, name: str, request: ApiRequest) -> Reply:
    """Return the reply of the agent ``name`` at the cluster's current time; Pending if the agent is paused."""
    agent = api.cluster.world.agents[name]
    if agent.state is State.PAUSED:
        return PAUSED_REPLY
    routes = _find_routes(request.path)
    if not routes:
        return ApiResponse(404)
    route = next((route for route in routes if not route.methods or request.method in route.methods), None)
    if route is None:
        return error_response(agent.setup.version, 405, "Invalid method")
    return _check_and_call(api, agent, request, route)


def _find_routes(path: str) -> tuple[Route, ...]:
    by_prefix = (routes for prefix, routes in ROUTES_BY_PREFIX.items() if path.startswith(prefix))
    return ROUTES.get(path) or next(by_prefix, ())


def _check_and_call(api: NomadApi, agent: Agent, request: ApiRequest, route: Route) -> Reply:
    if route.role and not getattr(agent, route.role):
        return error_response(agent.setup.version, 501, "Invalid method")
    denied = _check_capability(api, agent, request, route) if route.capability else None
    return denied or route.endpoint(api, agent, request)


def _check_capability(api: NomadApi, agent: Agent, request: ApiRequest, route: Route) -> ApiResponse | Pending | None:
    if agent.server:
        return check_token(api.acl, agent, request, route.capability, route.denials)
    is_forwarded = route.denials is RPC_DENIALS
    return check_token_on_client(api.acl, api.cluster.world, agent, request, route.capability, is_forwarded)
