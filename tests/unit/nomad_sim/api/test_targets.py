"""Target agents of requests with ``node_id`` and ``server_id``."""

from __future__ import annotations

import pytest

from nomad_sim.api.forwarding import connection_refused
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending
from nomad_sim.api.targets import find_target, reject_two_targets
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from tests.support.clusters import calm_cluster, followers, leader
from tests.support.sim_requests import api_of_two_regions, status_and_text, with_clients

pytestmark = pytest.mark.slow  # Minutes of simulated time.

STATUS = 418
"""A status for unknown servers that no endpoint uses."""


def target_of(cluster: Cluster, name: str, **parameters: str) -> Agent | ApiResponse | Pending:
    query = {key: [value] for key, value in parameters.items()}
    request = ApiRequest("GET", "/v1/agent/monitor", query, "", cluster.world.now)
    return find_target(cluster.world, cluster.world.agents[name], request, STATUS)


def error(cluster: Cluster, name: str, **parameters: str) -> tuple[int, str]:
    found = target_of(cluster, name, **parameters)
    assert isinstance(found, ApiResponse), found
    return status_and_text(found)


def name_of(found: Agent | ApiResponse | Pending) -> str:
    assert isinstance(found, Agent), found
    return found.name


@pytest.mark.parametrize("name", ["s1.global", "c1"])
@pytest.mark.parametrize("parameter", ["node_id", "server_id"])
def test_default_target_is_the_agent_itself(name: str, parameter: str) -> None:
    cluster = with_clients()

    assert name_of(target_of(cluster, name)) == name
    assert name_of(target_of(cluster, name, **{parameter: ""})) == name


@pytest.mark.parametrize("agent", ["s1.global", "c1", "c2"])
def test_node_id_selects_a_client(agent: str) -> None:
    assert name_of(target_of(with_clients(2), agent, node_id="id-global-c2")) == "c2"


@pytest.mark.parametrize("id", ["c2", "id-global-s1", "nothing"])
def test_unknown_node_id_is_an_error(id: str) -> None:
    assert error(with_clients(2), "s1.global", node_id=id) == (404, f'Unknown node "{id}"')


def test_dead_client_has_no_path() -> None:
    cluster = with_clients()
    cluster.kill("c1")

    assert error(cluster, "s1.global", node_id="id-global-c1") == (500, "No path to node")


@pytest.mark.parametrize("server_id", ["s2.global", "s2", "id-global-s2"])
@pytest.mark.parametrize("agent", ["s1.global", "s2.global", "c1"])
def test_server_id_is_a_member_name_a_name_or_an_id(agent: str, server_id: str) -> None:
    assert name_of(target_of(with_clients(), agent, server_id=server_id)) == "s2.global"


@pytest.mark.parametrize("agent", ["s1.global", "c1"])
def test_server_id_leader_selects_the_leader(agent: str) -> None:
    cluster = with_clients()

    assert name_of(target_of(cluster, agent, server_id="leader")) == leader(cluster)


@pytest.mark.parametrize("server_id", ["c1", "id-global-c1", "nothing", "Leader"])
def test_unknown_server_id_is_an_error(server_id: str) -> None:
    assert error(with_clients(), "s1.global", server_id=server_id) == (STATUS, f"unknown Nomad server {server_id}")


def test_server_of_other_region_is_found_only_there() -> None:
    cluster = api_of_two_regions().cluster

    assert error(cluster, "s1.east", server_id="s1.west") == (STATUS, "unknown Nomad server s1.west")
    assert name_of(target_of(cluster, "s1.east", server_id="s1.west", region="west")) == "s1.west"
    assert name_of(target_of(cluster, "s1.east", server_id="s1", region="west")) == "s1.west"


def test_dead_server_refuses_connection() -> None:
    cluster = calm_cluster()
    follower, dead = followers(cluster)
    cluster.kill(dead)

    assert error(cluster, follower, server_id=dead) == (
        500,
        connection_refused(cluster.world.agents[dead].setup.rpc_address).text,
    )


@pytest.mark.parametrize("server_id", ["s2.global", "leader"])
def test_request_to_paused_server_is_pending(server_id: str) -> None:
    cluster = with_clients()
    for name in cluster.world.running():
        cluster.pause(name)

    assert target_of(cluster, "c1", server_id=server_id) == Pending()
    cluster.resume("s1.global")
    assert target_of(cluster, "s1.global", server_id="s2.global") == Pending()


def test_client_without_servers_finds_no_target() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert error(cluster, "c1", server_id="s1") == (STATUS, "no servers")


def test_two_targets_are_rejected() -> None:
    agent = calm_cluster().world.agents["s1.global"]
    one = ApiRequest("GET", "/v1/agent/monitor", {"node_id": ["a"]}, "", 0.0)
    two = ApiRequest("GET", "/v1/agent/monitor", {"node_id": ["a"], "server_id": ["b"]}, "", 0.0)
    denied = reject_two_targets(agent, two)

    assert reject_two_targets(agent, one) is None
    assert denied
    assert status_and_text(denied) == (400, "Cannot target node and server simultaneously")
