"""``members``: servers in the order of their names, and a broken one costs only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nomad_exporter.nomad import decode_members
from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import Member, Members
from nomad_exporter.nomad.sources import MEMBERS_PATH
from tests.support.answers import recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (told := s.answers.get(MEMBERS_PATH)) and told.status == 200]

S1: dict[str, Any] = {
    "Name": "s1.global",
    "Addr": "10.0.0.1",
    "Port": 4648,
    "Status": "alive",
    "Tags": {
        "id": "41cc56e1",
        "port": "4647",
        "region": "global",
        "dc": "dc1",
        "build": "2.0.5",
        "raft_vsn": "3",
        "expect": "3",
    },
    "ProtocolCur": 2,
    "DelegateCur": 4,
}


def decoded(*members: Any) -> Members:
    return decode_members.decode(json.dumps({"Members": members}).encode())


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_answer_is_read_without_a_flaw(name: str) -> None:
    body = recorded(name, MEMBERS_PATH).body
    answer = decode_members.decode(body)

    assert {member.name for member in answer.members} == {told["Name"] for told in json.loads(body)["Members"]}
    assert answer.invalid_fields == ()


def test_all_that_is_told_of_a_member_is_read() -> None:
    answer = decoded(S1)

    assert answer.members == (
        Member(
            name="s1.global",
            status="alive",
            id="41cc56e1",
            address="10.0.0.1:4647",
            region="global",
            datacenter="dc1",
            build="2.0.5",
            raft_version="3",
            protocol=2,
            delegate=4,
            expect="3",
        ),
    )


def test_members_stand_in_the_order_of_their_names_whatever_order_they_came_in() -> None:
    answer = decoded(*({**S1, "Name": name} for name in ("s2.global", "s10.global", "s1.global")))

    assert [member.name for member in answer.members] == ["s1.global", "s10.global", "s2.global"]


def test_servers_of_other_regions_are_members_too() -> None:
    answer = decode_members.decode(recorded("2.0.5/two-regions/east-s1", MEMBERS_PATH).body)

    assert {member.region for member in answer.members} == {"east", "west"}


def test_a_server_older_than_its_tags_is_read_without_them() -> None:
    (member,) = decode_members.decode(recorded("0.5.5-documented/single/bacon-mac", MEMBERS_PATH).body).members

    assert (member.id, member.raft_version, member.expect) == ("", "", "")
    assert member.build == "0.5.5dev"


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        pytest.param("10.0.0.1", "4647", "10.0.0.1:4647", id="IPv4"),
        pytest.param("2001:db8::1", "4647", "[2001:db8::1]:4647", id="IPv6 in brackets, as raft has it"),
        pytest.param("", "4647", "", id="no host"),
        pytest.param("10.0.0.1", "", "", id="no port"),
        pytest.param(None, "4647", "", id="a null host"),
    ],
)
def test_the_address_of_a_member_is_that_of_its_rpc(host: str | None, port: str, address: str) -> None:
    (member,) = decoded({**S1, "Addr": host, "Tags": {"port": port}}).members

    assert member.address == address


@pytest.mark.parametrize("status", ["alive", "leaving", "left", "failed"])
def test_a_status_of_gossip_is_kept(status: str) -> None:
    (member,) = decoded({**S1, "Status": status}).members

    assert member.status == status


@pytest.mark.parametrize("status", ["none", "", "Alive", 7, None, ["alive"]], ids=repr)
def test_a_status_that_gossip_does_not_have_is_a_flaw_and_the_member_stays(status: Any) -> None:
    answer = decoded({**S1, "Status": status})

    assert [member.status for member in answer.members] == [""]
    assert "Members[].Status" in answer.invalid_fields


@pytest.mark.parametrize(
    ("part", "flaw"),
    [
        pytest.param({"Addr": 7}, "Members[].Addr", id="an address that is a number"),
        pytest.param({"Tags": "none"}, "Members[].Tags", id="tags that are a text"),
        pytest.param({"Tags": {**S1["Tags"], "id": 7}}, "Members[].Tags.id", id="an id that is a number"),
        pytest.param({"Tags": {**S1["Tags"], "build": ["2"]}}, "Members[].Tags.build", id="a build that is a list"),
        pytest.param({"Tags": {**S1["Tags"], "dc": "x" * 10_000}}, "Members[].Tags.dc", id="a name of 10 kB"),
        pytest.param({"ProtocolCur": "2"}, "Members[].ProtocolCur", id="a protocol in quotes"),
        pytest.param({"DelegateCur": 4.5}, "Members[].DelegateCur", id="a delegate with a fraction"),
    ],
)
def test_a_broken_value_costs_only_itself(part: dict[str, Any], flaw: str) -> None:
    answer = decoded({**S1, **part}, {**S1, "Name": "s2.global"})

    assert [(member.name, member.status) for member in answer.members] == [
        ("s1.global", "alive"),
        ("s2.global", "alive"),
    ]
    assert answer.invalid_fields == (flaw,)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="a number"),
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing in it"),
        pytest.param({**S1, "Name": ""}, id="an empty name"),
        pytest.param({**S1, "Name": None}, id="a null name"),
        pytest.param({**S1, "Name": "x" * 10_000}, id="a name of 10 kB"),
    ],
)
def test_a_member_without_a_name_is_left_out_as_a_flaw(member: Any) -> None:
    answer = decoded(member, S1)

    assert [member.name for member in answer.members] == ["s1.global"]
    assert "Members[]" in answer.invalid_fields


def test_of_two_members_of_one_name_the_first_stands() -> None:
    answer = decoded(S1, {**S1, "Status": "failed"})

    assert [member.status for member in answer.members] == ["alive"]
    assert answer.invalid_fields == ("Members[]",)


def test_tags_that_are_null_are_no_flaw() -> None:
    answer = decoded({**S1, "Tags": None})

    assert [(member.name, member.region) for member in answer.members] == [("s1.global", "")]
    assert answer.invalid_fields == ()


def test_tags_that_a_later_nomad_adds_are_passed_over() -> None:
    answer = decoded({**S1, "Tags": {**S1["Tags"], "colour": {"red": 7}}, "Later": [1, 2]})

    assert answer == decoded(S1)


def test_an_empty_pool_is_an_answer() -> None:
    assert decoded() == Members(())


def test_as_many_members_as_any_pool_has_are_read() -> None:
    answer = decoded(*({**S1, "Name": f"s{number}"} for number in range(decode_members.MEMBERS_LIMIT)))

    assert len(answer.members) == decode_members.MEMBERS_LIMIT


def test_more_members_than_any_pool_has_are_refused_whole() -> None:
    with pytest.raises(TooMany, match="more than 5000 members"):
        decoded(*([S1] * (decode_members.MEMBERS_LIMIT + 1)))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b'{"Members": null}', id="null, as an agent says while it stops"),
        pytest.param(b'{"Members": {"s1": {}}}', id="members by name"),
        pytest.param(b'{"Members": [{"Name": "s1"}', id="an end that is missing"),
        pytest.param(b'{"Members": [' + b"[" * 100_000, id="a deep nest"),
    ],
)
def test_a_body_that_lists_no_members_is_refused(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode_members.decode(body)
