"""Who plays which role: settled from the cluster as it is when an incident begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nomad_exporter.demo.incidents.story import FAR_SERVERS, SERVERS, Role, Roles
from nomad_exporter.demo.layout import watched_name
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.setup import Setup


@dataclass(frozen=True, slots=True)
class Actor:
    """An agent in a role: ``name`` in the cluster, ``agent`` for the exporter, and how others call it."""

    name: str
    agent: str
    member: str
    rpc: str
    serf: str


Cast = Mapping[Role, Actor]


def cast_of(agents: Mapping[str, Agent]) -> Cast:
    """The roles of the first two regions. Without a leader, a region has no servers in any role."""
    regions = list(dict.fromkeys(agent.setup.region for agent in agents.values()))
    places = zip(regions, ((SERVERS, Role.CLIENT), (FAR_SERVERS, Role.FAR_CLIENT)), strict=False)
    several = len(regions) > 1
    return {
        role: actor(agent.setup, several)
        for region, (servers, client) in places
        for role, agent in _of_region([one for one in agents.values() if one.setup.region == region], servers, client)
    }


def actor(setup: Setup, several: bool) -> Actor:
    """An agent, where there are ``several`` regions or one."""
    agent = watched_name(setup, several)
    return Actor(setup.full_name, agent, setup.member, setup.rpc_address, setup.serf_address)


def _of_region(agents: list[Agent], servers: Roles, client: Role) -> list[tuple[Role, Agent]]:
    """The leader is the one that leads and runs; the followers come in the order in which they were added."""
    with_server = [agent for agent in agents if agent.server]
    leading = sorted(with_server, key=_leads, reverse=True)
    clients = [agent for agent in agents if not agent.server]
    found = list(zip(servers, leading, strict=False)) if leading and _leads(leading[0]) else []
    return [*found, *zip((client,), clients, strict=False)]


def _leads(agent: Agent) -> bool:
    return agent.runs and agent.server is not None and agent.server.leads
