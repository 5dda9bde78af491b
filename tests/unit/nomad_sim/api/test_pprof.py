"""Profiles: who may have them, of which agent, and in which form."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from nomad_sim.api.http import TEXT, ApiResponse, Profiling
from nomad_sim.api.profile import KINDS, Frame, Stack
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import ELECTION_SECONDS, calm_cluster, client_setups, pass_time, server_setups
from tests.support.sim_requests import (
    AGENT_READER,
    MANAGER,
    MONITOR,
    UNKNOWN_TOKEN,
    api_with_acl,
    respond,
    send,
    status_and_text,
)

CMDLINE = "GET /v1/agent/pprof/cmdline"
NOSNIFF = {"X-Content-Type-Options": "nosniff"}
DENIED = (403, "Permission denied")


def debuggable(*names: str) -> NomadApi:
    """Three servers and a client without access control, of which the named may be debugged."""
    servers = server_setups()
    setups = [replace(setup, enable_debug=setup.name in names) for setup in (*servers, *client_setups(1, servers))]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, ELECTION_SECONDS)
    return NomadApi(cluster)


def profile_of(query: str) -> Profiling:
    sampled = send(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/profile{query}")
    assert isinstance(sampled, Profiling), sampled
    return sampled


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_the_command_line_is_that_of_an_agent(method: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"{method} /v1/agent/pprof/cmdline")

    assert reply == ApiResponse(200, b"/usr/bin/nomad\0agent\0-config\0/opt/nomad/agent.json", TEXT, NOSNIFF)


@pytest.mark.parametrize("name", ["cmdline", "profile", "trace", "goroutine", "nothing"])
@pytest.mark.parametrize("agent", ["s1.global", "c1"])
def test_without_access_control_nobody_may_where_debugging_is_not_enabled(agent: str, name: str) -> None:
    assert status_and_text(respond(debuggable(), agent, f"GET /v1/agent/pprof/{name}")) == DENIED


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 403), (UNKNOWN_TOKEN, 403), ("not-a-token", 403), (AGENT_READER, 403), (MONITOR, 403), (MANAGER, 200)],
)
@pytest.mark.parametrize("agent", ["s1.global", "c1"])
def test_with_access_control_who_may_write_may_though_debugging_is_not_enabled(
    agent: str, token: str, status: int
) -> None:
    assert respond(api_with_acl(), agent, CMDLINE, token).status == status


def test_an_older_version_tells_why_a_token_is_none() -> None:
    api = api_with_acl(VERSIONS["1.2"])

    assert status_and_text(respond(api, "s1.global", CMDLINE, UNKNOWN_TOKEN)) == (403, "ACL token not found")
    assert status_and_text(respond(api, "s1.global", CMDLINE, "not-a-token")) == (
        500,
        "acl token lookup failed: index error: UUID must be 36 characters",
    )


def test_there_is_no_index() -> None:
    assert status_and_text(respond(debuggable("s1"), "s1.global", "GET /v1/agent/pprof/")) == (404, "Invalid method")


@pytest.mark.parametrize("name", ["nothing", "cpu", "goroutine/x", "Heap"])
def test_a_profile_that_there_is_not_is_not_found(name: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/{name}")

    assert status_and_text(reply) == (404, f"Pprof profile not found profile: {name}")


def test_a_trace_is_what_a_simulated_agent_has_not() -> None:
    reply = respond(debuggable("s1"), "s1.global", "GET /v1/agent/pprof/trace")

    assert status_and_text(reply) == (501, "a simulated agent has no execution trace")


@pytest.mark.parametrize("name", [kind for kind in KINDS if kind != "cpu"])
def test_a_profile_of_this_moment_is_a_file(name: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/{name}")

    assert (reply.status, reply.content_type) == (200, "application/octet-stream")
    assert reply.headers == {"Content-Disposition": f'attachment; filename="{name}"', **NOSNIFF}
    assert KINDS[name].measures[0].type.encode() in gzip.decompress(reply.body)


@pytest.mark.parametrize("name", ["goroutine", "threadcreate"])
def test_some_of_them_know_the_threads_of_this_process(name: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/{name}")

    assert b"test_some_of_them_know_the_threads_of_this_process" in gzip.decompress(reply.body)


@pytest.mark.parametrize(
    ("debug", "begin"),
    [("1", "goroutine profile: total "), ("2", "goroutine 1 [running]:\n"), ("3", "goroutine 1 [running]:\n")],
)
def test_goroutines_can_be_read(debug: str, begin: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/goroutine?debug={debug}")

    assert (reply.status, reply.content_type, reply.headers) == (200, TEXT, NOSNIFF)
    assert reply.body.decode().startswith(begin)
    assert "test_goroutines_can_be_read" in reply.body.decode()


@pytest.mark.parametrize("name", ["heap", "allocs", "block", "mutex", "threadcreate"])
def test_of_the_others_there_is_nothing_to_read(name: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/{name}?debug=1")

    assert status_and_text(reply) == (200, f"{name} profile: total 0\n")


@pytest.mark.parametrize("debug", ["0", "", "x", "-1", "1.5"])
def test_what_is_no_number_is_none(debug: str) -> None:
    reply = respond(debuggable("s1"), "s1.global", f"GET /v1/agent/pprof/goroutine?debug={debug}")

    assert reply.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", 1.0),
        ("?seconds=5", 5.0),
        ("?seconds=0", 1.0),
        ("?seconds=", 1.0),
        ("?seconds=soon", 1.0),
        ("?seconds=60", 60.0),
        ("?seconds=61", 60.0),
        ("?seconds=999999999", 60.0),
        ("?seconds=1000000000", 1.0),
        ("?seconds=٣", 1.0),
    ],
)
def test_a_profile_takes_as_many_seconds_as_were_asked_for(query: str, seconds: float) -> None:
    assert profile_of(query).seconds == seconds


def test_a_profile_is_made_of_what_was_seen_meanwhile() -> None:
    capture: tuple[Stack, ...] = ((Frame("work", "work.py", 1),),)

    reply = profile_of("").finish([capture] * 3)

    assert reply.headers["Content-Disposition"] == 'attachment; filename="profile"'
    assert b"work.py" in gzip.decompress(reply.body)


def test_two_agents_at_once_are_too_many() -> None:
    reply = respond(debuggable("s1"), "s1.global", f"{CMDLINE}?node_id=a&server_id=b")

    assert status_and_text(reply) == (400, "Cannot target node and server simultaneously")


@pytest.mark.parametrize(
    ("query", "status"),
    [("?node_id=id-global-c1", 200), ("?server_id=s2", 403), ("?server_id=s1", 200), ("?node_id=x", 404), ("", 200)],
)
def test_the_agent_that_is_meant_must_be_debuggable(query: str, status: int) -> None:
    assert respond(debuggable("s1", "c1"), "s1.global", CMDLINE + query).status == status


def test_an_unknown_server_is_an_error() -> None:
    reply = respond(debuggable("s1"), "s1.global", f"{CMDLINE}?server_id=nothing")

    assert status_and_text(reply) == (500, "unknown Nomad server nothing")


def test_whom_it_means_is_looked_at_only_for_who_may_write() -> None:
    assert status_and_text(respond(api_with_acl(), "s1.global", f"{CMDLINE}?node_id=nothing", MONITOR)) == DENIED


def test_a_profile_of_one_that_may_not_be_debugged_is_told_before_its_name() -> None:
    api = NomadApi(calm_cluster())

    assert status_and_text(respond(api, "s1.global", "GET /v1/agent/pprof/nothing")) == DENIED
