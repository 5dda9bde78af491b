"""Who plays which role: settled from the cluster as it is when an incident begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nomad_sim.incidents.scenario import FAR_SERVERS, SERVERS, Role, Roles
from nomad_sim.layout import exporter_name
from nomad_sim.model.agents import Agent
from nomad_sim.setup import Setup


@dataclass(frozen=True, slots=True)
class RoleAgent:
    """An agent in a role: ``name`` in the cluster, ``agent`` for the exporter, and how others call it."""

    name: str
    agent: str
    member: str
    rpc: str
    serf: str


RoleMap = Mapping[Role, RoleAgent]


def assign_roles(agents: Mapping[str, Agent]) -> RoleMap:
    """The roles of the first two regions. Without a leader, a region has no servers in any role."""
    regions = list(dict.fromkeys(agent.setup.region for agent in agents.values()))
    places = zip(regions, ((SERVERS, Role.CLIENT), (FAR_SERVERS, Role.FAR_CLIENT)), strict=False)
    multi_region = len(regions) > 1
    return {
        role: role_agent(agent.setup, multi_region)
        for region, (servers, client) in places
        for role, agent in _assign_region(
            [one for one in agents.values() if one.setup.region == region], servers, client
        )
    }


def role_agent(setup: Setup, multi_region: bool) -> RoleAgent:
    """An agent, where there are ``multi_region`` regions or one."""
    agent = exporter_name(setup, multi_region)
    return RoleAgent(setup.full_name, agent, setup.member, setup.rpc_address, setup.serf_address)


def _assign_region(agents: list[Agent], servers: Roles, client: Role) -> list[tuple[Role, Agent]]:
    """The leader is the one that leads and runs; the followers come in the order in which they were added."""
    with_server = [agent for agent in agents if agent.server]
    by_leadership = sorted(with_server, key=_is_leader, reverse=True)
    clients = [agent for agent in agents if not agent.server]
    found = list(zip(servers, by_leadership, strict=False)) if by_leadership and _is_leader(by_leadership[0]) else []
    return [*found, *zip((client,), clients, strict=False)]


def _is_leader(agent: Agent) -> bool:
    return agent.is_running and agent.server is not None and agent.server.is_leader
