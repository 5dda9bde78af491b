"""Health of the roles of an agent, including the pitfalls of Nomad's endpoint."""

from __future__ import annotations

from collections.abc import Callable

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


def failing(message: str) -> dict[str, object]:
    return {"ok": False, "message": message}


def without_majority(series: str = "2.0") -> tuple[NomadApi, str]:
    """Return a cluster of three servers, two of them dead, and the remaining server, which has no leader."""
    cluster = calm_cluster(clients=1, version=VERSIONS[series])
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (remaining,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, remaining).leader is None)
    return NomadApi(cluster), remaining


@pytest.mark.parametrize(
    ("query", "roles"),
    [
        pytest.param("", {"client": OK, "server": OK}, id="every role of the agent"),
        pytest.param("?type=client", {"client": OK}, id="client"),
        pytest.param("?type=server", {"server": OK}, id="server"),
        pytest.param("?type=client&type=server", {"client": OK, "server": OK}, id="both types"),
        pytest.param("?type=foo", {}, id="unknown type"),
        pytest.param("?type=", {}, id="empty type"),
        pytest.param("?type=client,server", {}, id="two types in one value"),
        pytest.param("?type=foo&type=client", {"client": OK}, id="unknown and known type"),
    ],
)
def test_health_covers_requested_types_and_ignores_unknown(query: str, roles: dict[str, object]) -> None:
    reply = respond(api_of_one_agent(), "s1.global", HEALTH + query)

    assert (reply.status, reply.content_type, body_of(reply)) == (200, JSON, roles)


@pytest.mark.parametrize(
    ("name", "query", "roles"),
    [
        ("s1.global", "?type=client", {"client": failing("client not enabled")}),
        ("c1", "?type=server", {"server": failing("server not enabled")}),
        ("s1.global", "?type=client&type=server", {"client": failing("client not enabled"), "server": OK}),
        ("c1", "?type=client&type=server&stale", {"client": OK, "server": failing("server not enabled")}),
    ],
)
def test_disabled_role_is_not_ok(name: str, query: str, roles: dict[str, object]) -> None:
    reply = respond(NomadApi(calm_cluster(clients=1)), name, HEALTH + query)

    assert (reply.status, body_of(reply)) == (500, roles)


@pytest.mark.parametrize(("series", "kind"), [("2.0", TEXT), ("1.10", TEXT), ("1.6", None), ("1.2", TEXT)])
def test_failing_health_is_json_with_type_of_an_error(series: str, kind: str | None) -> None:
    api = NomadApi(calm_cluster(version=VERSIONS[series]))

    reply = respond(api, "s1.global", f"{HEALTH}?type=client")

    assert reply == ApiResponse(500, b'{"client":{"ok":false,"message":"client not enabled"}}', kind)


@pytest.mark.parametrize("series", VERSIONS)
def test_health_without_leader_fails_after_5_seconds(series: str) -> None:
    api, remaining = without_majority(series)

    reply, seconds = wait_for_response(api, remaining, HEALTH)

    assert (reply.status, body_of(reply)) == (500, {"server": failing("No cluster leader")})
    assert 5.0 <= seconds <= 5.4


@pytest.mark.parametrize("query", ["?stale", "?stale=", "?stale=true", "?stale=1"])
def test_stale_health_does_not_wait_for_leader(query: str) -> None:
    api, remaining = without_majority()

    reply = respond(api, remaining, HEALTH + query)

    assert (reply.status, body_of(reply)) == (500, {"server": failing("no leader")})


def test_health_with_stale_false_waits_for_leader() -> None:
    api, remaining = without_majority()

    reply, seconds = wait_for_response(api, remaining, f"{HEALTH}?stale=false")

    assert body_of(reply) == {"server": failing("No cluster leader")}
    assert seconds >= 5.0


def test_held_health_is_ok_after_election() -> None:
    cluster = calm_cluster()
    cluster.kill(leader(cluster))
    follower = followers(cluster)[0]
    time_until(cluster, lambda: raft_of(cluster, follower).leader is None)

    reply, seconds = wait_for_response(NomadApi(cluster), follower, HEALTH)

    assert body_of(reply) == {"server": OK}
    assert 0 < seconds < 5


def test_only_stale_health_trusts_leader_that_just_died() -> None:
    cluster = calm_cluster()
    dead, follower = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)
    address = cluster.world.agents[dead].setup.rpc_address
    error = f"rpc error: failed to get conn: dial tcp {address}: connect: connection refused"

    assert body_of(respond(NomadApi(cluster), follower, HEALTH)) == {"server": failing(error)}
    assert body_of(respond(NomadApi(cluster), follower, f"{HEALTH}?stale")) == {"server": OK}


def kill_servers(cluster: Cluster) -> None:
    for name in cluster.world.running():
        cluster.kill(name)
    pass_time(cluster, 300)


def pause_servers(cluster: Cluster) -> None:
    for name in cluster.world.running():
        cluster.pause(name)
    pass_time(cluster, 300)


@pytest.mark.parametrize("break_servers", [kill_servers, pause_servers])
def test_client_is_healthy_without_live_servers(break_servers: Callable[[Cluster], None]) -> None:
    cluster = calm_cluster(clients=1)
    break_servers(cluster)

    assert body_of(respond(NomadApi(cluster), "c1", HEALTH)) == {"client": OK}


def test_client_without_servers_is_not_ok() -> None:
    cluster = new_cluster(clients=1)
    cluster.set_servers("c1", ())

    assert body_of(respond(NomadApi(cluster), "c1", HEALTH)) == {"client": failing("no known servers")}


def test_health_of_other_region_is_forwarded() -> None:
    api = api_of_two_regions()

    assert body_of(respond(api, "s1.east", f"{HEALTH}?region=west")) == {"server": OK}
    api.cluster.kill("s1.west")
    pass_time(api.cluster, 40)
    assert body_of(respond(api, "s1.east", f"{HEALTH}?region=west")) == {"server": failing("No path to region")}
    assert body_of(respond(api, "s1.east", HEALTH)) == {"server": OK}


def test_unknown_region_does_not_affect_client_health() -> None:
    reply = respond(api_of_one_agent(), "s1.global", f"{HEALTH}?region=nowhere")

    assert (reply.status, body_of(reply)) == (500, {"client": OK, "server": failing("No path to region")})


INVALID_STALE = "Expect `true` or `false` for `stale` query string parameter"
BOTH = '{"client":{"message":"ok","ok":true},"server":{"message":"ok","ok":true}}'


@pytest.mark.parametrize(
    ("series", "status", "body", "kind"),
    [
        pytest.param("2.0", 400, INVALID_STALE, TEXT, id="2.0"),
        pytest.param("1.10", 400, INVALID_STALE, TEXT, id="1.10"),
        pytest.param("1.6", 400, f"{INVALID_STALE}, got maybe{BOTH}", None, id="1.6 appends the health"),
        pytest.param("1.2", 200, BOTH, JSON, id="1.2 ignores the value"),
        pytest.param("0.12", 200, BOTH, JSON, id="0.12 ignores the value"),
    ],
)
def test_invalid_stale_depends_on_version(series: str, status: int, body: str, kind: str | None) -> None:
    reply = respond(api_of_one_agent(VERSIONS[series]), "s1.global", f"{HEALTH}?stale=maybe")

    assert (status_and_text(reply), reply.content_type) == ((status, body), kind)


def test_server_without_gossip_key_cannot_reach_its_leader() -> None:
    cluster, name = cluster_with_unencrypted_follower()

    reply, seconds = wait_for_response(NomadApi(cluster), name, HEALTH)

    assert (reply.status, body_of(reply)) == (500, {"server": failing("No cluster leader")})
    assert 5 < seconds < 5.4
    assert respond(NomadApi(cluster), name, f"{HEALTH}?stale").status == 200


def test_partitioned_leader_steps_down_and_followers_hold() -> None:
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
    assert (reply.status, body_of(reply)) == (500, {"server": failing("No cluster leader")})
    assert 5 < seconds < 5.4
