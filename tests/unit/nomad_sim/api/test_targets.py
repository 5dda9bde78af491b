"""Which agent is meant by ``node_id`` and ``server_id``."""

from __future__ import annotations

import pytest

from nomad_sim.api.forwarding import connection_refused
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending
from nomad_sim.api.targets import find_target, reject_two_targets
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from tests.support.clusters import calm_cluster, followers, leader
from tests.support.sim_requests import api_of_two_regions, status_and_text, with_clients

STATUS = 418
"""The status for an unknown server, as no endpoint has it."""


def intended(cluster: Cluster, name: str, **parameters: str) -> Agent | ApiResponse | Pending:
    asked = {key: [value] for key, value in parameters.items()}
    question = ApiRequest("GET", "/v1/agent/monitor", asked, "", cluster.world.now)
    return find_target(cluster.world, cluster.world.agents[name], question, STATUS)


def error(cluster: Cluster, name: str, **parameters: str) -> tuple[int, str]:
    found = intended(cluster, name, **parameters)
    assert isinstance(found, ApiResponse), found
    return status_and_text(found)


def name_of(found: Agent | ApiResponse | Pending) -> str:
    assert isinstance(found, Agent), found
    return found.name


@pytest.mark.parametrize("name", ["s1.global", "c1"])
@pytest.mark.parametrize("word", ["node_id", "server_id"])
def test_without_a_word_it_is_the_agent_that_was_asked(name: str, word: str) -> None:
    cluster = with_clients()

    assert name_of(intended(cluster, name)) == name
    assert name_of(intended(cluster, name, **{word: ""})) == name


@pytest.mark.parametrize("asked", ["s1.global", "c1", "c2"])
def test_a_node_is_a_client_by_its_id(asked: str) -> None:
    assert name_of(intended(with_clients(2), asked, node_id="id-global-c2")) == "c2"


@pytest.mark.parametrize("id", ["c2", "id-global-s1", "nothing"])
def test_what_is_no_id_of_a_client_is_an_unknown_node(id: str) -> None:
    assert error(with_clients(2), "s1.global", node_id=id) == (404, f'Unknown node "{id}"')


def test_there_is_no_path_to_a_node_that_died() -> None:
    cluster = with_clients()
    cluster.kill("c1")

    assert error(cluster, "s1.global", node_id="id-global-c1") == (500, "No path to node")


@pytest.mark.parametrize("word", ["s2.global", "s2", "id-global-s2"])
@pytest.mark.parametrize("asked", ["s1.global", "s2.global", "c1"])
def test_a_server_is_named_by_its_member_its_name_or_its_id(asked: str, word: str) -> None:
    assert name_of(intended(with_clients(), asked, server_id=word)) == "s2.global"


@pytest.mark.parametrize("asked", ["s1.global", "c1"])
def test_the_leader_has_a_name_too(asked: str) -> None:
    cluster = with_clients()

    assert name_of(intended(cluster, asked, server_id="leader")) == leader(cluster)


@pytest.mark.parametrize("word", ["c1", "id-global-c1", "nothing", "Leader"])
def test_what_names_no_server_is_unknown(word: str) -> None:
    assert error(with_clients(), "s1.global", server_id=word) == (STATUS, f"unknown Nomad server {word}")


def test_a_server_of_another_region_is_found_only_there() -> None:
    cluster = api_of_two_regions().cluster

    assert error(cluster, "s1.east", server_id="s1.west") == (STATUS, "unknown Nomad server s1.west")
    assert name_of(intended(cluster, "s1.east", server_id="s1.west", region="west")) == "s1.west"
    assert name_of(intended(cluster, "s1.east", server_id="s1", region="west")) == "s1.west"


def test_a_server_that_died_refuses() -> None:
    cluster = calm_cluster()
    asked, dead = followers(cluster)
    cluster.kill(dead)

    assert error(cluster, asked, server_id=dead) == (
        500,
        connection_refused(cluster.world.agents[dead].setup.rpc_address).text,
    )


@pytest.mark.parametrize("word", ["s2.global", "leader"])
def test_a_server_that_is_frozen_is_waited_for(word: str) -> None:
    cluster = with_clients()
    for name in cluster.world.running():
        cluster.pause(name)

    assert intended(cluster, "c1", server_id=word) == Pending()
    cluster.resume("s1.global")
    assert intended(cluster, "s1.global", server_id="s2.global") == Pending()


def test_a_client_that_knows_no_server_finds_none() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert error(cluster, "c1", server_id="s1") == (STATUS, "no servers")


def test_two_at_once_are_too_many() -> None:
    agent = calm_cluster().world.agents["s1.global"]
    one = ApiRequest("GET", "/v1/agent/monitor", {"node_id": ["a"]}, "", 0.0)
    two = ApiRequest("GET", "/v1/agent/monitor", {"node_id": ["a"], "server_id": ["b"]}, "", 0.0)
    refusal = reject_two_targets(agent, two)

    assert reject_two_targets(agent, one) is None
    assert refusal
    assert status_and_text(refusal) == (400, "Cannot target node and server simultaneously")
