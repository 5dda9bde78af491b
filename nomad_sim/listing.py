"""The demo's own page as text, for whoever asks with curl."""

from __future__ import annotations

from nomad_exporter.demo.deeds import DEEDS
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.player import Player
from nomad_exporter.demo.incidents.telling import cast_told, scene_told
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.world import World

_HOW = f"""
curl -X POST …/NAME/DEED, where DEED is one of {", ".join(DEEDS)}
curl -X POST …/incidents/NAME plays an incident, …/incidents/NAME/N its scene N alone; GET …/incidents lists them
"""


def agents(player: Player) -> str:
    """A line for each agent, and what one can do."""
    world = player.stage.cluster.world
    return "".join(agent_line(world, agent) for agent in player.agents.values()) + _HOW


def agent_line(world: World, agent: Agent) -> str:
    """Its name, its role, its state, and where it is asked."""
    state = f"{agent.state.value}{', cut off' if is_cut_off(world, agent) else ''}"
    return f"{agent.name:12} {role(agent):10} {state:10} {agent.setup.url}\n"


def incidents(player: Player) -> str:
    """A line for each incident, and how far the one is that was begun last."""
    lines = "".join(f"{name:22} {incident.title}\n" for name, incident in INCIDENTS.items())
    return f"{lines}\n{course(player)}"


def course(player: Player) -> str:
    """The scene that was played last: what was done, what is to be seen, and who plays."""
    played = player.course
    if played is None:
        return "none was played yet\n"
    return "\n".join(
        (f"{played.title(player.plays)}:", *scene_told(played.scene, played.cast), f"  as {cast_told(played.cast)}", "")
    )


def role(agent: Agent) -> str:
    """``leader``, ``follower``, ``client``, …; of a server that does not run, no more than that."""
    if agent.server is None:
        return "client"
    return agent.server.raft.state.lower() if agent.runs else "server"


def is_cut_off(world: World, agent: Agent) -> bool:
    """From all others."""
    return sum(agent.name in pair for pair in world.cuts) == len(world.agents) - 1 > 0
