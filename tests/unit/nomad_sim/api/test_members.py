"""Members of the gossip pool, from a server and through a client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_sim.api.members import EMPTY_MEMBER, member, self_member, tags
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.gossip import Member
from nomad_sim.setup import Setup
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, pass_time
from tests.support.sim_requests import api_of_two_regions, body_of, respond, with_clients

MEMBERS = "GET /v1/agent/members"


def names(known: dict[str, Any]) -> list[str]:
    return [one["Name"] for one in known["Members"]]


def statuses(cluster: Cluster, name: str) -> dict[str, str]:
    """Return the gossip status of each member according to a server."""
    known = body_of(respond(NomadApi(cluster), name, MEMBERS))
    return {one["Name"]: one["Status"] for one in known["Members"]}


def test_server_lists_members_and_identifies_itself() -> None:
    known = body_of(respond(NomadApi(calm_cluster()), "s2.global", MEMBERS))

    assert {**known, "Members": []} == {"ServerName": "s2", "ServerRegion": "global", "ServerDC": "dc1", "Members": []}
    assert sorted(names(known)) == ["s1.global", "s2.global", "s3.global"]


def test_member_is_encoded_as_by_nomad() -> None:
    setup = Setup("s1", "an-id", host="::1", serf=4648, bootstrap_expect=3)

    assert member(Member(setup, "alive", 1, 0.0)) == {
        "Name": "s1.global",
        "Addr": "::1",
        "Port": 4648,
        "Tags": tags(setup),
        "Status": "alive",
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    }


def test_members_have_random_order() -> None:
    api = NomadApi(calm_cluster())

    orders = {tuple(names(body_of(respond(api, "s1.global", MEMBERS)))) for _ in range(60)}

    assert len(orders) > 1


def test_dead_server_is_alive_for_long_and_then_failed() -> None:
    cluster = calm_cluster(version=VERSIONS["2.0"])
    cluster.kill("s2.global")

    pass_time(cluster, 30)
    assert statuses(cluster, "s1.global")["s2.global"] == "alive"
    pass_time(cluster, 10)
    assert statuses(cluster, "s1.global")["s2.global"] == "failed"


def test_client_returns_members_of_any_of_its_servers() -> None:
    api = NomadApi(with_clients())

    servers = {body_of(respond(api, "c1", MEMBERS))["ServerName"] for _ in range(60)}

    assert servers == {"s1", "s2", "s3"}


def test_client_request_fails_if_it_picks_dead_server() -> None:
    api = NomadApi(with_clients())
    api.cluster.kill("s2.global")

    statuses = {respond(api, "c1", MEMBERS).status for _ in range(60)}

    assert statuses == {200, 500}


@pytest.mark.parametrize("region", ["west", "nowhere"])
def test_members_ignore_requested_region(region: str) -> None:
    known = body_of(respond(api_of_two_regions(), "s1.east", f"{MEMBERS}?region={region}"))

    assert (known["ServerRegion"], sorted(names(known))) == ("east", ["s1.east", "s1.west"])


ALWAYS = {
    "role": "nomad",
    "region": "west",
    "dc": "dc2",
    "port": "4747",
    "vsn": "1",
    "id": "an-id",
    "rpc_addr": "127.0.1.1",
}


@pytest.mark.parametrize(
    ("series", "more"),
    [
        ("2.0", {"build": "2.0.5", "raft_vsn": "3", "revision": ""}),
        ("1.10", {"build": "1.10.5", "raft_vsn": "3", "revision": ""}),
        ("1.6", {"build": "1.6.10", "raft_vsn": "3", "revision": ""}),
        ("1.2", {"build": "1.2.16", "raft_vsn": "3", "mvn": "1"}),
        ("0.12", {"build": "0.12.12", "raft_vsn": "2", "mvn": "1"}),
    ],
)
def test_tags_depend_on_version(series: str, more: dict[str, str]) -> None:
    setup = Setup("s1", "an-id", "127.0.1.1", rpc=4747, region="west", datacenter="dc2", version=VERSIONS[series])

    assert tags(setup) == {**ALWAYS, **more}


@pytest.mark.parametrize(
    ("setup", "more"),
    [
        pytest.param(Setup("s1", "x"), {}, id="no optional tag"),
        pytest.param(Setup("s1", "x", bootstrap_expect=3), {"expect": "3"}, id="expects three"),
        pytest.param(Setup("s1", "x", bootstrap_expect=1), {"expect": "1", "bootstrap": "1"}, id="expects one"),
        pytest.param(Setup("s1", "x", nonvoter=True), {"nonvoter": "1"}, id="nonvoter"),
    ],
)
def test_optional_tags_are_present_only_if_set(setup: Setup, more: dict[str, str]) -> None:
    plain = tags(replace(setup, bootstrap_expect=0, nonvoter=False))

    assert tags(setup) == {**plain, **more}
    assert not more.keys() & plain.keys()


def test_own_member_of_a_client_is_empty() -> None:
    agents = calm_cluster(clients=1).world.agents

    assert self_member(agents["s1.global"])["Name"] == "s1.global"
    assert self_member(agents["c1"]) == EMPTY_MEMBER
    assert EMPTY_MEMBER == {
        "Name": "",
        "Addr": None,
        "Port": 0,
        "Tags": None,
        "Status": "none",
        "ProtocolMin": 0,
        "ProtocolMax": 0,
        "ProtocolCur": 0,
        "DelegateMin": 0,
        "DelegateMax": 0,
        "DelegateCur": 0,
    }
