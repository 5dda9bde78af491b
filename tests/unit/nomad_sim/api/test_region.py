"""What the servers of a region say together: leader, peers, clients, and autopilot's opinion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    cluster_with_unencrypted_follower,
    followers,
    leader,
    pass_time,
    raft_of,
    server_setups,
    status,
    time_until,
)
from tests.support.sim_requests import (
    api_of_two_regions,
    body_of,
    respond,
    status_and_text,
    wait_for_response,
    with_clients,
)

LEADER, PEERS, NODES = "GET /v1/status/leader", "GET /v1/status/peers", "GET /v1/nodes"
AUTOPILOT = "GET /v1/operator/autopilot/health"


def without_majority(cluster: Cluster) -> str:
    """Kills two of three servers; gives the third once it has no leader."""
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (left,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, left).leader is None)
    return left


def autopilot(cluster: Cluster) -> tuple[int, dict[str, Any]]:
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    return reply.status, body_of(reply)


def server(cluster: Cluster, name: str) -> dict[str, Any]:
    """What autopilot says of one server."""
    servers = {one["ID"]: one for one in autopilot(cluster)[1]["Servers"]}
    found: dict[str, Any] = servers[cluster.world.agents[name].setup.raft_id]
    return found


@pytest.mark.parametrize("target", ["s1.global", "s2.global", "s3.global", "c1"])
def test_every_agent_names_the_leader(target: str) -> None:
    cluster = with_clients()

    assert (
        body_of(respond(NomadApi(cluster), target, LEADER)) == cluster.world.agents[leader(cluster)].setup.rpc_address
    )


@pytest.mark.parametrize("line", [LEADER, PEERS, NODES, AUTOPILOT])
def test_without_a_leader_a_question_about_the_region_is_held_and_fails(line: str) -> None:
    cluster = calm_cluster()

    reply, seconds = wait_for_response(NomadApi(cluster), without_majority(cluster), line)

    assert status_and_text(reply) == (500, "No cluster leader")
    assert seconds >= 5


def test_a_question_that_is_not_to_be_stale_waits_for_a_leader() -> None:
    cluster = calm_cluster()

    reply, seconds = wait_for_response(NomadApi(cluster), without_majority(cluster), f"{LEADER}?stale=false")

    assert status_and_text(reply) == (500, "No cluster leader")
    assert seconds >= 5


def test_a_stale_question_is_answered_without_a_leader() -> None:
    cluster = calm_cluster()
    left = without_majority(cluster)
    api = NomadApi(cluster)

    assert body_of(respond(api, left, f"{LEADER}?stale")) == ""
    assert len(body_of(respond(api, left, f"{PEERS}?stale"))) == 3
    assert respond(api, left, f"{NODES}?stale").headers["X-Nomad-Knownleader"] == "false"


def test_peers_are_all_servers_by_address() -> None:
    assert sorted(body_of(respond(NomadApi(calm_cluster()), "s2.global", PEERS))) == [
        "127.0.1.1:4647",
        "127.0.1.2:4647",
        "127.0.1.3:4647",
    ]


def test_another_region_answers_for_itself() -> None:
    api = api_of_two_regions()

    assert body_of(respond(api, "s1.east", f"{LEADER}?region=west")) == "127.0.2.1:4647"
    assert body_of(respond(api, "s1.east", f"{PEERS}?region=west")) == ["127.0.2.1:4647"]
    assert status_and_text(respond(api, "s1.east", f"{LEADER}?region=nowhere")) == (500, "No path to region")


def test_nodes_are_the_clients_by_id() -> None:
    cluster = with_clients(2)
    reply = respond(NomadApi(cluster), "s1.global", NODES)
    nodes = body_of(reply)

    assert [(node["ID"], node["Name"], node["Status"]) for node in nodes] == [
        ("id-global-c1", "c1", "ready"),
        ("id-global-c2", "c2", "ready"),
    ]
    assert reply.headers == {
        "X-Nomad-Index": str(max(node["ModifyIndex"] for node in nodes)),
        "X-Nomad-Knownleader": "true",
        "X-Nomad-Lastcontact": "0",
    }


@pytest.mark.parametrize("series", VERSIONS)
def test_a_node_is_as_its_version_lists_it(series: str) -> None:
    (node,) = body_of(respond(NomadApi(with_clients(version=VERSIONS[series])), "s1.global", NODES))
    pool = {"NodePool": "default"} if series in ("2.0", "1.10", "1.6") else {}

    assert 0 < node.pop("CreateIndex") <= node.pop("ModifyIndex")
    assert node == {
        "Address": "127.0.1.101",
        "ID": "id-global-c1",
        "Datacenter": "dc1",
        "Name": "c1",
        "NodeClass": "",
        "Version": VERSIONS[series].build,
        "Drain": False,
        "SchedulingEligibility": "eligible",
        "Status": "ready",
        "StatusDescription": "",
        "Drivers": {"raw_exec": {"Attributes": {"driver.raw_exec": "true"}, "Detected": True, "Healthy": True}},
        "HostVolumes": None,
        "LastDrain": None,
        **pool,
    }


def test_a_region_without_clients_has_an_index_still() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", NODES)

    assert (body_of(reply), reply.headers["X-Nomad-Index"]) == ([], "1")


def test_a_client_that_died_is_down_when_its_time_to_live_is_over() -> None:
    cluster = with_clients()
    cluster.kill("c1")
    pass_time(cluster, 60)
    (node,) = body_of(respond(NomadApi(cluster), "s1.global", NODES))

    assert (node["Status"], node["StatusDescription"]) == ("down", "node TTL expired")
    assert node["Drivers"]["raw_exec"]["Healthy"] is False


@pytest.mark.parametrize("line", [PEERS, NODES])
def test_what_cannot_be_asked_is_an_error(line: str) -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert status_and_text(respond(NomadApi(cluster), "c1", line)) == (500, "no servers")


def test_a_region_of_three_that_is_well_can_lose_one() -> None:
    cluster = calm_cluster()
    status, health = autopilot(cluster)
    ids = {"id-global-s1", "id-global-s2", "id-global-s3"}

    assert (status, health["Healthy"], health["FailureTolerance"]) == (200, True, 1)
    assert health["Leader"] == cluster.world.agents[leader(cluster)].setup.id
    assert set(health["Voters"]) == {one["ID"] for one in health["Servers"]} == ids


@pytest.mark.parametrize(("servers", "tolerance"), [(1, 0), (2, 0), (3, 1), (5, 2)])
def test_a_region_can_lose_the_smaller_half(servers: int, tolerance: int) -> None:
    assert autopilot(calm_cluster(servers))[1]["FailureTolerance"] == tolerance


def test_of_the_leader_autopilot_needs_no_contact() -> None:
    cluster = calm_cluster()
    of_leader, of_other = (server(cluster, name) for name in (leader(cluster), followers(cluster)[0]))

    assert of_leader["Address"] == cluster.world.agents[leader(cluster)].setup.rpc_address
    assert (of_leader["Leader"], of_leader["LastContact"]) == (True, "0s")
    assert of_other["Leader"] is False
    assert of_other["LastContact"].endswith("ms")
    assert of_leader["LastIndex"] == of_other["LastIndex"] == raft_of(cluster, leader(cluster)).log.last
    assert of_leader["LastTerm"] == of_other["LastTerm"] == raft_of(cluster, leader(cluster)).term


def test_a_server_is_stable_since_it_has_been_well() -> None:
    cluster = calm_cluster()

    assert server(cluster, leader(cluster))["StableSince"].startswith("1970-01-01T00:00:0")


def test_an_old_region_that_is_ill_says_what_it_sends() -> None:
    cluster = calm_cluster(version=VERSIONS["1.2"])
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)

    assert (reply.status, reply.content_type) == (429, "application/json")


def test_a_region_calls_itself_well_until_gossip_notices_a_death() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    pass_time(cluster, 22)
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    of_dead = server(cluster, dead)

    assert (reply.status, body_of(reply)["FailureTolerance"]) == (200, 1)
    assert (of_dead["Healthy"], of_dead["SerfStatus"], of_dead["LastContact"]) == (True, "alive", "200ms")


def test_too_many_requests_is_how_a_region_says_that_it_is_ill() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    pass_time(cluster, 1)
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    of_dead = server(cluster, dead)

    assert (reply.status, reply.content_type) == (429, None)
    assert (body_of(reply)["Healthy"], body_of(reply)["FailureTolerance"]) == (False, 0)
    assert (of_dead["Healthy"], of_dead["SerfStatus"], of_dead["LastContact"]) == (False, "failed", "-1ns")
    assert of_dead["StableSince"] == "0001-01-01T00:00:00Z"


def test_a_server_that_gossip_has_forgotten_has_no_name() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    cluster.force_leave(leader(cluster), dead, prune=True)
    of_dead = server(cluster, dead)

    assert (of_dead["Name"], of_dead["SerfStatus"], of_dead["Version"]) == ("(unknown)", "none", "")


def test_a_new_server_has_no_vote_yet() -> None:
    cluster = calm_cluster(servers=1)
    new = replace(server_setups(2)[1], bootstrap_expect=0)
    cluster.add(new)
    time_until(cluster, lambda: len(autopilot(cluster)[1]["Servers"]) == 2)
    pass_time(cluster, 1)
    health = autopilot(cluster)[1]

    assert [one["Voter"] for one in health["Servers"]] == [True, False]
    assert (health["Voters"], health["FailureTolerance"]) == (["id-global-s1"], 0)


@pytest.mark.parametrize(
    ("series", "names"), [("2.0", True), ("1.10", True), ("1.6", False), ("1.2", False), ("0.12", False)]
)
def test_only_newer_versions_name_the_leader_and_the_voters(series: str, names: bool) -> None:
    _, health = autopilot(calm_cluster(version=VERSIONS[series]))

    assert health.keys() - {"FailureTolerance", "Healthy", "Servers"} == ({"Leader", "Voters"} if names else set())


def test_autopilot_of_another_region_is_asked_there() -> None:
    api = api_of_two_regions()
    health = body_of(respond(api, "s1.east", f"{AUTOPILOT}?region=west"))

    assert [one["Name"] for one in health["Servers"]] == ["s1.west"]
    assert status_and_text(respond(api, "s1.east", f"{AUTOPILOT}?region=nowhere")) == (500, "No path to region")


def test_a_server_that_gossip_has_lost_and_raft_reaches_is_not_well_but_in_contact() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    time_until(cluster, lambda: status(cluster, leader(cluster), name) == "failed")

    status_code, _ = autopilot(cluster)
    lost = server(cluster, name)

    assert status_code == 429
    assert (lost["Healthy"], lost["SerfStatus"], lost["Voter"]) == (False, "failed", True)
    assert lost["LastContact"].endswith("ms")


def test_one_server_of_another_version_is_told_apart_everywhere() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["1.10"]))
    pass_time(cluster, 5)
    api = NomadApi(cluster)

    members = body_of(respond(api, leader(cluster), "GET /v1/agent/members"))["Members"]
    itself = body_of(respond(api, name, "GET /v1/agent/self"))

    assert {one["Name"]: one["Tags"]["build"] for one in members}[name] == "1.10.5"
    assert sorted(one["Tags"]["build"] for one in members) == ["1.10.5", "2.0.5", "2.0.5"]
    assert itself["config"]["Version"]["Version"] == "1.10.5"
    assert "logstore_backend" not in itself["stats"]["raft"]
    assert server(cluster, name)["Version"] == "1.10.5"
    assert server(cluster, name)["Voter"]
