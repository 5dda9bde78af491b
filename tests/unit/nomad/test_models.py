"""Who is who: by ID from raft protocol 3 on, by address below."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.nomad.decode_self import decode
from nomad_exporter.nomad.models import AgentSelf, Member, RaftServer, Role, denies_vote, is_same, own_server
from tests.support.answers import recorded

ADDRESS = "10.0.0.1:4647"
BY_ID = RaftServer("Voter", "id-1", ADDRESS)
BY_ADDRESS = RaftServer("Voter", ADDRESS, ADDRESS)
BY_IPV6 = RaftServer("Voter", "[fd00::1]:4647", "[fd00::1]:4647")


@pytest.mark.parametrize(
    ("server", "member", "same"),
    [
        pytest.param(BY_ID, Member("s1", id="id-1", address=ADDRESS), True, id="ID and address"),
        pytest.param(BY_ID, Member("s1", id="id-1", address="10.0.0.9:4647"), True, id="it moved"),
        pytest.param(BY_ID, Member("s1", id="id-2", address=ADDRESS), False, id="wiped, at its old address"),
        pytest.param(BY_ID, Member("s1", id="", address=ADDRESS), False, id="a member that tells no ID"),
        pytest.param(BY_ADDRESS, Member("s1", id="", address=ADDRESS), True, id="protocol 2, no ID"),
        pytest.param(BY_ADDRESS, Member("s1", id="id-1", address=ADDRESS), True, id="protocol 2, an ID in gossip"),
        pytest.param(BY_ADDRESS, Member("s1", id="", address="10.0.0.2:4647"), False, id="protocol 2, another"),
        pytest.param(BY_ADDRESS, Member("s1", id=ADDRESS, address=""), False, id="protocol 2, no address"),
        pytest.param(BY_IPV6, Member("s1", address="[fd00::1]:4647"), True, id="protocol 2, IPv6"),
    ],
)
def test_a_member_is_a_server_of_the_configuration_by_its_id_or_where_that_is_its_address_by_that(
    server: RaftServer, member: Member, same: bool
) -> None:
    assert is_same(server, member) is same


@pytest.mark.parametrize(
    ("name", "suffrage"),
    [
        ("2.0.5/healthy/s1-follower", "Voter"),
        ("2.0.5/rejoined-nonvoter/s2-nonvoter", "Nonvoter"),
        ("1.2.16/rejoined-nonvoter/s1-nonvoter", "Nonvoter"),
        ("0.5.5-documented/single/bacon-mac", "Voter"),
    ],
)
def test_a_recorded_server_finds_itself_in_its_own_configuration(name: str, suffrage: str) -> None:
    found = own_server(decode(recorded(name).body))

    assert found
    assert found.suffrage == suffrage


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(AgentSelf(frozenset({Role.SERVER}), configuration=(BY_ID,)), id="no member"),
        pytest.param(AgentSelf(frozenset({Role.SERVER}), member=Member("s1", id="id-1")), id="no configuration"),
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), member=Member("s1", id="id-1"), configuration=()), id="an empty one"
        ),
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), member=Member("s2", id="id-2"), configuration=(BY_ID,)), id="others"
        ),
    ],
)
def test_a_server_that_is_not_in_it_does_not(own: AgentSelf) -> None:
    assert own_server(own) is None


@pytest.mark.parametrize(
    ("name", "denies"),
    [("2.0.5/healthy/s1-follower", False), ("2.0.5/rejoined-nonvoter/s2-nonvoter", True)],
)
def test_a_recorded_server_without_a_vote_tells_so(name: str, denies: bool) -> None:
    assert denies_vote(decode(recorded(name).body)) is denies


@pytest.mark.parametrize(
    ("said", "denies"),
    [
        pytest.param({"member": Member("s2", id="id-2"), "configuration": (BY_ID,)}, True, id="not in it"),
        pytest.param({"member": Member("s2", id="id-2"), "configuration": None}, False, id="no configuration"),
        pytest.param({"member": None, "configuration": (BY_ID,)}, False, id="no member"),
    ],
)
def test_only_who_tells_both_who_it_is_and_who_votes_can_deny_its_vote(said: dict[str, Any], denies: bool) -> None:
    assert denies_vote(AgentSelf(frozenset({Role.SERVER}), **said)) is denies
