"""Join and force-leave: members enter and leave the gossip pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.api.http import JSON, ApiResponse
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    elected_cluster,
    leader,
    messages,
    pass_time,
    server_setups,
    status,
    suffrage,
    time_until,
)
from tests.support.sim_requests import (
    AGENT_READER,
    MANAGER,
    UNKNOWN_TOKEN,
    api_with_acl,
    body_of,
    respond,
    status_and_text,
    with_clients,
)

JOIN, LEAVE = "PUT /v1/agent/join", "PUT /v1/agent/force-leave"


def separate_regions(series: str = "2.0") -> NomadApi:
    """Return two regions of one server each that have not joined."""
    setups = [
        setup for region, net in (("east", 1), ("west", 2)) for setup in server_setups(1, VERSIONS[series], region, net)
    ]
    return NomadApi(elected_cluster(*setups))


def refused(address: str) -> str:
    return f"dial tcp {address}: connect: connection refused"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("address", ["127.0.2.1:4648", "127.0.2.1"])
def test_join_connects_two_regions(method: str, address: str) -> None:
    api = separate_regions()

    reply = respond(api, "s1.east", f"{method} /v1/agent/join?address={address}")

    assert (reply.status, reply.content_type, body_of(reply)) == (
        200,
        JSON,
        {"error": "", "num_joined": 1, "warning": ""},
    )
    assert status(api.cluster, "s1.east", "s1.west") == "alive"
    assert status(api.cluster, "s1.west", "s1.east") == "alive"
    assert "serf: EventMemberJoin: s1.west 127.0.2.1" in messages(api.cluster, "s1.east")


@pytest.mark.parametrize(
    ("series", "prefix", "extra"),
    [
        ("2.0", "failed to join", {"warning": ""}),
        ("1.10", "Failed to join", {}),
        ("1.6", "Failed to join", {}),
        ("1.2", "Failed to join", {}),
    ],
)
def test_failed_join_has_status_200(series: str, prefix: str, extra: dict[str, str]) -> None:
    reply = respond(separate_regions(series), "s1.east", f"{JOIN}?address=127.0.1.9:4648")
    error = f"1 error occurred:\n\t* {prefix} 127.0.1.9:4648: {refused('127.0.1.9:4648')}\n\n"

    assert (reply.status, body_of(reply)) == (200, {"error": error, "num_joined": 0, **extra})


def test_partial_join_reports_no_error() -> None:
    api = separate_regions()

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.1.9&address=127.0.2.1&address=127.0.1.1"))

    assert (reply["num_joined"], reply["error"]) == (2, "")


def test_failed_join_reports_every_error() -> None:
    reply = body_of(respond(separate_regions(), "s1.east", f"{JOIN}?address=127.0.1.8:4700&address=nowhere"))

    assert reply["num_joined"] == 0
    assert reply["error"] == (
        "2 errors occurred:\n"
        f"\t* failed to join 127.0.1.8:4700: {refused('127.0.1.8:4700')}\n"
        "\t* failed to resolve nowhere: lookup nowhere: no such host\n\n"
    )


def test_join_of_paused_server_times_out() -> None:
    api = separate_regions()
    api.cluster.pause("s1.west")

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["error"] == (
        "1 error occurred:\n\t* failed to join 127.0.2.1:4648: dial tcp 127.0.2.1:4648: i/o timeout\n\n"
    )
    assert status(api.cluster, "s1.east", "s1.west") is None


def test_join_of_empty_address_cannot_be_resolved() -> None:
    reply = body_of(respond(separate_regions(), "s1.east", f"{JOIN}?address="))

    assert reply["error"] == "1 error occurred:\n\t* failed to resolve : lookup : no such host\n\n"


def test_join_requires_an_address() -> None:
    assert status_and_text(respond(separate_regions(), "s1.east", JOIN)) == (400, "missing address to join")


@pytest.mark.parametrize("line", [f"{JOIN}?address=127.0.1.1", f"{LEAVE}?node=s1.global"])
def test_client_does_not_join_or_force_leave(line: str) -> None:
    assert status_and_text(respond(NomadApi(with_clients()), "c1", line)) == (501, "Invalid method")


@pytest.mark.parametrize(
    ("token", "warned"), [("", True), (UNKNOWN_TOKEN, True), (AGENT_READER, True), (MANAGER, False)]
)
def test_join_without_agent_write_only_warns(token: str, warned: bool) -> None:
    reply = respond(api_with_acl(), "s1.global", f"{JOIN}?address=127.0.1.2", token)

    assert (reply.status, body_of(reply)["num_joined"]) == (200, 1)
    assert body_of(reply)["warning"].startswith("anonymous server join is deprecated") is warned


def with_failed() -> NomadApi:
    """Return three servers, one of them dead and with gossip status "failed"."""
    cluster = calm_cluster()
    cluster.kill(victim(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), victim(cluster)) == "failed")
    return NomadApi(cluster)


def victim(cluster: Cluster) -> str:
    """Return the server to kill: the last follower."""
    return [name for name in cluster.world.agents if name != leader(cluster)][-1]


def test_force_leave_removes_failed_server_from_raft() -> None:
    api = with_failed()
    cluster = api.cluster

    assert respond(api, leader(cluster), f"{LEAVE}?node={victim(cluster)}") == ApiResponse(200)
    assert status(cluster, leader(cluster), victim(cluster)) == "left"
    pass_time(cluster, 2)
    assert suffrage(cluster, leader(cluster), victim(cluster)) is None


@pytest.mark.parametrize("value", ["true", "1"])
def test_prune_removes_the_member(value: str) -> None:
    api = with_failed()

    assert respond(api, leader(api.cluster), f"{LEAVE}?node={victim(api.cluster)}&prune={value}").status == 200
    assert status(api.cluster, leader(api.cluster), victim(api.cluster)) is None


def test_older_version_ignores_prune() -> None:
    cluster = calm_cluster(version=VERSIONS["1.2"])
    cluster.kill(victim(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), victim(cluster)) == "failed")

    assert respond(NomadApi(cluster), leader(cluster), f"{LEAVE}?node={victim(cluster)}&prune=maybe").status == 200
    assert status(cluster, leader(cluster), victim(cluster)) == "left"


def test_live_server_rejoins_after_force_leave() -> None:
    cluster = calm_cluster()
    name, other = leader(cluster), victim(cluster)

    respond(NomadApi(cluster), name, f"{LEAVE}?node={other}")

    assert status(cluster, name, other) == "leaving"
    time_until(cluster, lambda: status(cluster, name, other) == "alive", timeout=10)
    assert suffrage(cluster, name, other) == "Voter"


def test_force_leave_of_unknown_member_succeeds() -> None:
    assert respond(NomadApi(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody") == ApiResponse(200)


@pytest.mark.parametrize("query", ["", "?node="])
def test_force_leave_requires_a_node(query: str) -> None:
    assert status_and_text(respond(NomadApi(calm_cluster()), "s1.global", LEAVE + query)) == (
        400,
        "missing node to force leave",
    )


def test_invalid_prune_is_an_error() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody&prune=maybe")

    assert status_and_text(reply) == (400, "invalid prune value")


@pytest.mark.parametrize("series", ["2.0", "1.10"])
@pytest.mark.parametrize(
    ("encrypted", "error"),
    [
        (True, "encryption is configured but remote state is not encrypted"),
        (False, "remote state is encrypted and encryption is not configured"),
    ],
)
def test_join_fails_unless_both_encrypt_gossip(encrypted: bool, error: str, series: str) -> None:
    api = separate_regions(series)
    east = api.cluster.world.agents["s1.east"]
    api.cluster.reload("s1.east", replace(east.setup, encrypted=encrypted))
    west = api.cluster.world.agents["s1.west"]
    api.cluster.reload("s1.west", replace(west.setup, encrypted=not encrypted))

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["num_joined"] == 0
    new, old = f"failed to join 127.0.2.1:4648: {error}", f"Failed to join 127.0.2.1:4648: {error.capitalize()}"
    assert f"\t* {new if series == '2.0' else old}\n" in reply["error"]
    assert status(api.cluster, "s1.east", "s1.west") is None
