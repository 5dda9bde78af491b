"""How an agent asks another on behalf of a question: of another region, a leader, or a client's servers."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter.demo.face.answers import Held, Question, truth
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """Nobody could be asked; the text is Nomad's."""

    text: str


def refused(address: str) -> Fault:
    return Fault(f"rpc error: failed to get conn: dial tcp {address}: connect: connection refused")


def server_of(world: World, agent: Agent, question: Question) -> Agent | Fault | Held:
    """The server that an agent takes a question to: itself, or one that a client knows, in the region asked for."""
    asked = agent if agent.server else _server_of_client(world, agent, question)
    region = question.first("region")
    if not isinstance(asked, Agent) or region in ("", asked.setup.region):
        return asked
    there = world.server(asked.name).gossip.alive(region)
    if not there:
        return Fault("No path to region")
    return _reached(world, asked, world.agents[question.one_of(there).setup.member], question)


def leader_for(world: World, agent: Agent, question: Question) -> Agent | Fault | Held:
    """The leader, as ``server_of`` reaches it; while there is none, or it is not ready, the question is held."""
    asked = server_of(world, agent, question)
    if not isinstance(asked, Agent):
        return asked
    leader = world.known_leader(asked.name)
    held = world.now - question.since < world.timing.hold[0]
    if leader is None:
        return Held() if held else Fault(_through(agent, "No cluster leader"))
    reached = _reached(world, asked, leader, question)
    if isinstance(reached, Agent) and not world.server(leader.name).leads:
        return Held() if held else Fault(_through(agent, "Not ready to serve consistent reads"))
    return reached


def answerer(world: World, agent: Agent, question: Question) -> Agent | Fault | Held:
    """Who is to answer: any server where the answer may be stale, else the leader."""
    may_be_stale = "stale" in question.parameters and truth(question.first("stale")) is not False
    return (server_of if may_be_stale else leader_for)(world, agent, question)


def _through(agent: Agent, text: str) -> str:
    """What a client hears of an error, it hears through a server."""
    return text if agent.server else f"rpc error: {text}"


def _server_of_client(world: World, agent: Agent, question: Question) -> Agent | Fault | Held:
    client = agent.client
    if client is None or (agent.setup.version.waits_for_registration and not client.registered):
        return Held()
    if not client.servers:
        return Fault("no servers")
    address = question.one_of(sorted(client.servers))
    server = world.at_rpc(address)
    reach = world.reach_found(agent.name, server)
    if server is None or reach is Reach.REFUSED:
        return refused(address)
    return server if reach is Reach.ANSWERED else Held()


def _reached(world: World, asker: Agent, asked: Agent, question: Question) -> Agent | Fault | Held:
    """A connection to one that is silent is given up after a while; one that was open before hangs as long."""
    reach = world.reach(asker.name, asked.name)
    if reach is Reach.REFUSED:
        return refused(asked.setup.rpc_address)
    if reach is Reach.ANSWERED:
        return asked
    late = world.now - question.since >= world.timing.dial
    return Fault(f"rpc error: failed to get conn: dial tcp {asked.setup.rpc_address}: i/o timeout") if late else Held()
