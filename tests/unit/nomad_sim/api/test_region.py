"""The state of a region: leader, peers, client nodes and autopilot health."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    client_setups,
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
NODE = "GET /v1/node/id-global-c1"
AUTOPILOT = "GET /v1/operator/autopilot/health"


def kill_majority(cluster: Cluster) -> str:
    """Kill two of three servers; return the third when it has no leader."""
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (remaining,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, remaining).leader is None)
    return remaining


def autopilot(cluster: Cluster) -> tuple[int, dict[str, Any]]:
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    return reply.status, body_of(reply)


def server(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return the autopilot health of one server."""
    servers = {one["ID"]: one for one in autopilot(cluster)[1]["Servers"]}
    found: dict[str, Any] = servers[cluster.world.agents[name].setup.raft_id]
    return found


@pytest.mark.parametrize("target", ["s1.global", "s2.global", "s3.global", "c1"])
def test_every_agent_returns_the_leader(target: str) -> None:
    cluster = with_clients()

    assert (
        body_of(respond(NomadApi(cluster), target, LEADER)) == cluster.world.agents[leader(cluster)].setup.rpc_address
    )


@pytest.mark.parametrize("line", [LEADER, PEERS, NODES, NODE, AUTOPILOT])
def test_request_without_leader_is_held_and_fails(line: str) -> None:
    cluster = calm_cluster()

    reply, seconds = wait_for_response(NomadApi(cluster), kill_majority(cluster), line)

    assert status_and_text(reply) == (500, "No cluster leader")
    assert seconds >= 5


def test_stale_false_waits_for_leader() -> None:
    cluster = calm_cluster()

    reply, seconds = wait_for_response(NomadApi(cluster), kill_majority(cluster), f"{LEADER}?stale=false")

    assert status_and_text(reply) == (500, "No cluster leader")
    assert seconds >= 5


def test_stale_request_does_not_wait_for_leader() -> None:
    cluster = calm_cluster()
    remaining = kill_majority(cluster)
    api = NomadApi(cluster)

    assert body_of(respond(api, remaining, f"{LEADER}?stale")) == ""
    assert len(body_of(respond(api, remaining, f"{PEERS}?stale"))) == 3
    assert respond(api, remaining, f"{NODES}?stale").headers["X-Nomad-Knownleader"] == "false"


def test_peers_are_addresses_of_all_servers() -> None:
    assert sorted(body_of(respond(NomadApi(calm_cluster()), "s2.global", PEERS))) == [
        "127.0.1.1:4647",
        "127.0.1.2:4647",
        "127.0.1.3:4647",
    ]


def test_request_for_other_region_is_forwarded() -> None:
    api = api_of_two_regions()

    assert body_of(respond(api, "s1.east", f"{LEADER}?region=west")) == "127.0.2.1:4647"
    assert body_of(respond(api, "s1.east", f"{PEERS}?region=west")) == ["127.0.2.1:4647"]
    assert status_and_text(respond(api, "s1.east", f"{LEADER}?region=nowhere")) == (500, "No path to region")


def test_nodes_are_clients_sorted_by_id() -> None:
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
def test_node_has_keys_of_version(series: str) -> None:
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


def test_region_without_clients_has_index_1() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", NODES)

    assert (body_of(reply), reply.headers["X-Nomad-Index"]) == ([], "1")


def test_dead_client_is_down_after_its_heartbeat_ttl() -> None:
    cluster = with_clients()
    cluster.kill("c1")
    pass_time(cluster, 60)
    (node,) = body_of(respond(NomadApi(cluster), "s1.global", NODES))

    assert (node["Status"], node["StatusDescription"]) == ("down", "node TTL expired")
    assert node["Drivers"]["raw_exec"]["Healthy"] is False


@pytest.mark.parametrize("target", ["s1.global", "c1", "c2"])
def test_every_agent_returns_a_node(target: str) -> None:
    reply = respond(NomadApi(with_clients(2)), target, NODE)
    node = body_of(reply)

    assert (node["ID"], node["Name"], node["Status"]) == ("id-global-c1", "c1", "ready")
    assert node["HTTPAddr"] == "127.0.1.101:4646"
    assert reply.headers == {
        "X-Nomad-Index": str(node["ModifyIndex"]),
        "X-Nomad-Knownleader": "true",
        "X-Nomad-Lastcontact": "0",
    }


@pytest.mark.parametrize("node_id", ["", "id-global-c9", "id-global-c1/allocations"])
def test_unknown_node_is_not_found(node_id: str) -> None:
    reply = respond(NomadApi(with_clients()), "c1", f"GET /v1/node/{node_id}")

    assert status_and_text(reply) == (404, "node not found")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_node_is_read_only(method: str) -> None:
    reply = respond(NomadApi(with_clients()), "c1", NODE.replace("GET", method))

    assert status_and_text(reply) == (405, "Invalid method")


def test_stale_request_for_node_does_not_wait_for_leader() -> None:
    cluster = with_clients()
    cluster.set_servers("c1", (cluster.world.agents[kill_majority(cluster)].setup.rpc_address,))

    assert body_of(respond(NomadApi(cluster), "c1", f"{NODE}?stale"))["Name"] == "c1"


def test_node_has_the_host_name_of_an_agent_without_name() -> None:
    servers = server_setups()
    (client,) = client_setups(1, servers)
    cluster = Cluster([*servers, replace(client, sets_name=False)], Timing(), 1, 0.0)
    pass_time(cluster, 30.0)
    api = NomadApi(cluster)

    assert body_of(respond(api, "c1", "GET /v1/agent/self"))["config"]["NodeName"] == ""
    assert body_of(respond(api, "c1", NODE))["Name"] == "c1"


@pytest.mark.parametrize("line", [PEERS, NODES, NODE])
def test_client_without_servers_reports_an_error(line: str) -> None:
    cluster = with_clients()
    cluster.set_servers("c1", ())

    assert status_and_text(respond(NomadApi(cluster), "c1", line)) == (500, "no servers")


def test_healthy_region_of_three_tolerates_one_failure() -> None:
    cluster = calm_cluster()
    status, health = autopilot(cluster)
    ids = {"id-global-s1", "id-global-s2", "id-global-s3"}

    assert (status, health["Healthy"], health["FailureTolerance"]) == (200, True, 1)
    assert health["Leader"] == cluster.world.agents[leader(cluster)].setup.id
    assert set(health["Voters"]) == {one["ID"] for one in health["Servers"]} == ids


@pytest.mark.parametrize(("servers", "tolerance"), [(1, 0), (2, 0), (3, 1), (5, 2)])
def test_failure_tolerance_is_the_minority(servers: int, tolerance: int) -> None:
    assert autopilot(calm_cluster(servers))[1]["FailureTolerance"] == tolerance


def test_last_contact_of_leader_is_0() -> None:
    cluster = calm_cluster()
    leader_health, follower_health = (server(cluster, name) for name in (leader(cluster), followers(cluster)[0]))

    assert leader_health["Address"] == cluster.world.agents[leader(cluster)].setup.rpc_address
    assert (leader_health["Leader"], leader_health["LastContact"]) == (True, "0s")
    assert follower_health["Leader"] is False
    assert follower_health["LastContact"].endswith("ms")
    assert leader_health["LastIndex"] == follower_health["LastIndex"] == raft_of(cluster, leader(cluster)).log.last
    assert leader_health["LastTerm"] == follower_health["LastTerm"] == raft_of(cluster, leader(cluster)).term


def test_stable_since_is_set_for_healthy_server() -> None:
    cluster = calm_cluster()

    assert server(cluster, leader(cluster))["StableSince"].startswith("1970-01-01T00:00:0")


def test_unhealthy_old_region_sends_content_type() -> None:
    cluster = calm_cluster(version=VERSIONS["1.2"])
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)

    assert (reply.status, reply.content_type) == (429, "application/json")


def test_region_is_healthy_until_gossip_detects_failure() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    pass_time(cluster, 22)
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    dead_health = server(cluster, dead)

    assert (reply.status, body_of(reply)["FailureTolerance"]) == (200, 1)
    assert (dead_health["Healthy"], dead_health["SerfStatus"], dead_health["LastContact"]) == (True, "alive", "200ms")


def test_unhealthy_region_has_status_429() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    pass_time(cluster, 1)
    reply = respond(NomadApi(cluster), leader(cluster), AUTOPILOT)
    dead_health = server(cluster, dead)

    assert (reply.status, reply.content_type) == (429, None)
    assert (body_of(reply)["Healthy"], body_of(reply)["FailureTolerance"]) == (False, 0)
    assert (dead_health["Healthy"], dead_health["SerfStatus"], dead_health["LastContact"]) == (False, "failed", "-1ns")
    assert dead_health["StableSince"] == "0001-01-01T00:00:00Z"


def test_server_missing_from_gossip_has_unknown_name() -> None:
    cluster = calm_cluster()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    time_until(cluster, lambda: server(cluster, dead)["SerfStatus"] == "failed")
    cluster.force_leave(leader(cluster), dead, prune=True)
    dead_health = server(cluster, dead)

    assert (dead_health["Name"], dead_health["SerfStatus"], dead_health["Version"]) == ("(unknown)", "none", "")


def test_new_server_is_not_a_voter_at_first() -> None:
    cluster = calm_cluster(servers=1)
    new = replace(server_setups(2)[1], bootstrap_expect=0)
    cluster.add(new)
    time_until(cluster, lambda: len(autopilot(cluster)[1]["Servers"]) == 2)
    pass_time(cluster, 1)
    health = autopilot(cluster)[1]

    assert [one["Voter"] for one in health["Servers"]] == [True, False]
    assert (health["Voters"], health["FailureTolerance"]) == (["id-global-s1"], 0)


@pytest.mark.parametrize(
    ("series", "has_leader"), [("2.0", True), ("1.10", True), ("1.6", False), ("1.2", False), ("0.12", False)]
)
def test_only_newer_versions_return_leader_and_voters(series: str, has_leader: bool) -> None:
    _, health = autopilot(calm_cluster(version=VERSIONS[series]))

    assert health.keys() - {"FailureTolerance", "Healthy", "Servers"} == ({"Leader", "Voters"} if has_leader else set())


def test_autopilot_of_other_region_is_forwarded() -> None:
    api = api_of_two_regions()
    health = body_of(respond(api, "s1.east", f"{AUTOPILOT}?region=west"))

    assert [one["Name"] for one in health["Servers"]] == ["s1.west"]
    assert status_and_text(respond(api, "s1.east", f"{AUTOPILOT}?region=nowhere")) == (500, "No path to region")


def test_server_failed_only_in_gossip_keeps_raft_contact() -> None:
    cluster, name = cluster_with_unencrypted_follower()
    time_until(cluster, lambda: status(cluster, leader(cluster), name) == "failed")

    status_code, _ = autopilot(cluster)
    unreachable = server(cluster, name)

    assert status_code == 429
    assert (unreachable["Healthy"], unreachable["SerfStatus"], unreachable["Voter"]) == (False, "failed", True)
    assert unreachable["LastContact"].endswith("ms")


def test_version_of_each_server_is_visible_everywhere() -> None:
    cluster = calm_cluster()
    name = followers(cluster)[0]
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, version=VERSIONS["1.10"]))
    pass_time(cluster, 5)
    api = NomadApi(cluster)

    members = body_of(respond(api, leader(cluster), "GET /v1/agent/members"))["Members"]
    own = body_of(respond(api, name, "GET /v1/agent/self"))

    assert {one["Name"]: one["Tags"]["build"] for one in members}[name] == "1.10.5"
    assert sorted(one["Tags"]["build"] for one in members) == ["1.10.5", "2.0.5", "2.0.5"]
    assert own["config"]["Version"]["Version"] == "1.10.5"
    assert "logstore_backend" not in own["stats"]["raft"]
    assert server(cluster, name)["Version"] == "1.10.5"
    assert server(cluster, name)["Voter"]
