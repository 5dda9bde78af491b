"""Health, with every trap of the real one."""

from __future__ import annotations

import pytest

from nomad_sim.api.http import JSON, TEXT, ApiResponse
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    cluster_with_unencrypted_follower,
    followers,
    leader,
    new_cluster,
    pass_time,
    raft_of,
    time_until,
)
from tests.support.sim_requests import (
    api_of_one_agent,
    api_of_two_regions,
    body_of,
    is_pending,
    respond,
    status_and_text,
    wait_for_response,
)

HEALTH = "GET /v1/agent/health"
OK = {"ok": True, "message": "ok"}


def red(message: str) -> dict[str, object]:
    return {"ok": False, "message": message}


def without_majority(series: str = "2.0") -> tuple[NomadApi, str]:
    """A cluster that lost two of its three servers two seconds ago and more, and the third."""
    cluster = calm_cluster(clients=1, version=VERSIONS[series])
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (left,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, left).leader is None)
    return NomadApi(cluster), left


@pytest.mark.parametrize(
    ("query", "roles"),
    [
        pytest.param("", {"client": OK, "server": OK}, id="every role that it has"),
        pytest.param("?type=client", {"client": OK}, id="the client"),
        pytest.param("?type=server", {"server": OK}, id="the server"),
        pytest.param("?type=client&type=server", {"client": OK, "server": OK}, id="both by name"),
        pytest.param("?type=foo", {}, id="a type that is none"),
        pytest.param("?type=", {}, id="no type"),
        pytest.param("?type=client,server", {}, id="two types in one"),
        pytest.param("?type=foo&type=client", {"client": OK}, id="a type that is none and one that is"),
    ],
)
def test_what_is_not_a_type_is_well(query: str, roles: dict[str, object]) -> None:
    reply = respond(api_of_one_agent(), "s1.global", HEALTH + query)

    assert (reply.status, reply.content_type, body_of(reply)) == (200, JSON, roles)


@pytest.mark.parametrize(
    ("name", "query", "roles"),
    [
        ("s1.global", "?type=client", {"client": red("client not enabled")}),
        ("c1", "?type=server", {"server": red("server not enabled")}),
        ("s1.global", "?type=client&type=server", {"client": red("client not enabled"), "server": OK}),
        ("c1", "?type=client&type=server&stale", {"client": OK, "server": red("server not enabled")}),
    ],
)
def test_a_role_that_the_agent_has_not_is_ill(name: str, query: str, roles: dict[str, object]) -> None:
    reply = respond(NomadApi(calm_cluster(clients=1)), name, HEALTH + query)

    assert (reply.status, body_of(reply)) == (500, roles)


@pytest.mark.parametrize(("series", "kind"), [("2.0", TEXT), ("1.10", TEXT), ("1.6", None), ("1.2", TEXT)])
def test_a_red_verdict_is_json_that_does_not_say_so(series: str, kind: str | None) -> None:
    api = NomadApi(calm_cluster(version=VERSIONS[series]))

    reply = respond(api, "s1.global", f"{HEALTH}?type=client")

    assert reply == ApiResponse(500, b'{"client":{"ok":false,"message":"client not enabled"}}', kind)


@pytest.mark.parametrize("series", VERSIONS)
def test_without_a_leader_the_verdict_comes_after_five_seconds(series: str) -> None:
    api, left = without_majority(series)

    reply, seconds = wait_for_response(api, left, HEALTH)

    assert (reply.status, body_of(reply)) == (500, {"server": red("No cluster leader")})
    assert 5.0 <= seconds <= 5.4


@pytest.mark.parametrize("query", ["?stale", "?stale=", "?stale=true", "?stale=1"])
def test_stale_health_does_not_wait_for_a_leader(query: str) -> None:
    api, left = without_majority()

    reply = respond(api, left, HEALTH + query)

    assert (reply.status, body_of(reply)) == (500, {"server": red("no leader")})


def test_health_that_is_not_to_be_stale_waits() -> None:
    api, left = without_majority()

    reply, seconds = wait_for_response(api, left, f"{HEALTH}?stale=false")

    assert body_of(reply) == {"server": red("No cluster leader")}
    assert seconds >= 5.0


def test_a_held_verdict_is_good_once_there_is_a_leader() -> None:
    cluster = calm_cluster()
    cluster.kill(leader(cluster))
    left = followers(cluster)[0]
    time_until(cluster, lambda: raft_of(cluster, left).leader is None)

    reply, seconds = wait_for_response(NomadApi(cluster), left, HEALTH)

    assert body_of(reply) == {"server": OK}
    assert 0 < seconds < 5


def test_a_leader_that_was_killed_a_moment_ago_is_believed_in_by_stale_health_alone() -> None:
    cluster = calm_cluster()
    dead, left = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)
    address = cluster.world.agents[dead].setup.rpc_address
    refused = f"rpc error: failed to get conn: dial tcp {address}: connect: connection refused"

    assert body_of(respond(NomadApi(cluster), left, HEALTH)) == {"server": red(refused)}
    assert body_of(respond(NomadApi(cluster), left, f"{HEALTH}?stale")) == {"server": OK}


def killed(cluster: Cluster) -> None:
    for name in cluster.world.running():
        cluster.kill(name)
    pass_time(cluster, 300)


def paused(cluster: Cluster) -> None:
    for name in cluster.world.running():
        cluster.pause(name)
    pass_time(cluster, 300)


@pytest.mark.parametrize("happens", [killed, paused])
def test_a_client_is_well_however_its_servers_fare(happens: object) -> None:
    cluster = calm_cluster(clients=1)
    assert callable(happens)
    happens(cluster)

    assert body_of(respond(NomadApi(cluster), "c1", HEALTH)) == {"client": OK}


def test_a_client_that_knows_no_server_is_ill() -> None:
    cluster = new_cluster(clients=1)
    cluster.set_servers("c1", ())

    assert body_of(respond(NomadApi(cluster), "c1", HEALTH)) == {"client": red("no known servers")}


def test_health_of_another_region_is_asked_there() -> None:
    api = api_of_two_regions()

    assert body_of(respond(api, "s1.east", f"{HEALTH}?region=west")) == {"server": OK}
    api.cluster.kill("s1.west")
    pass_time(api.cluster, 40)
    assert body_of(respond(api, "s1.east", f"{HEALTH}?region=west")) == {"server": red("No path to region")}
    assert body_of(respond(api, "s1.east", HEALTH)) == {"server": OK}


def test_there_is_no_path_to_an_unknown_region_but_the_client_is_well() -> None:
    reply = respond(api_of_one_agent(), "s1.global", f"{HEALTH}?region=nowhere")

    assert (reply.status, body_of(reply)) == (500, {"client": OK, "server": red("No path to region")})


COMPLAINT = "Expect `true` or `false` for `stale` query string parameter"
BOTH = '{"client":{"message":"ok","ok":true},"server":{"message":"ok","ok":true}}'


@pytest.mark.parametrize(
    ("series", "status", "body", "kind"),
    [
        pytest.param("2.0", 400, COMPLAINT, TEXT, id="an error"),
        pytest.param("1.10", 400, COMPLAINT, TEXT, id="an error too"),
        pytest.param("1.6", 400, f"{COMPLAINT}, got maybe{BOTH}", None, id="an error that runs on"),
        pytest.param("1.2", 200, BOTH, JSON, id="nothing"),
        pytest.param("0.12", 200, BOTH, JSON, id="nothing yet"),
    ],
)
def test_a_stale_that_is_no_truth_is_to_each_version_something_else(
    series: str, status: int, body: str, kind: str | None
) -> None:
    reply = respond(api_of_one_agent(VERSIONS[series]), "s1.global", f"{HEALTH}?stale=maybe")

    assert (status_and_text(reply), reply.content_type) == ((status, body), kind)


def test_a_server_without_the_key_of_gossip_finds_no_way_to_the_leader_that_it_follows() -> None:
    cluster, name = cluster_with_unencrypted_follower()

    reply, seconds = wait_for_response(NomadApi(cluster), name, HEALTH)

    assert (reply.status, body_of(reply)) == (500, {"server": red("No cluster leader")})
    assert 5 < seconds < 5.4
    assert respond(NomadApi(cluster), name, f"{HEALTH}?stale").status == 200


def test_while_a_leader_is_lost_in_the_network_its_followers_hold_the_question_and_it_steps_down() -> None:
    cluster = calm_cluster()
    lost, follower = leader(cluster), followers(cluster)[0]
    cluster.partition(lost, cluster.world.agents)
    pass_time(cluster, 0.2)
    assert is_pending(NomadApi(cluster), follower, HEALTH, seconds=0.3)

    pass_time(cluster, 0.5)
    assert raft_of(cluster, lost).leader is None
    assert status_and_text(respond(NomadApi(cluster), lost, f"{HEALTH}?stale"))[0] == 500
    pass_time(cluster, 5)
    assert leader(cluster) != lost
    assert respond(NomadApi(cluster), follower, HEALTH).status == 200
    reply, seconds = wait_for_response(NomadApi(cluster), lost, HEALTH)
    assert (reply.status, body_of(reply)) == (500, {"server": red("No cluster leader")})
    assert 5 < seconds < 5.4
