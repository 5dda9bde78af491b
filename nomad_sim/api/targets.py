"""Which agent a question means with ``node_id`` or ``server_id``, for the endpoints that can be asked about another."""

from __future__ import annotations

from nomad_exporter.demo.face.answers import Answer, Held, Question, error
from nomad_exporter.demo.face.asking import Fault, leader_for, refused, server_of
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World


def both(agent: Agent, question: Question) -> Answer | None:
    """The error where two agents are meant at once."""
    twice = question.first("node_id") and question.first("server_id")
    return error(agent.setup.version, 400, "Cannot target node and server simultaneously") if twice else None


def target(world: World, agent: Agent, question: Question, unknown_server: int) -> Agent | Answer | Held:
    """The agent that is meant: without a word, the one that was asked.

    ``unknown_server`` is the status where no server can be found; the endpoints differ in it.
    """
    node, server = question.first("node_id"), question.first("server_id")
    version = agent.setup.version
    if not node and not server:
        return agent
    found = _node(world, node) if node else _server(world, agent, question, server)
    if isinstance(found, Held):
        return found
    if isinstance(found, Fault):
        return error(version, 404 if node else unknown_server, found.text)
    reach = world.reach(agent.name, found.name)
    if reach is Reach.REFUSED:
        return error(version, 500, "No path to node" if node else refused(found.setup.rpc_address).text)
    return found if reach is Reach.ANSWERED else Held()


def _node(world: World, node: str) -> Agent | Fault:
    found = [one for one in world.agents.values() if one.client and one.setup.id == node]
    return found[0] if found else Fault(f'Unknown node "{node}"')


def _server(world: World, agent: Agent, question: Question, server: str) -> Agent | Fault | Held:
    if server == "leader":
        return leader_for(world, agent, question)
    asked = server_of(world, agent, question)
    if not isinstance(asked, Agent):
        return asked
    found = [one for one in world.servers() if server in (one.name, one.setup.id, one.setup.name)]
    mine = [one for one in found if one.setup.region == asked.setup.region]
    return mine[0] if mine else Fault(f"unknown Nomad server {server}")
