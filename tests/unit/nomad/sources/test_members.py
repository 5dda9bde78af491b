"""``members``: the servers sorted by name; an invalid member loses only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import Member, Members
from nomad_exporter.nomad.sources import MEMBERS, Reply
from nomad_exporter.nomad.sources.members import LISTED_LIMIT, MEMBERS_LIMIT, REGIONS_LIMIT
from tests.support.answers import recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (answer := s.answers.get(MEMBERS.path)) and answer.status == 200]

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


def decode(body: bytes) -> Members:
    return MEMBERS.decode(Reply(200, body))


def decoded(*members: Any) -> Members:
    return decode(json.dumps({"Members": members}).encode())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_have_no_invalid_fields(name: str) -> None:
    body = recorded(name, MEMBERS.path).body
    answer = decode(body)

    assert {member.name for member in answer.members} == {item["Name"] for item in json.loads(body)["Members"]}
    assert answer.invalid_fields == ()


def test_member_is_decoded_with_all_fields() -> None:
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


def test_members_are_sorted_by_name() -> None:
    answer = decoded(*({**S1, "Name": name} for name in ("s2.global", "s10.global", "s1.global")))

    assert [member.name for member in answer.members] == ["s1.global", "s10.global", "s2.global"]


def test_servers_of_other_regions_are_members() -> None:
    answer = decode(recorded("2.0.5/two-regions/east-s1", MEMBERS.path).body)

    assert {member.region for member in answer.members} == {"east", "west"}


def test_member_without_newer_tags_is_decoded() -> None:
    (member,) = decode(recorded("0.5.5-documented/single/bacon-mac", MEMBERS.path).body).members

    assert (member.id, member.raft_version, member.expect) == ("", "", "")
    assert member.build == "0.5.5dev"


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        pytest.param("10.0.0.1", "4647", "10.0.0.1:4647", id="IPv4"),
        pytest.param("2001:db8::1", "4647", "[2001:db8::1]:4647", id="IPv6 in brackets, as in raft"),
        pytest.param("", "4647", "", id="no host"),
        pytest.param("10.0.0.1", "", "", id="no port"),
        pytest.param(None, "4647", "", id="null host"),
    ],
)
def test_address_of_member_has_rpc_port(host: str | None, port: str, address: str) -> None:
    (member,) = decoded({**S1, "Addr": host, "Tags": {"port": port}}).members

    assert member.address == address


@pytest.mark.parametrize("status", ["alive", "leaving", "left", "failed"])
def test_gossip_status_is_decoded(status: str) -> None:
    (member,) = decoded({**S1, "Status": status}).members

    assert member.status == status


@pytest.mark.parametrize("status", ["none", "", "Alive", 7, None, ["alive"]], ids=repr)
def test_unknown_status_is_invalid_but_keeps_member(status: Any) -> None:
    answer = decoded({**S1, "Status": status})

    assert [member.status for member in answer.members] == [""]
    assert "Members[].Status" in answer.invalid_fields


@pytest.mark.parametrize(
    ("fields", "invalid"),
    [
        pytest.param({"Addr": 7}, "Members[].Addr", id="address is a number"),
        pytest.param({"Tags": "none"}, "Members[].Tags", id="tags are a text"),
        pytest.param({"Tags": {**S1["Tags"], "id": 7}}, "Members[].Tags.id", id="id is a number"),
        pytest.param({"Tags": {**S1["Tags"], "build": ["2"]}}, "Members[].Tags.build", id="build is a list"),
        pytest.param({"Tags": {**S1["Tags"], "dc": "x" * 10_000}}, "Members[].Tags.dc", id="datacenter of 10 kB"),
        pytest.param({"ProtocolCur": "2"}, "Members[].ProtocolCur", id="protocol is a text"),
        pytest.param({"DelegateCur": 4.5}, "Members[].DelegateCur", id="delegate is a fraction"),
    ],
)
def test_invalid_field_loses_only_its_value(fields: dict[str, Any], invalid: str) -> None:
    answer = decoded({**S1, **fields}, {**S1, "Name": "s2.global"})

    assert [(member.name, member.status) for member in answer.members] == [
        ("s1.global", "alive"),
        ("s2.global", "alive"),
    ]
    assert answer.invalid_fields == (invalid,)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="number"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty object"),
        pytest.param({**S1, "Name": ""}, id="empty name"),
        pytest.param({**S1, "Name": None}, id="null name"),
        pytest.param({**S1, "Name": "x" * 10_000}, id="name of 10 kB"),
    ],
)
def test_member_without_name_is_skipped(member: Any) -> None:
    answer = decoded(member, S1)

    assert [member.name for member in answer.members] == ["s1.global"]
    assert "Members[]" in answer.invalid_fields


def test_first_member_of_same_name_wins() -> None:
    answer = decoded(S1, {**S1, "Status": "failed"})

    assert [member.status for member in answer.members] == ["alive"]
    assert answer.invalid_fields == ("Members[]",)


def test_null_tags_are_valid() -> None:
    answer = decoded({**S1, "Tags": None})

    assert [(member.name, member.region) for member in answer.members] == [("s1.global", "")]
    assert answer.invalid_fields == ()


def test_unknown_tags_are_ignored() -> None:
    answer = decoded({**S1, "Tags": {**S1["Tags"], "colour": {"red": 7}}, "Later": [1, 2]})

    assert answer == decoded(S1)


def test_empty_member_list_is_decoded() -> None:
    assert decoded() == Members(())


def test_members_up_to_limit_are_decoded() -> None:
    answer = decoded(*({**S1, "Name": f"s{number}"} for number in range(MEMBERS_LIMIT)))

    assert len(answer.members) == MEMBERS_LIMIT
    assert answer.omitted == {}


def test_alive_members_precede_others_within_the_limit() -> None:
    others = [{**S1, "Name": f"a{number:03}", "Status": "failed"} for number in range(9)]
    alive = [{**S1, "Name": f"s{number:03}"} for number in range(MEMBERS_LIMIT - 5)]
    answer = decoded(*others, *alive)

    assert [member.name for member in answer.members[:6]] == ["a000", "a001", "a002", "a003", "a004", "s000"]
    assert len(answer.members) == MEMBERS_LIMIT
    assert answer.omitted == {"members": 4}


def test_regions_beyond_limit_are_counted() -> None:
    answer = decoded(*({**S1, "Name": f"s{n}", "Tags": {"region": f"r{n}"}} for n in range(REGIONS_LIMIT + 2)))

    assert len(answer.members) == REGIONS_LIMIT + 2
    assert answer.omitted == {"regions": 2}


def test_longer_list_of_members_is_rejected() -> None:
    assert len(decoded(*([S1] * LISTED_LIMIT)).members) == 1

    with pytest.raises(TooMany, match="more than 2000 members"):
        decoded(*([S1] * (LISTED_LIMIT + 1)))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b'{"Members": null}', id="null, as from an agent that is stopping"),
        pytest.param(b'{"Members": {"s1": {}}}', id="members are an object"),
        pytest.param(b'{"Members": [{"Name": "s1"}', id="truncated"),
        pytest.param(b'{"Members": [' + b"[" * 100_000, id="deeply nested"),
    ],
)
def test_body_without_member_list_is_rejected(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode(body)
