"""Forwarding: the server that handles a request, and the errors if no server can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.api.forwarding import RpcError, connection_refused, route_to_leader, route_to_server
from nomad_sim.api.http import ApiRequest, Pending
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.raft import LEADER
from nomad_sim.versions import NEWEST, VERSIONS, Version
from tests.support.clusters import (
    calm_cluster,
    client_of,
    followers,
    leader,
    new_cluster,
    pass_time,
    raft_of,
    time_until,
)
from tests.support.sim_requests import api_of_two_regions, is_pending, respond, status_and_text, with_clients

MEMBERS = "GET /v1/agent/members"


def route_any(cluster: Cluster, name: str, since: float | None = None, region: str = "") -> Agent | RpcError | Pending:
    """Route a request that any server can handle."""
    return route_to_server(cluster.world, cluster.world.agents[name], _request(cluster, since, region))


def route_leader(
    cluster: Cluster, name: str, since: float | None = None, region: str = ""
) -> Agent | RpcError | Pending:
    """Route a request that the leader must handle."""
    return route_to_leader(cluster.world, cluster.world.agents[name], _request(cluster, since, region))


def _request(cluster: Cluster, since: float | None, region: str) -> ApiRequest:
    started = cluster.world.now if since is None else since
    return ApiRequest("GET", "/v1/status/leader", {"region": [region]}, "", started, cluster.world.rng.random())


def name_of(found: Agent | RpcError | Pending) -> str:
    assert isinstance(found, Agent), found
    return found.name


def kill_all(cluster: Cluster) -> None:
    for name in cluster.world.running():
        cluster.kill(name)


def test_server_handles_request_itself() -> None:
    assert name_of(route_any(calm_cluster(), "s2.global")) == "s2.global"


def test_client_forwards_to_any_of_its_servers() -> None:
    cluster = with_clients()

    targets = {name_of(route_any(cluster, "c1")) for _ in range(60)}

    assert targets == {"s1.global", "s2.global", "s3.global"}


@pytest.mark.parametrize("series", ["2.0", "1.10", "1.6"])
def test_unregistered_client_holds_request(series: str) -> None:
    api = NomadApi(new_cluster(servers=1, clients=1, version=VERSIONS[series]))
    api.cluster.kill("s1.global")

    assert is_pending(api, "c1", MEMBERS, seconds=300)


@pytest.mark.parametrize("series", ["1.2", "0.12"])
def test_older_client_forwards_before_registration(series: str) -> None:
    api = NomadApi(new_cluster(servers=1, clients=1, version=VERSIONS[series]))
    api.cluster.kill("s1.global")

    reply = respond(api, "c1", MEMBERS)

    assert status_and_text(reply) == (
        500,
        "rpc error: failed to get conn: dial tcp 127.0.1.1:4647: connect: connection refused",
    )


def test_registration_of_client_ends_hold() -> None:
    cluster = new_cluster(clients=1)

    assert route_any(cluster, "c1") == Pending()
    pass_time(cluster, 30)
    assert isinstance(route_any(cluster, "c1"), Agent)


@pytest.mark.parametrize(
    ("version", "outcome"), [(VERSIONS["1.2"], RpcError("no servers")), (NEWEST, Pending())], ids=["1.2", "2.0"]
)
def test_client_without_servers_reports_it_or_waits(version: Version, outcome: RpcError | Pending) -> None:
    cluster = new_cluster(clients=1, version=version)
    cluster.set_servers("c1", ())

    assert route_any(cluster, "c1") == outcome


def test_registered_client_without_servers_reports_it() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert route_any(cluster, "c1") == RpcError("no servers")


def test_dead_server_refuses_client() -> None:
    cluster = with_clients()
    kill_all(cluster)

    assert route_any(cluster, "c1") in [connection_refused(address) for address in client_of(cluster, "c1").servers]


def test_unused_address_refuses_client() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ("127.0.1.77:4647",))

    assert route_any(cluster, "c1") == connection_refused("127.0.1.77:4647")


def test_client_of_paused_servers_holds_request() -> None:
    api = NomadApi(with_clients())
    for name in api.cluster.world.running():
        api.cluster.pause(name)

    assert is_pending(api, "c1", MEMBERS, seconds=300)


def test_held_request_stays_with_its_server() -> None:
    api = NomadApi(with_clients())
    api.cluster.pause("s1.global")
    for name in ("s2.global", "s3.global"):
        api.cluster.kill(name)

    assert {is_pending(api, "c1", MEMBERS, seconds=60) for _ in range(20)} == {True, False}


def test_request_for_own_region_is_not_forwarded() -> None:
    assert name_of(route_any(calm_cluster(), "s2.global", region="global")) == "s2.global"


def test_request_for_other_region_is_forwarded_there() -> None:
    cluster = api_of_two_regions().cluster

    assert name_of(route_any(cluster, "s1.east", region="west")) == "s1.west"
    assert name_of(route_leader(cluster, "s1.east", region="west")) == "s1.west"


def test_unknown_region_has_no_path() -> None:
    assert route_any(calm_cluster(), "s1.global", region="nowhere") == RpcError("No path to region")


def test_region_of_failed_servers_has_no_path() -> None:
    cluster = api_of_two_regions().cluster
    cluster.kill("s1.west")

    assert route_any(cluster, "s1.east", region="west") == connection_refused("127.0.2.1:4647")
    pass_time(cluster, 40)
    assert route_any(cluster, "s1.east", region="west") == RpcError("No path to region")


def test_dial_to_partitioned_region_times_out_after_10_s() -> None:
    cluster = api_of_two_regions().cluster
    cluster.partition("s1.east", ["s1.west"])
    started = cluster.world.now

    assert route_any(cluster, "s1.east", started, "west") == Pending()
    pass_time(cluster, 9.9)
    assert route_any(cluster, "s1.east", started, "west") == Pending()
    pass_time(cluster, 0.2)
    assert route_any(cluster, "s1.east", started, "west") == RpcError(
        "rpc error: failed to get conn: dial tcp 127.0.2.1:4647: i/o timeout"
    )


def test_every_agent_forwards_to_the_leader() -> None:
    cluster = with_clients()

    targets = {name_of(route_leader(cluster, name)) for name in ("s1.global", "s2.global", "s3.global", "c1")}

    assert targets == {leader(cluster)}


def without_majority() -> Cluster:
    """Return a cluster of three servers, two of them dead, whose third knows that it has no leader."""
    cluster = with_clients()
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    time_until(cluster, lambda: raft_of(cluster, cluster.world.running()[0]).leader is None)
    return cluster


def test_request_without_leader_is_held_for_5_seconds() -> None:
    cluster = without_majority()
    (name,) = cluster.world.running()
    started = cluster.world.now

    assert route_leader(cluster, name) == Pending()
    pass_time(cluster, 4.9)
    assert route_leader(cluster, name, started) == Pending()
    pass_time(cluster, 0.2)
    assert route_leader(cluster, name, started) == RpcError("No cluster leader")


def test_client_reports_missing_leader_as_rpc_error() -> None:
    cluster = without_majority()
    (name,) = cluster.world.running()
    cluster.set_servers("c1", (cluster.world.agents[name].setup.rpc_address,))

    assert route_leader(cluster, "c1", cluster.world.now - 6) == RpcError("rpc error: No cluster leader")


def test_client_without_servers_cannot_reach_leader() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert route_leader(cluster, "c1") == RpcError("no servers")


def test_leader_that_just_died_refuses_connection() -> None:
    cluster = calm_cluster()
    dead, follower = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)

    assert route_leader(cluster, follower) == connection_refused(cluster.world.agents[dead].setup.rpc_address)


def test_dial_to_paused_leader_times_out() -> None:
    cluster = calm_cluster()
    paused, follower = leader(cluster), followers(cluster)[0]
    cluster.pause(paused)
    address = cluster.world.agents[paused].setup.rpc_address

    assert route_leader(cluster, follower) == Pending()
    assert route_leader(cluster, follower, cluster.world.now - 10) == RpcError(
        f"rpc error: failed to get conn: dial tcp {address}: i/o timeout"
    )


def test_leader_without_commit_in_its_term_is_not_ready() -> None:
    cluster = new_cluster()
    names = list(cluster.world.agents)

    def elected() -> list[str]:
        return [name for name in names if raft_of(cluster, name).state == LEADER]

    time_until(cluster, elected)
    (name,) = elected()

    assert not raft_of(cluster, name).is_ready
    assert route_leader(cluster, name) == Pending()
    assert route_leader(cluster, name, cluster.world.now - 6) == RpcError("Not ready to serve consistent reads")


def test_other_region_may_have_no_leader() -> None:
    cluster = api_of_two_regions().cluster
    world = cluster.world
    west = world.server("s1.west")
    world.put_server("s1.west", replace(west, raft=replace(west.raft, leader=None)))

    assert route_leader(cluster, "s1.east", world.now - 6, "west") == RpcError("No cluster leader")
