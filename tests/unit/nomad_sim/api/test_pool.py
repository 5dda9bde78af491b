"""Into the gossip pool by join, and out of it by force-leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.api.http import JSON, ApiResponse
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    ELECTION_SECONDS,
    calm_cluster,
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


def apart(series: str = "2.0") -> NomadApi:
    """Two regions of one server each that do not know each other."""
    setups = [
        setup for region, net in (("east", 1), ("west", 2)) for setup in server_setups(1, VERSIONS[series], region, net)
    ]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, ELECTION_SECONDS)
    return NomadApi(cluster)


def refused(address: str) -> str:
    return f"dial tcp {address}: connect: connection refused"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("address", ["127.0.2.1:4648", "127.0.2.1"])
def test_two_regions_that_join_know_each_other(method: str, address: str) -> None:
    api = apart()

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
    ("series", "begin", "more"),
    [
        ("2.0", "failed to join", {"warning": ""}),
        ("1.10", "Failed to join", {}),
        ("1.6", "Failed to join", {}),
        ("1.2", "Failed to join", {}),
    ],
)
def test_a_join_that_fails_is_answered_with_success(series: str, begin: str, more: dict[str, str]) -> None:
    reply = respond(apart(series), "s1.east", f"{JOIN}?address=127.0.1.9:4648")
    fault = f"1 error occurred:\n\t* {begin} 127.0.1.9:4648: {refused('127.0.1.9:4648')}\n\n"

    assert (reply.status, body_of(reply)) == (200, {"error": fault, "num_joined": 0, **more})


def test_of_several_addresses_those_that_failed_are_silent_where_one_was_joined() -> None:
    api = apart()

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.1.9&address=127.0.2.1&address=127.0.1.1"))

    assert (reply["num_joined"], reply["error"]) == (2, "")


def test_of_several_addresses_every_failure_is_told_where_none_was_joined() -> None:
    reply = body_of(respond(apart(), "s1.east", f"{JOIN}?address=127.0.1.8:4700&address=nowhere"))

    assert reply["num_joined"] == 0
    assert reply["error"] == (
        "2 errors occurred:\n"
        f"\t* failed to join 127.0.1.8:4700: {refused('127.0.1.8:4700')}\n"
        "\t* failed to resolve nowhere: lookup nowhere: no such host\n\n"
    )


def test_a_server_that_is_frozen_cannot_be_joined() -> None:
    api = apart()
    api.cluster.pause("s1.west")

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["error"] == (
        "1 error occurred:\n\t* failed to join 127.0.2.1:4648: dial tcp 127.0.2.1:4648: i/o timeout\n\n"
    )
    assert status(api.cluster, "s1.east", "s1.west") is None


def test_an_empty_address_names_no_host() -> None:
    reply = body_of(respond(apart(), "s1.east", f"{JOIN}?address="))

    assert reply["error"] == "1 error occurred:\n\t* failed to resolve : lookup : no such host\n\n"


def test_a_join_without_an_address_is_an_error() -> None:
    assert status_and_text(respond(apart(), "s1.east", JOIN)) == (400, "missing address to join")


@pytest.mark.parametrize("line", [f"{JOIN}?address=127.0.1.1", f"{LEAVE}?node=s1.global"])
def test_a_client_is_in_no_pool(line: str) -> None:
    assert status_and_text(respond(NomadApi(with_clients()), "c1", line)) == (501, "Invalid method")


@pytest.mark.parametrize(
    ("token", "warned"), [("", True), (UNKNOWN_TOKEN, True), (AGENT_READER, True), (MANAGER, False)]
)
def test_who_may_not_write_is_only_warned_of_the_join(token: str, warned: bool) -> None:
    reply = respond(api_with_acl(), "s1.global", f"{JOIN}?address=127.0.1.2", token)

    assert (reply.status, body_of(reply)["num_joined"]) == (200, 1)
    assert body_of(reply)["warning"].startswith("anonymous server join is deprecated") is warned


def with_failed() -> NomadApi:
    """Three servers, of which the others hold ``s3`` or another follower for failed."""
    cluster = calm_cluster()
    cluster.kill(removed(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), removed(cluster)) == "failed")
    return NomadApi(cluster)


def removed(cluster: Cluster) -> str:
    """The server that is killed: the last one that does not lead."""
    return [name for name in cluster.world.agents if name != leader(cluster)][-1]


def test_a_failed_server_that_is_forced_to_leave_has_left_and_loses_its_vote() -> None:
    api = with_failed()
    cluster = api.cluster

    assert respond(api, leader(cluster), f"{LEAVE}?node={removed(cluster)}") == ApiResponse(200)
    assert status(cluster, leader(cluster), removed(cluster)) == "left"
    pass_time(cluster, 2)
    assert suffrage(cluster, leader(cluster), removed(cluster)) is None


@pytest.mark.parametrize("value", ["true", "1"])
def test_with_prune_it_is_forgotten(value: str) -> None:
    api = with_failed()

    assert respond(api, leader(api.cluster), f"{LEAVE}?node={removed(api.cluster)}&prune={value}").status == 200
    assert status(api.cluster, leader(api.cluster), removed(api.cluster)) is None


def test_an_older_version_knows_no_prune() -> None:
    cluster = calm_cluster(version=VERSIONS["1.2"])
    cluster.kill(removed(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), removed(cluster)) == "failed")

    assert respond(NomadApi(cluster), leader(cluster), f"{LEAVE}?node={removed(cluster)}&prune=maybe").status == 200
    assert status(cluster, leader(cluster), removed(cluster)) == "left"


def test_a_server_that_lives_comes_back() -> None:
    cluster = calm_cluster()
    name, other = leader(cluster), removed(cluster)

    respond(NomadApi(cluster), name, f"{LEAVE}?node={other}")

    assert status(cluster, name, other) == "leaving"
    time_until(cluster, lambda: status(cluster, name, other) == "alive", timeout=10)
    assert suffrage(cluster, name, other) == "Voter"


def test_a_member_that_nobody_knows_leaves_with_success() -> None:
    assert respond(NomadApi(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody") == ApiResponse(200)


@pytest.mark.parametrize("query", ["", "?node="])
def test_somebody_must_be_named(query: str) -> None:
    assert status_and_text(respond(NomadApi(calm_cluster()), "s1.global", LEAVE + query)) == (
        400,
        "missing node to force leave",
    )


def test_a_prune_that_is_no_truth_is_an_error() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody&prune=maybe")

    assert status_and_text(reply) == (400, "invalid prune value")


@pytest.mark.parametrize("series", ["2.0", "1.10"])
@pytest.mark.parametrize(
    ("encrypted", "fields"),
    [
        (True, "encryption is configured but remote state is not encrypted"),
        (False, "remote state is encrypted and encryption is not configured"),
    ],
)
def test_one_with_the_key_of_gossip_and_one_without_do_not_join(encrypted: bool, fields: str, series: str) -> None:
    api = apart(series)
    east = api.cluster.world.agents["s1.east"]
    api.cluster.reload("s1.east", replace(east.setup, encrypted=encrypted))
    west = api.cluster.world.agents["s1.west"]
    api.cluster.reload("s1.west", replace(west.setup, encrypted=not encrypted))

    reply = body_of(respond(api, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["num_joined"] == 0
    new, old = f"failed to join 127.0.2.1:4648: {fields}", f"Failed to join 127.0.2.1:4648: {fields.capitalize()}"
    assert f"\t* {new if series == '2.0' else old}\n" in reply["error"]
    assert status(api.cluster, "s1.east", "s1.west") is None
