"""Members of the gossip pool, for ``GET /v1/agent/members`` and ``GET /v1/agent/self``."""

from __future__ import annotations

from typing import Any

from nomad_sim.model.agents import Agent
from nomad_sim.model.gossip import Member
from nomad_sim.model.world import World
from nomad_sim.setup import Setup

EMPTY_MEMBER: dict[str, Any] = {
    "Name": "",
    "Addr": None,
    "Port": 0,
    "Tags": None,
    "Status": "none",
    **dict.fromkeys(("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur"), 0),
}
"""The ``member`` of a client, which is not in the gossip pool."""

_PROTOCOLS = {
    "ProtocolMin": 1,
    "ProtocolMax": 5,
    "ProtocolCur": 2,
    "DelegateMin": 2,
    "DelegateMax": 5,
    "DelegateCur": 4,
}


def self_member(agent: Agent) -> dict[str, Any]:
    """Return the ``member`` of ``GET /v1/agent/self``."""
    return member(agent.server.gossip.local_member) if agent.server else EMPTY_MEMBER


def members(world: World, server: Agent) -> dict[str, Any]:
    """Return the response to ``GET /v1/agent/members``; the order of the members is random."""
    known = list(world.server(server.name).gossip.members.values())
    world.rng.shuffle(known)  # Nomad iterates over a Go map.
    return {
        "ServerName": server.setup.name,
        "ServerRegion": server.setup.region,
        "ServerDC": server.setup.datacenter,
        "Members": list(map(member, known)),
    }


def member(known: Member) -> dict[str, Any]:
    """Return one member as Nomad encodes it."""
    setup = known.setup
    return {
        "Name": setup.member,
        "Addr": setup.host,
        "Port": setup.serf,
        "Tags": tags(setup),
        "Status": known.status,
        **_PROTOCOLS,
    }


def tags(setup: Setup) -> dict[str, str]:
    """Return the gossip tags of a server."""
    version = setup.version
    always = {
        "role": "nomad",
        "region": setup.region,
        "dc": setup.datacenter,
        "build": version.build,
        "port": str(setup.rpc),
        "vsn": "1",
        "raft_vsn": str(version.raft_protocol),
        "id": setup.id,
        "rpc_addr": setup.host,
    }
    optional = {
        "expect": str(setup.bootstrap_expect) if setup.bootstrap_expect else "",
        "bootstrap": "1" if setup.bootstrap_expect == 1 else "",
        "nonvoter": "1" if setup.nonvoter else "",
        "mvn": "1" if "mvn" in version.tags else "",
    }
    present = {name: value for name, value in optional.items() if value}
    return {**always, **present, **({"revision": ""} if "revision" in version.tags else {})}
