"""The table of paths: methods, roles and order of the checks."""

from __future__ import annotations

import pytest

from nomad_sim.api.http import JSON, TEXT, ApiResponse
from nomad_sim.api.routes import PAUSED_REPLY, ROUTES, NomadApi, handle
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, pass_time
from tests.support.sim_requests import (
    api_of_one_agent,
    api_request,
    api_with_acl,
    body_of,
    is_pending,
    respond,
    send,
    status_and_text,
    with_clients,
)

METHOD_CHECKED = sorted(set(ROUTES) - {"/v1/agent/monitor"})
WRITE_ONLY = {"/v1/agent/join", "/v1/agent/force-leave"}


@pytest.mark.parametrize("path", METHOD_CHECKED)
@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PATCH", "OPTIONS"])
def test_unsupported_method_is_rejected(method: str, path: str) -> None:
    reply = respond(api_of_one_agent(), "s1.global", f"{method} {path}")

    assert reply == ApiResponse(405, b"Invalid method", TEXT)


@pytest.mark.parametrize("path", sorted(set(METHOD_CHECKED) - WRITE_ONLY - {"/v1/agent/servers"}))
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_read_endpoint_rejects_writes(method: str, path: str) -> None:
    assert status_and_text(respond(api_of_one_agent(), "s1.global", f"{method} {path}")) == (405, "Invalid method")


@pytest.mark.parametrize("path", sorted(WRITE_ONLY))
def test_write_endpoint_rejects_reads(path: str) -> None:
    assert status_and_text(respond(api_of_one_agent(), "s1.global", f"GET {path}")) == (405, "Invalid method")


@pytest.mark.parametrize("line", ["PUT /v1/agent/join", "POST /v1/agent/force-leave"])
def test_missing_role_is_reported_as_invalid_method(line: str) -> None:
    assert respond(NomadApi(calm_cluster(clients=1)), "c1", line) == ApiResponse(501, b"Invalid method", TEXT)


def test_method_is_checked_before_role() -> None:
    assert respond(NomadApi(calm_cluster(clients=1)), "c1", "GET /v1/agent/join").status == 405


def test_role_is_checked_before_token() -> None:
    assert respond(api_with_acl(), "s1.global", "GET /v1/agent/servers").status == 501


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/agent/nothing", "/v1/agent/self/", "/v1/agent/pprof", "/v1/agent/members/x", "/ui/", "/v1//agent/self"],
)
def test_unknown_path_is_an_empty_404(path: str) -> None:
    assert respond(api_of_one_agent(), "s1.global", f"GET {path}") == ApiResponse(404, b"", None)


@pytest.mark.parametrize("line", ["GET /v1/agent/self", "GET /v1/agent/health", "PUT /v1/agent/self", "GET /nothing"])
@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_paused_agent_does_not_respond(name: str, line: str) -> None:
    api = NomadApi(with_clients())
    api.cluster.pause(name)

    assert send(api, name, line) == PAUSED_REPLY
    assert is_pending(api, name, line)


def test_resumed_agent_responds_to_earlier_requests() -> None:
    api = NomadApi(calm_cluster())
    api.cluster.pause("s2.global")
    request = api_request(api.cluster, "GET /v1/agent/self")
    pass_time(api.cluster, 30)
    api.cluster.resume("s2.global")
    reply = handle(api, "s2.global", request)

    assert isinstance(reply, ApiResponse)
    assert reply.status == 200


@pytest.mark.parametrize("series", VERSIONS)
def test_prometheus_metrics_are_disabled(series: str) -> None:
    api = api_of_one_agent(VERSIONS[series])

    assert status_and_text(respond(api, "s1.global", "GET /v1/metrics?format=prometheus")) == (
        415,
        "Prometheus is not enabled",
    )


@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_self_has_config_member_and_stats(name: str) -> None:
    reply = respond(NomadApi(calm_cluster(clients=1)), name, "GET /v1/agent/self")

    assert (reply.status, reply.content_type, reply.headers) == (200, JSON, {})
    assert body_of(reply).keys() == {"config", "member", "stats"}
    assert body_of(reply)["config"]["Region"] == "global"


@pytest.mark.parametrize("path", ["self", "members", "health", "servers"])
def test_pretty_indents_every_json_response(path: str) -> None:
    api = NomadApi(with_clients())
    plain, pretty = (respond(api, "c1", f"GET /v1/agent/{path}{query}") for query in ("", "?pretty"))

    assert b"\n    " not in plain.body
    assert b"\n    " in pretty.body


def test_pretty_indents_failing_health() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", "GET /v1/agent/health?type=client&pretty")

    assert (reply.status, reply.content_type) == (500, TEXT)
    assert reply.body.startswith(b'{\n    "client": {\n')
