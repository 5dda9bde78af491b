"""The table of paths: which there are, how they are asked, and who needs which role."""

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

LOOKED_AT = sorted(set(ROUTES) - {"/v1/agent/monitor"})
CHANGES = {"/v1/agent/join", "/v1/agent/force-leave"}


@pytest.mark.parametrize("path", LOOKED_AT)
@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PATCH", "OPTIONS"])
def test_a_method_that_is_none_is_refused(method: str, path: str) -> None:
    reply = respond(api_of_one_agent(), "s1.global", f"{method} {path}")

    assert reply == ApiResponse(405, b"Invalid method", TEXT)


@pytest.mark.parametrize("path", sorted(set(LOOKED_AT) - CHANGES - {"/v1/agent/servers"}))
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_is_read_cannot_be_changed(method: str, path: str) -> None:
    assert status_and_text(respond(api_of_one_agent(), "s1.global", f"{method} {path}")) == (405, "Invalid method")


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_what_changes_cannot_be_read(path: str) -> None:
    assert status_and_text(respond(api_of_one_agent(), "s1.global", f"GET {path}")) == (405, "Invalid method")


@pytest.mark.parametrize("line", ["PUT /v1/agent/join", "POST /v1/agent/force-leave"])
def test_a_role_that_is_not_there_is_refused_in_the_same_words(line: str) -> None:
    assert respond(NomadApi(calm_cluster(clients=1)), "c1", line) == ApiResponse(501, b"Invalid method", TEXT)


def test_the_method_is_looked_at_before_the_role() -> None:
    assert respond(NomadApi(calm_cluster(clients=1)), "c1", "GET /v1/agent/join").status == 405


def test_the_role_is_looked_at_before_the_token() -> None:
    assert respond(api_with_acl(), "s1.global", "GET /v1/agent/servers").status == 501


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/agent/nothing", "/v1/agent/self/", "/v1/agent/pprof", "/v1/agent/members/x", "/ui/", "/v1//agent/self"],
)
def test_another_path_is_not_found_and_has_nothing_to_say(path: str) -> None:
    assert respond(api_of_one_agent(), "s1.global", f"GET {path}") == ApiResponse(404, b"", None)


@pytest.mark.parametrize("line", ["GET /v1/agent/self", "GET /v1/agent/health", "PUT /v1/agent/self", "GET /nothing"])
@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_a_frozen_agent_answers_nothing_for_ever(name: str, line: str) -> None:
    api = NomadApi(with_clients())
    api.cluster.pause(name)

    assert send(api, name, line) == PAUSED_REPLY
    assert is_pending(api, name, line)


def test_an_agent_that_goes_on_answers_what_it_was_asked_meanwhile() -> None:
    api = NomadApi(calm_cluster())
    api.cluster.pause("s2.global")
    target = api_request(api.cluster, "GET /v1/agent/self")
    pass_time(api.cluster, 30)
    api.cluster.resume("s2.global")
    reply = handle(api, "s2.global", target)

    assert isinstance(reply, ApiResponse)
    assert reply.status == 200


@pytest.mark.parametrize("series", VERSIONS)
def test_its_own_telemetry_is_off(series: str) -> None:
    api = api_of_one_agent(VERSIONS[series])

    assert status_and_text(respond(api, "s1.global", "GET /v1/metrics?format=prometheus")) == (
        415,
        "Prometheus is not enabled",
    )


@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_an_agent_tells_its_configuration_its_member_and_its_stats(name: str) -> None:
    reply = respond(NomadApi(calm_cluster(clients=1)), name, "GET /v1/agent/self")

    assert (reply.status, reply.content_type, reply.headers) == (200, JSON, {})
    assert body_of(reply).keys() == {"config", "member", "stats"}
    assert body_of(reply)["config"]["Region"] == "global"


@pytest.mark.parametrize("path", ["self", "members", "health", "servers"])
def test_every_answer_in_json_can_be_pretty(path: str) -> None:
    api = NomadApi(with_clients())
    plain, pretty = (respond(api, "c1", f"GET /v1/agent/{path}{query}") for query in ("", "?pretty"))

    assert b"\n    " not in plain.body
    assert b"\n    " in pretty.body


def test_a_verdict_that_is_red_can_be_pretty_too() -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", "GET /v1/agent/health?type=client&pretty")

    assert (reply.status, reply.content_type) == (500, TEXT)
    assert reply.body.startswith(b'{\n    "client": {\n')
