"""Into the gossip pool by join, and out of it by force-leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.demo.face.answers import JSON, Answer
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.versions import VERSIONS
from tests.support.clusters import (
    CALM,
    calm_cluster,
    leader,
    messages,
    pass_time,
    server_setups,
    status,
    suffrage,
    time_until,
)
from tests.support.questions import AGENT_READER, MANAGER, STRANGER, answered, guarded, text, told, with_clients

JOIN, LEAVE = "PUT /v1/agent/join", "PUT /v1/agent/force-leave"


def apart(series: str = "2.0") -> Face:
    """Two regions of one server each that do not know each other."""
    setups = [
        setup for region, net in (("east", 1), ("west", 2)) for setup in server_setups(1, VERSIONS[series], region, net)
    ]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, CALM)
    return Face(cluster)


def refused(address: str) -> str:
    return f"dial tcp {address}: connect: connection refused"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("address", ["127.0.2.1:4648", "127.0.2.1"])
def test_two_regions_that_join_know_each_other(method: str, address: str) -> None:
    face = apart()

    reply = answered(face, "s1.east", f"{method} /v1/agent/join?address={address}")

    assert (reply.status, reply.content_type, told(reply)) == (200, JSON, {"error": "", "num_joined": 1, "warning": ""})
    assert status(face.cluster, "s1.east", "s1.west") == "alive"
    assert status(face.cluster, "s1.west", "s1.east") == "alive"
    assert "serf: EventMemberJoin: s1.west 127.0.2.1" in messages(face.cluster, "s1.east")


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
    reply = answered(apart(series), "s1.east", f"{JOIN}?address=127.0.1.9:4648")
    fault = f"1 error occurred:\n\t* {begin} 127.0.1.9:4648: {refused('127.0.1.9:4648')}\n\n"

    assert (reply.status, told(reply)) == (200, {"error": fault, "num_joined": 0, **more})


def test_of_several_addresses_those_that_failed_are_silent_where_one_was_joined() -> None:
    face = apart()

    reply = told(answered(face, "s1.east", f"{JOIN}?address=127.0.1.9&address=127.0.2.1&address=127.0.1.1"))

    assert (reply["num_joined"], reply["error"]) == (2, "")


def test_of_several_addresses_every_failure_is_told_where_none_was_joined() -> None:
    reply = told(answered(apart(), "s1.east", f"{JOIN}?address=127.0.1.8:4700&address=nowhere"))

    assert reply["num_joined"] == 0
    assert reply["error"] == (
        "2 errors occurred:\n"
        f"\t* failed to join 127.0.1.8:4700: {refused('127.0.1.8:4700')}\n"
        "\t* failed to resolve nowhere: lookup nowhere: no such host\n\n"
    )


def test_a_server_that_is_frozen_cannot_be_joined() -> None:
    face = apart()
    face.cluster.freeze("s1.west")

    reply = told(answered(face, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["error"] == (
        "1 error occurred:\n\t* failed to join 127.0.2.1:4648: dial tcp 127.0.2.1:4648: i/o timeout\n\n"
    )
    assert status(face.cluster, "s1.east", "s1.west") is None


def test_an_empty_address_names_no_host() -> None:
    reply = told(answered(apart(), "s1.east", f"{JOIN}?address="))

    assert reply["error"] == "1 error occurred:\n\t* failed to resolve : lookup : no such host\n\n"


def test_a_join_without_an_address_is_an_error() -> None:
    assert text(answered(apart(), "s1.east", JOIN)) == (400, "missing address to join")


@pytest.mark.parametrize("line", [f"{JOIN}?address=127.0.1.1", f"{LEAVE}?node=s1.global"])
def test_a_client_is_in_no_pool(line: str) -> None:
    assert text(answered(Face(with_clients()), "c1", line)) == (501, "Invalid method")


@pytest.mark.parametrize(("token", "warned"), [("", True), (STRANGER, True), (AGENT_READER, True), (MANAGER, False)])
def test_who_may_not_write_is_only_warned_of_the_join(token: str, warned: bool) -> None:
    reply = answered(guarded(), "s1.global", f"{JOIN}?address=127.0.1.2", token)

    assert (reply.status, told(reply)["num_joined"]) == (200, 1)
    assert told(reply)["warning"].startswith("anonymous server join is deprecated") is warned


def with_failed() -> Face:
    """Three servers, of which the others hold ``s3`` or another follower for failed."""
    cluster = calm_cluster()
    cluster.kill(gone(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), gone(cluster)) == "failed")
    return Face(cluster)


def gone(cluster: Cluster) -> str:
    """The server that is killed: the last one that does not lead."""
    return [name for name in cluster.world.agents if name != leader(cluster)][-1]


def test_a_failed_server_that_is_forced_to_leave_has_left_and_loses_its_vote() -> None:
    face = with_failed()
    cluster = face.cluster

    assert answered(face, leader(cluster), f"{LEAVE}?node={gone(cluster)}") == Answer(200)
    assert status(cluster, leader(cluster), gone(cluster)) == "left"
    pass_time(cluster, 2)
    assert suffrage(cluster, leader(cluster), gone(cluster)) is None


@pytest.mark.parametrize("value", ["true", "1"])
def test_with_prune_it_is_forgotten(value: str) -> None:
    face = with_failed()

    assert answered(face, leader(face.cluster), f"{LEAVE}?node={gone(face.cluster)}&prune={value}").status == 200
    assert status(face.cluster, leader(face.cluster), gone(face.cluster)) is None


def test_an_older_version_knows_no_prune() -> None:
    cluster = calm_cluster(version=VERSIONS["1.2"])
    cluster.kill(gone(cluster))
    time_until(cluster, lambda: status(cluster, leader(cluster), gone(cluster)) == "failed")

    assert answered(Face(cluster), leader(cluster), f"{LEAVE}?node={gone(cluster)}&prune=maybe").status == 200
    assert status(cluster, leader(cluster), gone(cluster)) == "left"


def test_a_server_that_lives_comes_back() -> None:
    cluster = calm_cluster()
    name, other = leader(cluster), gone(cluster)

    answered(Face(cluster), name, f"{LEAVE}?node={other}")

    assert status(cluster, name, other) == "leaving"
    time_until(cluster, lambda: status(cluster, name, other) == "alive", most=10)
    assert suffrage(cluster, name, other) == "Voter"


def test_a_member_that_nobody_knows_leaves_with_success() -> None:
    assert answered(Face(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody") == Answer(200)


@pytest.mark.parametrize("query", ["", "?node="])
def test_somebody_must_be_named(query: str) -> None:
    assert text(answered(Face(calm_cluster()), "s1.global", LEAVE + query)) == (400, "missing node to force leave")


def test_a_prune_that_is_no_truth_is_an_error() -> None:
    reply = answered(Face(calm_cluster()), "s1.global", f"{LEAVE}?node=nobody&prune=maybe")

    assert text(reply) == (400, "invalid prune value")


@pytest.mark.parametrize("series", ["2.0", "1.10"])
@pytest.mark.parametrize(
    ("encrypted", "words"),
    [
        (True, "encryption is configured but remote state is not encrypted"),
        (False, "remote state is encrypted and encryption is not configured"),
    ],
)
def test_one_with_the_key_of_gossip_and_one_without_do_not_join(encrypted: bool, words: str, series: str) -> None:
    face = apart(series)
    east = face.cluster.world.agents["s1.east"]
    face.cluster.reload("s1.east", replace(east.setup, encrypted=encrypted))
    west = face.cluster.world.agents["s1.west"]
    face.cluster.reload("s1.west", replace(west.setup, encrypted=not encrypted))

    reply = told(answered(face, "s1.east", f"{JOIN}?address=127.0.2.1"))

    assert reply["num_joined"] == 0
    new, old = f"failed to join 127.0.2.1:4648: {words}", f"Failed to join 127.0.2.1:4648: {words.capitalize()}"
    assert f"\t* {new if series == '2.0' else old}\n" in reply["error"]
    assert status(face.cluster, "s1.east", "s1.west") is None
