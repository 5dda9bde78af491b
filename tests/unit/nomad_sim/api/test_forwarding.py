"""Whom an agent asks on behalf of a question, and what it hears where nobody answers."""

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


def served(cluster: Cluster, name: str, since: float | None = None, region: str = "") -> Agent | RpcError | Pending:
    """Whom the agent asks that needs a server."""
    return route_to_server(cluster.world, cluster.world.agents[name], _request(cluster, since, region))


def led(cluster: Cluster, name: str, since: float | None = None, region: str = "") -> Agent | RpcError | Pending:
    """Whom the agent asks that needs a leader."""
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


def test_a_server_asks_itself() -> None:
    assert name_of(served(calm_cluster(), "s2.global")) == "s2.global"


def test_a_client_asks_any_of_its_servers() -> None:
    cluster = with_clients()

    target = {name_of(served(cluster, "c1")) for _ in range(60)}

    assert target == {"s1.global", "s2.global", "s3.global"}


@pytest.mark.parametrize("series", ["2.0", "1.10", "1.6"])
def test_a_client_that_never_registered_lets_a_question_hang(series: str) -> None:
    api = NomadApi(new_cluster(servers=1, clients=1, version=VERSIONS[series]))
    api.cluster.kill("s1.global")

    assert is_pending(api, "c1", MEMBERS, seconds=300)


@pytest.mark.parametrize("series", ["1.2", "0.12"])
def test_an_older_client_asks_before_it_has_registered(series: str) -> None:
    api = NomadApi(new_cluster(servers=1, clients=1, version=VERSIONS[series]))
    api.cluster.kill("s1.global")

    reply = respond(api, "c1", MEMBERS)

    assert status_and_text(reply) == (
        500,
        "rpc error: failed to get conn: dial tcp 127.0.1.1:4647: connect: connection refused",
    )


def test_a_held_question_is_answered_once_the_client_has_registered() -> None:
    cluster = new_cluster(clients=1)

    assert served(cluster, "c1") == Pending()
    pass_time(cluster, 30)
    assert isinstance(served(cluster, "c1"), Agent)


@pytest.mark.parametrize(
    ("version", "outcome"), [(VERSIONS["1.2"], RpcError("no servers")), (NEWEST, Pending())], ids=["1.2", "2.0"]
)
def test_a_client_without_servers_says_so_or_waits_to_be_registered(
    version: Version, outcome: RpcError | Pending
) -> None:
    cluster = new_cluster(clients=1, version=version)
    cluster.set_servers("c1", ())

    assert served(cluster, "c1") == outcome


def test_a_client_that_has_registered_and_was_told_no_servers_says_so() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert served(cluster, "c1") == RpcError("no servers")


def test_a_server_that_was_killed_refuses_a_client() -> None:
    cluster = with_clients()
    kill_all(cluster)

    assert served(cluster, "c1") in [connection_refused(address) for address in client_of(cluster, "c1").servers]


def test_nobody_at_an_address_is_as_a_server_that_was_killed() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ("127.0.1.77:4647",))

    assert served(cluster, "c1") == connection_refused("127.0.1.77:4647")


def test_a_client_whose_servers_are_frozen_lets_a_question_hang() -> None:
    api = NomadApi(with_clients())
    for name in api.cluster.world.running():
        api.cluster.pause(name)

    assert is_pending(api, "c1", MEMBERS, seconds=300)


def test_a_question_that_hangs_on_one_server_does_not_go_to_another() -> None:
    api = NomadApi(with_clients())
    api.cluster.pause("s1.global")
    for name in ("s2.global", "s3.global"):
        api.cluster.kill(name)

    assert {is_pending(api, "c1", MEMBERS, seconds=60) for _ in range(20)} == {True, False}


def test_a_question_about_its_own_region_stays_with_the_server() -> None:
    assert name_of(served(calm_cluster(), "s2.global", region="global")) == "s2.global"


def test_a_question_about_another_region_goes_to_a_server_there() -> None:
    cluster = api_of_two_regions().cluster

    assert name_of(served(cluster, "s1.east", region="west")) == "s1.west"
    assert name_of(led(cluster, "s1.east", region="west")) == "s1.west"


def test_there_is_no_path_to_a_region_that_nobody_knows() -> None:
    assert served(calm_cluster(), "s1.global", region="nowhere") == RpcError("No path to region")


def test_there_is_no_path_to_a_region_whose_servers_have_failed() -> None:
    cluster = api_of_two_regions().cluster
    cluster.kill("s1.west")

    assert served(cluster, "s1.east", region="west") == connection_refused("127.0.2.1:4647")
    pass_time(cluster, 40)
    assert served(cluster, "s1.east", region="west") == RpcError("No path to region")


def test_a_region_behind_a_cut_is_dialled_for_ten_seconds() -> None:
    cluster = api_of_two_regions().cluster
    cluster.partition("s1.east", ["s1.west"])
    started = cluster.world.now

    assert served(cluster, "s1.east", started, "west") == Pending()
    pass_time(cluster, 9.9)
    assert served(cluster, "s1.east", started, "west") == Pending()
    pass_time(cluster, 0.2)
    assert served(cluster, "s1.east", started, "west") == RpcError(
        "rpc error: failed to get conn: dial tcp 127.0.2.1:4647: i/o timeout"
    )


def test_a_follower_takes_a_question_to_its_leader() -> None:
    cluster = with_clients()

    found = {name_of(led(cluster, name)) for name in ("s1.global", "s2.global", "s3.global", "c1")}

    assert found == {leader(cluster)}


def without_majority() -> Cluster:
    """Two servers of three are gone, and the third has noticed that it has no leader."""
    cluster = with_clients()
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    time_until(cluster, lambda: raft_of(cluster, cluster.world.running()[0]).leader is None)
    return cluster


def test_without_a_leader_a_question_is_held_for_five_seconds() -> None:
    cluster = without_majority()
    (name,) = cluster.world.running()
    started = cluster.world.now

    assert led(cluster, name) == Pending()
    pass_time(cluster, 4.9)
    assert led(cluster, name, started) == Pending()
    pass_time(cluster, 0.2)
    assert led(cluster, name, started) == RpcError("No cluster leader")


def test_what_a_client_hears_of_it_it_hears_through_a_server() -> None:
    cluster = without_majority()
    (name,) = cluster.world.running()
    cluster.set_servers("c1", (cluster.world.agents[name].setup.rpc_address,))

    assert led(cluster, "c1", cluster.world.now - 6) == RpcError("rpc error: No cluster leader")


def test_who_cannot_ask_a_server_cannot_ask_a_leader() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert led(cluster, "c1") == RpcError("no servers")


def test_a_leader_that_was_killed_a_moment_ago_is_dialled_in_vain() -> None:
    cluster = calm_cluster()
    dead, asker = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)

    assert led(cluster, asker) == connection_refused(cluster.world.agents[dead].setup.rpc_address)


def test_a_frozen_leader_is_waited_for() -> None:
    cluster = calm_cluster()
    paused, asker = leader(cluster), followers(cluster)[0]
    cluster.pause(paused)
    address = cluster.world.agents[paused].setup.rpc_address

    assert led(cluster, asker) == Pending()
    assert led(cluster, asker, cluster.world.now - 10) == RpcError(
        f"rpc error: failed to get conn: dial tcp {address}: i/o timeout"
    )


def test_a_leader_that_has_committed_nothing_in_its_term_is_not_ready() -> None:
    cluster = new_cluster()
    begins = list(cluster.world.agents)

    def won() -> list[str]:
        return [name for name in begins if raft_of(cluster, name).state == LEADER]

    time_until(cluster, won)
    (name,) = won()

    assert not raft_of(cluster, name).is_ready
    assert led(cluster, name) == Pending()
    assert led(cluster, name, cluster.world.now - 6) == RpcError("Not ready to serve consistent reads")


def test_the_leader_of_another_region_may_be_unknown_there_too() -> None:
    cluster = api_of_two_regions().cluster
    world = cluster.world
    west = world.server("s1.west")
    world.put_server("s1.west", replace(west, raft=replace(west.raft, leader=None)))

    assert led(cluster, "s1.east", world.now - 6, "west") == RpcError("No cluster leader")
