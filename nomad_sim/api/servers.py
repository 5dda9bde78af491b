"""``/v1/agent/servers``: the servers that a client knows, and the order to know others."""

from __future__ import annotations

import ipaddress

from nomad_exporter.demo.face.answers import Answer, Question, error, json_answer
from nomad_exporter.demo.face.asking import refused
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World


def known(_: World, agent: Agent, question: Question) -> Answer:
    """Their RPC addresses, sorted."""
    return json_answer(sorted(agent.client.servers) if agent.client else [], question)


def replaced(cluster: Cluster, agent: Agent, question: Question) -> Answer:
    """The list as a whole is replaced by those addresses at which a server answers; it is an error if none does."""
    addresses = question.parameters.get("address", [])
    if not addresses:
        return error(agent.setup.version, 400, "missing server address")
    faults = {address: _fault(cluster.world, agent, address) for address in addresses}
    good = tuple(address for address, fault in faults.items() if not fault)
    if not good:
        return error(agent.setup.version, 400, several([fault for fault in faults.values() if fault]))
    cluster.tell_servers(agent.name, tuple(map(with_port, good)))
    return Answer(200)


def with_port(address: str, port: int = 4647) -> str:
    """An address that may lack a port."""
    host, colon, digits = address.rpartition(":")
    return address if colon and digits.isdigit() and host else f"{address}:{port}"


def several(faults: list[str]) -> str:
    """Errors as Nomad lists them."""
    lines = "".join(f"\t* {fault}\n" for fault in faults)
    return f"{len(faults)} error{'s' if len(faults) > 1 else ''} occurred:\n{lines}\n"


def host_fault(address: str) -> str | None:
    """Why an address names no host; there are no names here but that of this machine."""
    host = with_port(address).rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if host == "localhost" else f"lookup {host}: no such host"
    return None


def _fault(world: World, agent: Agent, address: str) -> str | None:
    wrong = address and host_fault(address)
    if wrong:
        return wrong
    full = with_port(address)
    if world.reach_found(agent.name, world.at_rpc(full)) is Reach.ANSWERED:
        return None
    return f"Server at address {full} failed ping: {refused(full).text}"
