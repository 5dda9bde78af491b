"""The assignment of roles to agents when an incident begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nomad_sim.incidents.scenario import REMOTE_SERVERS, SERVERS, Role, Roles
from nomad_sim.layout import exporter_name
from nomad_sim.model.agents import Agent
from nomad_sim.setup import Setup


@dataclass(frozen=True, slots=True)
class RoleAgent:
    """An agent in a role: its name in the cluster, its name in the exporter (``agent``), and its addresses."""

    name: str
    agent: str
    member: str
    rpc: str
    serf: str


RoleMap = Mapping[Role, RoleAgent]


def assign_roles(agents: Mapping[str, Agent]) -> RoleMap:
    """Return the roles of the first two regions. A region without a leader has no servers in roles."""
    regions = list(dict.fromkeys(agent.setup.region for agent in agents.values()))
    region_roles = zip(regions, ((SERVERS, Role.CLIENT), (REMOTE_SERVERS, Role.REMOTE_CLIENT)), strict=False)
    multi_region = len(regions) > 1
    return {
        role: role_agent(agent.setup, multi_region)
        for region, (servers, client) in region_roles
        for role, agent in _assign_region(
            [candidate for candidate in agents.values() if candidate.setup.region == region], servers, client
        )
    }


def role_agent(setup: Setup, multi_region: bool) -> RoleAgent:
    """Return an agent for a role; with ``multi_region`` the exporter's name includes the region."""
    agent = exporter_name(setup, multi_region)
    return RoleAgent(setup.full_name, agent, setup.member, setup.rpc_address, setup.serf_address)


def _assign_region(agents: list[Agent], servers: Roles, client: Role) -> list[tuple[Role, Agent]]:
    """Assign the leader's role to the running leader, and the followers' roles in the order of the setup."""
    with_server = [agent for agent in agents if agent.server]
    by_leadership = sorted(with_server, key=_is_leader, reverse=True)
    clients = [agent for agent in agents if not agent.server]
    assigned = list(zip(servers, by_leadership, strict=False)) if by_leadership and _is_leader(by_leadership[0]) else []
    return [*assigned, *zip((client,), clients, strict=False)]


def _is_leader(agent: Agent) -> bool:
    return agent.is_running and agent.server is not None and agent.server.is_leader
