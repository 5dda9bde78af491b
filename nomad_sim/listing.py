"""The control page as text, for curl."""

from __future__ import annotations

from textwrap import fill

from nomad_sim.faults import FAULTS
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.describe import describe_roles, describe_step
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

_FAULT_NAMES = fill(f"Faults: {', '.join(FAULTS)}", 100, subsequent_indent=" " * 8, break_on_hyphens=False)

_USAGE = f"""
POST /AGENT/FAULT           inject a fault
GET  /incidents             list the incidents, and the progress of the last one
POST /incidents/NAME        run an incident
POST /incidents/NAME/STEP   run one step of an incident, from 1

{_FAULT_NAMES}
"""


def list_agents(runner: IncidentRunner) -> str:
    """Return a line for each agent, and the requests that change the cluster."""
    world = runner.server.cluster.world
    return "".join(agent_line(world, agent) for agent in runner.agents.values()) + _USAGE


def agent_line(world: World, agent: Agent) -> str:
    """Return the name, role, state and URL of an agent, as a line."""
    state = f"{agent.state.value}{', partitioned' if is_partitioned(world, agent) else ''}"
    return f"{agent.name:12} {role(agent):10} {state:10} {agent.setup.url}\n"


def list_incidents(runner: IncidentRunner) -> str:
    """Return a line for each incident, and the progress of the last one."""
    lines = "".join(f"{name:22} {incident.title}\n" for name, incident in INCIDENTS.items())
    return f"{lines}\n{format_progress(runner)}"


def format_progress(runner: IncidentRunner) -> str:
    """Return the last step that ran, with its actions and expectations, and the roles of the agents."""
    progress = runner.progress
    if progress is None:
        return "no incident has run yet\n"
    return "\n".join(
        (
            f"{progress.title(runner.is_running)}:",
            *describe_step(progress.step, progress.role_map),
            f"  roles: {describe_roles(progress.role_map)}",
            "",
        )
    )


def role(agent: Agent) -> str:
    """Return ``client``, or a server's Raft state: ``leader``, ``follower``, …; ``server`` if it is not running."""
    if agent.server is None:
        return "client"
    return agent.server.raft.state.lower() if agent.is_running else "server"


def is_partitioned(world: World, agent: Agent) -> bool:
    """Return whether an agent is partitioned from all others."""
    return sum(agent.name in pair for pair in world.partitions) == len(world.agents) - 1 > 0
