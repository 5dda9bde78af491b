"""``/v1/agent/join`` and ``/v1/agent/force-leave``: into the gossip pool, and out of it."""

from __future__ import annotations

from nomad_exporter.demo.face.acl import AGENT_WRITE, SELF, Acl, judged
from nomad_exporter.demo.face.answers import Answer, Question, error, json_answer, truth
from nomad_exporter.demo.face.servers import host_fault, several, with_port
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.network import Reach

_DEPRECATED = "anonymous server join is deprecated and will be removed in a future version of Nomad"
_ENCRYPTED = "encryption is configured but remote state is not encrypted"
_PLAIN = "remote state is encrypted and encryption is not configured"


def join(acl: Acl, cluster: Cluster, agent: Agent, question: Question) -> Answer:
    """How many servers could be joined; the status is 200 in any case, and who may not join is only warned."""
    version = agent.setup.version
    addresses = question.parameters.get("address", [])
    if not addresses:
        return error(version, 400, "missing address to join")
    faults = [fault for fault in (_joined(cluster, agent, address) for address in addresses) if fault]
    joined = len(addresses) - len(faults)
    told = {"error": "" if joined else several(faults), "num_joined": joined}
    warning = _DEPRECATED if judged(acl, agent, question, AGENT_WRITE, SELF) else ""
    return json_answer({**told, "warning": warning} if version.join_warning else told, question)


def _joined(cluster: Cluster, agent: Agent, address: str) -> str | None:
    full = with_port(address, 4648)
    wrong = host_fault(address)
    begin = agent.setup.version.join_failure
    if wrong:
        return f"{begin.replace('join', 'resolve')} {address}: {wrong}"
    world = cluster.world
    other = world.at_serf(full)
    reach = world.reach_found(agent.name, other)
    if other is None or reach is not Reach.ANSWERED:
        why = "i/o timeout" if reach is Reach.SILENT else "connect: connection refused"
        return f"{begin} {full}: dial tcp {full}: {why}"
    if not world.gossips(agent.name, other.name):
        why = _ENCRYPTED if agent.setup.encrypted else _PLAIN
        return f"{begin} {full}: {why if begin.islower() else why.capitalize()}"
    cluster.join(agent.name, other.name)
    return None


def force_leave(cluster: Cluster, agent: Agent, question: Question) -> Answer:
    """A member that nobody knows is no error."""
    version = agent.setup.version
    node = question.first("node")
    if not node:
        return error(version, 400, "missing node to force leave")
    prune = truth(question.first("prune") or "false") if version.prune else False
    if prune is None:
        return error(version, 400, "invalid prune value")
    cluster.force_leave(agent.name, node, prune)
    return Answer(200)
