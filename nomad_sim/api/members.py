"""Members of the gossip pool, as ``GET /v1/agent/members`` and ``GET /v1/agent/self`` have them."""

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
"""The member that a client is: none."""

_PROTOCOLS = {
    "ProtocolMin": 1,
    "ProtocolMax": 5,
    "ProtocolCur": 2,
    "DelegateMin": 2,
    "DelegateMax": 5,
    "DelegateCur": 4,
}


def self_member(agent: Agent) -> dict[str, Any]:
    """The member that the agent itself is."""
    return member(agent.server.gossip.local_member) if agent.server else EMPTY_MEMBER


def members(world: World, server: Agent) -> dict[str, Any]:
    """All members that a server knows, in no order, as Go walks through a map."""
    known = list(world.server(server.name).gossip.members.values())
    world.rng.shuffle(known)
    return {
        "ServerName": server.setup.name,
        "ServerRegion": server.setup.region,
        "ServerDC": server.setup.datacenter,
        "Members": [member(one) for one in known],
    }


def member(known: Member) -> dict[str, Any]:
    """One member."""
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
    """What a server tells of itself in gossip."""
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
    sometimes = {
        "expect": str(setup.bootstrap_expect) if setup.bootstrap_expect else "",
        "bootstrap": "1" if setup.bootstrap_expect == 1 else "",
        "nonvoter": "1" if setup.nonvoter else "",
        "mvn": "1" if "mvn" in version.tags else "",
    }
    known = {name: value for name, value in sometimes.items() if value}
    return {**always, **known, **({"revision": ""} if "revision" in version.tags else {})}
