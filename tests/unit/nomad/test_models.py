"""Identity of servers: by ID from raft protocol 3 on, by address before. Names of agents."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.nomad.models import (
    AgentSelf,
    Member,
    RaftServer,
    Role,
    find_own_server,
    is_nonvoter,
    is_same_server,
)
from nomad_exporter.nomad.sources import SELF
from tests.support.answers import recorded

ADDRESS = "10.0.0.1:4647"
BY_ID = RaftServer("Voter", "id-1", ADDRESS)
BY_ADDRESS = RaftServer("Voter", ADDRESS, ADDRESS)
BY_IPV6 = RaftServer("Voter", "[fd00::1]:4647", "[fd00::1]:4647")


@pytest.mark.parametrize(
    ("server", "member", "same"),
    [
        pytest.param(BY_ID, Member("s1", id="id-1", address=ADDRESS), True, id="ID and address"),
        pytest.param(BY_ID, Member("s1", id="id-1", address="10.0.0.9:4647"), True, id="moved to another address"),
        pytest.param(BY_ID, Member("s1", id="id-2", address=ADDRESS), False, id="wiped, at the same address"),
        pytest.param(BY_ID, Member("s1", id="", address=ADDRESS), False, id="member without ID"),
        pytest.param(BY_ADDRESS, Member("s1", id="", address=ADDRESS), True, id="protocol 2, no ID"),
        pytest.param(BY_ADDRESS, Member("s1", id="id-1", address=ADDRESS), True, id="protocol 2, ID in gossip"),
        pytest.param(BY_ADDRESS, Member("s1", id="", address="10.0.0.2:4647"), False, id="protocol 2, another address"),
        pytest.param(BY_ADDRESS, Member("s1", id=ADDRESS, address=""), False, id="protocol 2, no address"),
        pytest.param(BY_IPV6, Member("s1", address="[fd00::1]:4647"), True, id="protocol 2, IPv6"),
    ],
)
def test_member_matches_server_by_id_or_address(server: RaftServer, member: Member, same: bool) -> None:
    assert is_same_server(server, member) is same


@pytest.mark.parametrize(
    ("name", "suffrage"),
    [
        ("2.0.5/healthy/s1-follower", "Voter"),
        ("2.0.5/rejoined-nonvoter/s2-nonvoter", "Nonvoter"),
        ("1.2.16/rejoined-nonvoter/s1-nonvoter", "Nonvoter"),
        ("0.5.5-documented/single/bacon-mac", "Voter"),
    ],
)
def test_recorded_server_is_found_in_own_configuration(name: str, suffrage: str) -> None:
    server = find_own_server(SELF.decode(recorded(name)))

    assert server
    assert server.suffrage == suffrage


@pytest.mark.parametrize(
    "agent_self",
    [
        pytest.param(AgentSelf(frozenset({Role.SERVER}), configuration=(BY_ID,)), id="no member"),
        pytest.param(AgentSelf(frozenset({Role.SERVER}), member=Member("s1", id="id-1")), id="no configuration"),
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), member=Member("s1", id="id-1"), configuration=()),
            id="empty",
        ),
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), member=Member("s2", id="id-2"), configuration=(BY_ID,)),
            id="other server",
        ),
    ],
)
def test_missing_own_server_is_none(agent_self: AgentSelf) -> None:
    assert find_own_server(agent_self) is None


@pytest.mark.parametrize(
    ("name", "nonvoter"),
    [("2.0.5/healthy/s1-follower", False), ("2.0.5/rejoined-nonvoter/s2-nonvoter", True)],
)
def test_recorded_nonvoter_is_recognized(name: str, nonvoter: bool) -> None:
    assert is_nonvoter(SELF.decode(recorded(name))) is nonvoter


@pytest.mark.parametrize(
    ("fields", "nonvoter"),
    [
        pytest.param({"member": Member("s2", id="id-2"), "configuration": (BY_ID,)}, True, id="other server"),
        pytest.param({"member": Member("s2", id="id-2"), "configuration": None}, False, id="no configuration"),
        pytest.param({"member": None, "configuration": (BY_ID,)}, False, id="no member"),
    ],
)
def test_nonvoter_requires_member_and_configuration(fields: dict[str, Any], nonvoter: bool) -> None:
    assert is_nonvoter(AgentSelf(frozenset({Role.SERVER}), **fields)) is nonvoter


NODE_ID = {"client.node_id": "c0ffee00"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"member": Member("s1.global"), "node_name": "s1", "texts": NODE_ID}, "s1.global", id="member"),
        pytest.param({"node_name": "c1", "texts": NODE_ID}, "c1", id="node name"),
        pytest.param({"texts": NODE_ID}, "c0ffee00", id="node ID"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_name_is_that_of_member_or_node_or_node_id(fields: dict[str, Any], name: str) -> None:
    assert AgentSelf(frozenset({Role.CLIENT}), **fields).name == name
