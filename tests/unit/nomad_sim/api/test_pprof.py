"""Profiles: permissions, target agents and formats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.api.http import TEXT, ApiResponse
from nomad_sim.api.profile import EXECUTION_TRACE, SAMPLE_TYPES, encode_profile
from nomad_sim.api.routes import NomadApi
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, client_setups, elected_cluster, server_setups
from tests.support.sim_requests import (
    AGENT_READER,
    MANAGER,
    MONITOR,
    UNKNOWN_TOKEN,
    api_with_acl,
    respond,
    status_and_text,
    wait_for_response,
)

CMDLINE = "GET /v1/agent/pprof/cmdline"
NOSNIFF = {"X-Content-Type-Options": "nosniff"}
DENIED = (403, "Permission denied")


def api_with_debug(*names: str) -> NomadApi:
    """Return three servers and a client without ACLs; the named agents have ``enable_debug``."""
    servers = server_setups()
    setups = [replace(setup, enable_debug=setup.name in names) for setup in (*servers, *client_setups(1, servers))]
    return NomadApi(elected_cluster(*setups))


def file_response(name: str, body: bytes) -> ApiResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **NOSNIFF}
    return ApiResponse(200, body, "application/octet-stream", headers)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_cmdline_is_the_command_line_of_nomad(method: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"{method} /v1/agent/pprof/cmdline")

    assert response == ApiResponse(200, b"/usr/bin/nomad\0agent\0-config\0/opt/nomad/agent.json", TEXT, NOSNIFF)


@pytest.mark.parametrize("name", ["cmdline", "profile", "trace", "goroutine", "nothing"])
@pytest.mark.parametrize("agent", ["s1.global", "c1"])
def test_profiles_without_acl_require_enable_debug(agent: str, name: str) -> None:
    assert status_and_text(respond(api_with_debug(), agent, f"GET /v1/agent/pprof/{name}")) == DENIED


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 403), (UNKNOWN_TOKEN, 403), ("not-a-token", 403), (AGENT_READER, 403), (MONITOR, 403), (MANAGER, 200)],
)
@pytest.mark.parametrize("agent", ["s1.global", "c1"])
def test_profiles_with_acl_require_agent_write_only(agent: str, token: str, status: int) -> None:
    assert respond(api_with_acl(), agent, CMDLINE, token).status == status


def test_older_version_names_the_token_error() -> None:
    api = api_with_acl(VERSIONS["1.2"])

    assert status_and_text(respond(api, "s1.global", CMDLINE, UNKNOWN_TOKEN)) == (403, "ACL token not found")
    assert status_and_text(respond(api, "s1.global", CMDLINE, "not-a-token")) == (
        500,
        "acl token lookup failed: index error: UUID must be 36 characters",
    )


def test_index_of_profiles_does_not_exist() -> None:
    response = respond(api_with_debug("s1"), "s1.global", "GET /v1/agent/pprof/")

    assert status_and_text(response) == (404, "Invalid method")


@pytest.mark.parametrize("name", ["nothing", "cpu", "goroutine/x", "Heap"])
def test_unknown_profile_is_not_found(name: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"GET /v1/agent/pprof/{name}")

    assert status_and_text(response) == (404, f"Pprof profile not found profile: {name}")


@pytest.mark.parametrize("name", [name for name in SAMPLE_TYPES if name != "profile"])
def test_instant_profile_is_a_file(name: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"GET /v1/agent/pprof/{name}")

    assert response == file_response(name, encode_profile(name))


@pytest.mark.parametrize(
    ("debug", "prefix"),
    [("1", "goroutine profile: total "), ("2", "goroutine 1 [running]:\n"), ("3", "goroutine 1 [running]:\n")],
)
def test_debug_selects_text_format_of_goroutines(debug: str, prefix: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"GET /v1/agent/pprof/goroutine?debug={debug}")

    assert (response.status, response.content_type, response.headers) == (200, TEXT, NOSNIFF)
    assert response.body.decode().startswith(prefix)
    assert "main.main" in response.body.decode()


@pytest.mark.parametrize("name", ["heap", "allocs", "block", "mutex", "threadcreate"])
def test_text_format_of_other_profiles_is_empty(name: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"GET /v1/agent/pprof/{name}?debug=1")

    assert status_and_text(response) == (200, f"{name} profile: total 0\n")


@pytest.mark.parametrize("debug", ["0", "", "x", "-1", "1.5"])
def test_invalid_debug_value_is_0(debug: str) -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"GET /v1/agent/pprof/goroutine?debug={debug}")

    assert response.content_type == "application/octet-stream"


@pytest.mark.parametrize("name", ["profile", "trace"])
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
def test_timed_profile_takes_the_requested_seconds(name: str, query: str, seconds: float) -> None:
    api = api_with_debug("s1")
    response, waited = wait_for_response(api, "s1.global", f"GET /v1/agent/pprof/{name}{query}", timeout=70.0)

    assert response == file_response(name, EXECUTION_TRACE if name == "trace" else encode_profile(name))
    assert seconds <= waited < seconds + 0.2


def test_cpu_profile_ignores_debug() -> None:
    response, _ = wait_for_response(api_with_debug("s1"), "s1.global", "GET /v1/agent/pprof/profile?debug=1")

    assert response.content_type == "application/octet-stream"


def test_two_targets_are_rejected() -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"{CMDLINE}?node_id=a&server_id=b")

    assert status_and_text(response) == (400, "Cannot target node and server simultaneously")


@pytest.mark.parametrize(
    ("query", "status"),
    [("?node_id=id-global-c1", 200), ("?server_id=s2", 403), ("?server_id=s1", 200), ("?node_id=x", 404), ("", 200)],
)
def test_target_agent_requires_enable_debug(query: str, status: int) -> None:
    assert respond(api_with_debug("s1", "c1"), "s1.global", CMDLINE + query).status == status


def test_unknown_server_is_an_error() -> None:
    response = respond(api_with_debug("s1"), "s1.global", f"{CMDLINE}?server_id=nothing")

    assert status_and_text(response) == (500, "unknown Nomad server nothing")


def test_token_is_checked_before_target() -> None:
    assert status_and_text(respond(api_with_acl(), "s1.global", f"{CMDLINE}?node_id=nothing", MONITOR)) == DENIED


def test_enable_debug_is_checked_before_profile_name() -> None:
    api = NomadApi(calm_cluster())

    assert status_and_text(respond(api, "s1.global", "GET /v1/agent/pprof/nothing")) == DENIED
