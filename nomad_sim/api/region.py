"""What a region's servers say together: its leader, its peers, its clients, and how autopilot finds them."""

from __future__ import annotations

import math
from typing import Any

from nomad_exporter.demo import go
from nomad_exporter.demo.face.answers import JSON, Answer, Held, Question, error, json_answer
from nomad_exporter.demo.face.asking import Fault, answerer, leader_for
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.autopilot import is_well, member_of
from nomad_exporter.demo.model.log import VOTER, Peer
from nomad_exporter.demo.model.nodes import READY, Node
from nomad_exporter.demo.model.world import World

NEVER = "0001-01-01T00:00:00Z"


def status_leader(world: World, agent: Agent, question: Question) -> Answer | Held:
    """The RPC address of the leader."""
    asked = answerer(world, agent, question)
    if not isinstance(asked, Agent):
        return _fault(agent, asked)
    leader = world.leader_of(asked.name)
    return json_answer(leader.setup.rpc_address if leader else "", question)


def status_peers(world: World, agent: Agent, question: Question) -> Answer | Held:
    """The addresses of all servers in the raft configuration."""
    asked = answerer(world, agent, question)
    if not isinstance(asked, Agent):
        return _fault(agent, asked)
    return json_answer([peer.address for peer in world.server(asked.name).raft.log.configuration.peers], question)


def list_nodes(world: World, agent: Agent, question: Question) -> Answer | Held:
    """The clients of the region, those alone whose ID begins with ``prefix``."""
    asked = answerer(world, agent, question)
    if not isinstance(asked, Agent):
        return _fault(agent, asked)
    known = sorted(
        one for one in world.nodes[asked.setup.region].items() if one[0].startswith(question.first("prefix"))
    )
    answer = json_answer([_stub(node) for _, node in known], question)
    headers = {
        "X-Nomad-Index": str(max((node.modified for _, node in known), default=1)),
        "X-Nomad-Knownleader": "true" if world.leader_of(asked.name) else "false",
        "X-Nomad-Lastcontact": "0",
    }
    return Answer(answer.status, answer.body, answer.content_type, headers)


def autopilot_health(world: World, agent: Agent, question: Question) -> Answer | Held:
    """How the leader finds each server; the status is 429 where it does not find all well."""
    asked = leader_for(world, agent, question)
    if not isinstance(asked, Agent):
        return _fault(agent, asked)
    peers = world.server(asked.name).raft.log.configuration.peers
    servers = [_server(world, asked, peer) for peer in peers]
    well = all(server["Healthy"] for server in servers)
    voting = sum(server["Voter"] for server in servers)
    voting_well = sum(server["Voter"] and server["Healthy"] for server in servers)
    told: dict[str, Any] = {"FailureTolerance": max(0, voting_well - voting // 2 - 1), "Healthy": well}
    if agent.setup.version.autopilot_leader:
        told |= {"Leader": asked.setup.raft_id, "Voters": [server["ID"] for server in servers if server["Voter"]]}
    answer = json_answer({**told, "Servers": servers}, question)
    return answer if well else Answer(429, answer.body, JSON if agent.setup.version.ill_typed else None)


def _fault(agent: Agent, asked: Fault | Held) -> Answer | Held:
    return asked if isinstance(asked, Held) else error(agent.setup.version, 500, asked.text)


def _server(world: World, leader: Agent, peer: Peer) -> dict[str, Any]:
    server = world.server(leader.name)
    known = member_of(server.gossip, peer)
    since = server.autopilot.well_since.get(peer.id)
    return {
        "ID": peer.id,
        "Name": known.setup.member if known else "(unknown)",
        "Address": peer.address,
        "SerfStatus": known.status if known else "none",
        "Version": known.setup.version.build if known else "",
        "Leader": peer.id == server.raft.me,
        "LastContact": _contact(world, leader, peer),
        "LastTerm": server.raft.term,
        "LastIndex": server.raft.peers[peer.id].match if peer.id in server.raft.peers else server.raft.log.last,
        "Healthy": is_well(server.raft, server.gossip, peer),
        "Voter": peer.suffrage == VOTER,
        "StableSince": NEVER if since is None else go.rfc3339(since),
    }


def _contact(world: World, leader: Agent, peer: Peer) -> str:
    """The leader has no contact to make; a server that does not answer has none; another has what it said last."""
    server = world.server(leader.name)
    if peer.id == server.raft.me:
        return "0s"
    heard = server.raft.peers[peer.id].heard if peer.id in server.raft.peers else -math.inf
    answers = is_well(server.raft, server.gossip, peer) or world.now - heard <= world.timing.lease
    return go.duration(min(world.now - heard, world.timing.heartbeat[1]) if answers else -1e-9)


def _stub(node: Node) -> dict[str, Any]:
    setup = node.setup
    ready = node.status == READY
    stub = {
        "Address": setup.host,
        "ID": setup.id,
        "Datacenter": setup.datacenter,
        "Name": setup.name,
        "NodeClass": "",
        "Version": setup.version.build,
        "Drain": False,
        "SchedulingEligibility": "eligible",
        "Status": node.status,
        "StatusDescription": "" if ready else "node TTL expired",
        "Drivers": {"raw_exec": {"Attributes": {"driver.raw_exec": "true"}, "Detected": True, "Healthy": ready}},
        "HostVolumes": None,
        "LastDrain": None,
        "CreateIndex": node.created,
        "ModifyIndex": node.modified,
    }
    return {**stub, **({"NodePool": "default"} if setup.version.node_pools else {})}
