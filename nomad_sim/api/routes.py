"""Every path of an agent, in one table: what it answers, and what a token must be allowed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nomad_exporter.demo.face import health, monitor, pool, pprof, region, servers
from nomad_exporter.demo.face.acl import (
    AGENT_READ,
    AGENT_WRITE,
    CLIENT,
    NODE_READ,
    OPERATOR_READ,
    OTHERS,
    SELF,
    Acl,
    Refusal,
    judged,
    judged_by_client,
)
from nomad_exporter.demo.face.answers import Answer, Held, Question, Reply, error, json_answer
from nomad_exporter.demo.face.asking import Fault, server_of
from nomad_exporter.demo.face.config import agent_config
from nomad_exporter.demo.face.members import members, own_member
from nomad_exporter.demo.face.statistics import stats
from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.cluster import Cluster

GET = ("GET",)
CHANGE = ("PUT", "POST")
ANY: tuple[str, ...] = ()
"""The endpoint does not look at the method."""

SILENCE = Held(1.0)
"""An agent that is frozen may go on later, and then answers what it was asked meanwhile."""


@dataclass(slots=True)
class Face:
    """The cluster as its agents show it, and who may ask them: ``acl`` is another one once a token was revoked."""

    cluster: Cluster
    acl: Acl = field(default_factory=Acl)


Endpoint = Callable[[Face, Agent, Question], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, how it is asked, which role it needs, and what a token must be allowed."""

    endpoint: Endpoint
    methods: tuple[str, ...] = GET
    role: str = ""
    need: str = ""
    refusals: Mapping[str, Refusal] = field(default_factory=lambda: OTHERS)


def _self(face: Face, agent: Agent, question: Question) -> Answer:
    told = {
        "config": agent_config(agent.setup),
        "member": own_member(agent),
        "stats": stats(face.cluster.world, agent),
    }
    return json_answer(told, question)


def _members(face: Face, agent: Agent, question: Question) -> Reply:
    """The region asked for makes no difference."""
    own = replace(question, parameters={})
    asked = server_of(face.cluster.world, agent, own)
    if isinstance(asked, Fault):
        return error(agent.setup.version, 500, asked.text)
    return asked if isinstance(asked, Held) else json_answer(members(face.cluster.world, asked), question)


def _join(face: Face, agent: Agent, question: Question) -> Answer:
    return pool.join(face.acl, face.cluster, agent, question)


def _prometheus(_: Face, agent: Agent, __: Question) -> Answer:
    """Nomad's own telemetry is off by default, and here."""
    return error(agent.setup.version, 415, "Prometheus is not enabled")


def _world(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda face, agent, question: endpoint(face.cluster.world, agent, question)


def _cluster(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda face, agent, question: endpoint(face.cluster, agent, question)


def _watched(endpoint: Callable[..., Reply]) -> Endpoint:
    return lambda face, agent, question: endpoint(face.acl, face.cluster.world, agent, question)


ROUTES: Mapping[str, tuple[Route, ...]] = {
    "/v1/agent/self": (Route(_self, need=AGENT_READ, refusals=SELF),),
    "/v1/agent/members": (Route(_members, need=NODE_READ),),
    "/v1/agent/health": (Route(_world(health.health)),),
    "/v1/agent/servers": (
        Route(_world(servers.known), GET, "client", AGENT_READ, CLIENT),
        Route(_cluster(servers.replaced), CHANGE, "client", AGENT_WRITE, CLIENT),
    ),
    "/v1/agent/join": (Route(_join, CHANGE, "server"),),
    "/v1/agent/force-leave": (Route(_cluster(pool.force_leave), CHANGE, "server", AGENT_WRITE, SELF),),
    "/v1/agent/monitor": (Route(_watched(monitor.monitor), ANY),),
    "/v1/status/leader": (Route(_world(region.status_leader)),),
    "/v1/status/peers": (Route(_world(region.status_peers)),),
    "/v1/nodes": (Route(_world(region.list_nodes), need=NODE_READ),),
    "/v1/operator/autopilot/health": (Route(_world(region.autopilot_health), need=OPERATOR_READ),),
    "/v1/metrics": (Route(_prometheus),),
}

_PPROF = (Route(_watched(pprof.pprof), ANY),)


def answer(face: Face, name: str, question: Question) -> Reply:
    """What the agent ``name`` answers at the cluster's present; a frozen one answers nothing."""
    agent = face.cluster.world.agents[name]
    if agent.state is State.FROZEN:
        return SILENCE
    routes = _PPROF if question.path.startswith(pprof.PREFIX) else ROUTES.get(question.path)
    if routes is None:
        return Answer(404)
    route = next((route for route in routes if not route.methods or question.method in route.methods), None)
    if route is None:
        return error(agent.setup.version, 405, "Invalid method")
    return _guarded(face, agent, question, route)


def _guarded(face: Face, agent: Agent, question: Question, route: Route) -> Reply:
    if route.role and not getattr(agent, route.role):
        return error(agent.setup.version, 501, "Invalid method")
    if route.need:
        stopped = (
            judged(face.acl, agent, question, route.need, route.refusals)
            if agent.server
            else judged_by_client(face.acl, face.cluster.world, agent, question, route.need, route.refusals is OTHERS)
        )
        if stopped:
            return stopped
    return route.endpoint(face, agent, question)
