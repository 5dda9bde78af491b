"""The demo's own page as text, for whoever asks with curl."""

from __future__ import annotations

from nomad_sim.faults import FAULTS
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.describe import describe_roles, describe_step
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

_USAGE = f"""
curl -X POST …/NAME/ACTION, where ACTION is one of {", ".join(FAULTS)}
curl -X POST …/incidents/NAME plays an incident, …/incidents/NAME/N its step N alone; GET …/incidents lists them
"""


def list_agents(runner: IncidentRunner) -> str:
    """A line for each agent, and what one can do."""
    world = runner.server.cluster.world
    return "".join(agent_line(world, agent) for agent in runner.agents.values()) + _USAGE


def agent_line(world: World, agent: Agent) -> str:
    """Its name, its role, its state, and where it is asked."""
    state = f"{agent.state.value}{', partitioned' if is_partitioned(world, agent) else ''}"
    return f"{agent.name:12} {role(agent):10} {state:10} {agent.setup.url}\n"


def list_incidents(runner: IncidentRunner) -> str:
    """A line for each incident, and how far the one is that was begun last."""
    lines = "".join(f"{name:22} {incident.title}\n" for name, incident in INCIDENTS.items())
    return f"{lines}\n{format_progress(runner)}"


def format_progress(runner: IncidentRunner) -> str:
    """The step that was played last: what was done, what is to be seen, and who plays."""
    progress = runner.progress
    if progress is None:
        return "none was played yet\n"
    return "\n".join(
        (
            f"{progress.title(runner.is_running)}:",
            *describe_step(progress.step, progress.role_map),
            f"  as {describe_roles(progress.role_map)}",
            "",
        )
    )


def role(agent: Agent) -> str:
    """``leader``, ``follower``, ``client``, …; of a server that does not run, no more than that."""
    if agent.server is None:
        return "client"
    return agent.server.raft.state.lower() if agent.is_running else "server"


def is_partitioned(world: World, agent: Agent) -> bool:
    """From all others."""
    return sum(agent.name in pair for pair in world.partitions) == len(world.agents) - 1 > 0
