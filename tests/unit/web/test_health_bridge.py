"""The health bridge: the last health of an agent, without delay, in the form of Nomad's own endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Reading
from nomad_exporter.server.http import Request, Response
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.health import bridge
from tests.support.pages import NOW, failed, fleet, get, handle, health, recorded, site_of, store_of

THRESHOLDS = Thresholds(health_interval=5.0)

OK = {"ok": True, "message": "ok"}

SERVER = recorded(HEALTH, "2.0.5/healthy/s1-follower")
CLIENT = recorded(HEALTH, "2.0.5/healthy/c1-client")
BOTH = recorded(HEALTH, "2.0.5/single/bacon-mac")

UNRESPONSIVE_LEADER = health(
    Health(
        plain=HealthAnswer(500, {Role.SERVER: Check(ok=False, message="leader did not answer within 4s")}),
        stale=HealthAnswer(200, {Role.SERVER: Check(ok=True, message="ok")}),
        leader_reachable=False,
    )
)
"""The agent knows a leader, but that leader did not answer in time."""

UNHEALTHY_CLIENT = {Role.CLIENT: Check(ok=False, message="no known servers"), Role.SERVER: Check(ok=True, message="ok")}
HALF_UNHEALTHY = health(Health(plain=HealthAnswer(500, UNHEALTHY_CLIENT), stale=HealthAnswer(500, UNHEALTHY_CLIENT)))


def respond(*readings: Reading[Any], target: str = "/health", after: float = 0.0) -> Response:
    """Return the response to ``target``, ``after`` seconds after the ``readings`` of the only agent."""
    return bridge(site_of(store_of(*readings), THRESHOLDS), get(target), NOW + after)


def error_body(message: str) -> bytes:
    return json.dumps({"exporter": {"ok": False, "message": message}}, separators=(",", ":")).encode()


def status_and_checks(response: Response) -> tuple[int, Any]:
    return response.status_code, json.loads(response.body)


@pytest.mark.parametrize("version", ["1.2.16", "1.6.10", "1.10.5", "2.0.5"])
@pytest.mark.parametrize(
    ("situation", "roles"), [("healthy/s1-follower", ["server"]), ("healthy/c1-client", ["client"])]
)
def test_healthy_agent_is_200(version: str, situation: str, roles: list[str]) -> None:
    response = respond(recorded(HEALTH, f"{version}/{situation}"))

    assert status_and_checks(response) == (200, dict.fromkeys(roles, OK))


def test_agent_of_both_roles_has_both_checks() -> None:
    assert status_and_checks(respond(BOTH)) == (200, {"client": OK, "server": OK})


def test_unhealthy_answer_is_passed_on() -> None:
    response = respond(recorded(HEALTH, "2.0.5/no-servers/c8-client"))

    assert status_and_checks(response) == (500, {"client": {"ok": False, "message": "no known servers"}})


def test_unhealthy_stale_answer_is_passed_on() -> None:
    response = respond(recorded(HEALTH, "2.0.5/no-leader/s3-follower"))

    assert status_and_checks(response) == (500, {"server": {"ok": False, "message": "no leader"}})


def test_unhealthy_plain_answer_wins_over_stale_one() -> None:
    status, checks = status_and_checks(respond(recorded(HEALTH, "2.0.5/leader-just-died/s3-follower")))

    assert (status, checks["server"]["ok"]) == (500, False)
    assert "connection refused" in checks["server"]["message"]


def test_unresponsive_leader_makes_a_server_unhealthy() -> None:
    assert status_and_checks(respond(UNRESPONSIVE_LEADER)) == (
        500,
        {"server": {"ok": False, "message": "leader did not answer within 4s"}},
    )


def test_one_unhealthy_role_makes_the_response_500() -> None:
    assert status_and_checks(respond(HALF_UNHEALTHY)) == (
        500,
        {"client": {"ok": False, "message": "no known servers"}, "server": OK},
    )


def test_failed_poll_is_503_with_the_reason() -> None:
    response = respond(failed(HEALTH, FailureReason.REFUSED, "connection refused"))

    assert status_and_checks(response) == (
        503,
        {"agent": {"ok": False, "message": "exporter: refused: connection refused"}},
    )


def test_timeout_is_503() -> None:
    status, checks = status_and_checks(respond(recorded(HEALTH, "2.0.5/frozen/s1-follower")))

    assert status == 503
    assert checks["agent"]["message"].startswith("exporter: timeout: ")


@pytest.mark.parametrize(
    ("before", "roles"),
    [
        pytest.param(SERVER, ["server"], id="server"),
        pytest.param(CLIENT, ["client"], id="client"),
        pytest.param(BOTH, ["client", "server"], id="both"),
        pytest.param(recorded(SELF, "2.0.5/healthy/s1-follower"), ["server"], id="known-by-self"),
    ],
)
def test_failed_poll_makes_every_known_role_unknown(before: Reading[Any], roles: list[str]) -> None:
    response = respond(before, failed(HEALTH))

    unknown = {"ok": False, "message": "exporter: refused: connection refused"}
    assert status_and_checks(response) == (503, dict.fromkeys(roles, unknown))


def test_answer_after_a_failure_is_used() -> None:
    assert status_and_checks(respond(failed(HEALTH), SERVER)) == (200, {"server": OK})


def test_unpolled_agent_is_503() -> None:
    response = respond()

    assert status_and_checks(response) == (
        503,
        {"agent": {"ok": False, "message": "exporter: no poll has completed yet"}},
    )
    assert "Age" not in response.headers


def test_answer_is_used_for_three_health_intervals() -> None:
    assert respond(SERVER, after=15.0).status_code == 200


def test_older_answer_is_503() -> None:
    response = respond(SERVER, after=15.14)

    assert status_and_checks(response) == (
        503,
        {"server": {"ok": False, "message": "exporter: last answer is 15.1s old"}},
    )


@pytest.mark.parametrize(
    ("reading", "target", "status", "checks"),
    [
        pytest.param(BOTH, "/health?type=client", 200, {"client": OK}, id="client-of-both"),
        pytest.param(BOTH, "/health?type=server", 200, {"server": OK}, id="server-of-both"),
        pytest.param(BOTH, "/health?type=client&type=server", 200, {"client": OK, "server": OK}, id="both-of-both"),
        pytest.param(
            SERVER,
            "/health?type=client",
            500,
            {"client": {"ok": False, "message": "client not enabled"}},
            id="client-of-a-server",
        ),
        pytest.param(
            CLIENT,
            "/health?type=server",
            500,
            {"server": {"ok": False, "message": "server not enabled"}},
            id="server-of-a-client",
        ),
        pytest.param(
            SERVER,
            "/health?type=server&type=client",
            500,
            {"server": OK, "client": {"ok": False, "message": "client not enabled"}},
            id="both-of-a-server",
        ),
        pytest.param(
            HALF_UNHEALTHY, "/health?type=server", 200, {"server": OK}, id="healthy-role-of-a-half-healthy-agent"
        ),
        pytest.param(
            HALF_UNHEALTHY,
            "/health?type=client",
            500,
            {"client": {"ok": False, "message": "no known servers"}},
            id="unhealthy-role-of-a-half-healthy-agent",
        ),
    ],
)
def test_type_selects_roles(reading: Reading[Any], target: str, status: int, checks: dict[str, Any]) -> None:
    assert status_and_checks(respond(reading, target=target)) == (status, checks)


def test_type_selects_roles_of_an_unknown_agent() -> None:
    response = respond(BOTH, failed(HEALTH), target="/health?type=client")

    assert status_and_checks(response) == (
        503,
        {"client": {"ok": False, "message": "exporter: refused: connection refused"}},
    )


@pytest.mark.parametrize("value", ["", "foo", "Server", "client,server", "server&type=foo"])
def test_invalid_type_is_400(value: str) -> None:
    response = respond(SERVER, target=f"/health?type={value}")

    got = value.rpartition("=")[2]
    assert (response.status_code, response.body) == (400, error_body(f"type must be client or server (got {got!r})"))


@pytest.mark.parametrize(
    "query", ["stale", "stale=", "stale=1", "stale=t", "stale=T", "stale=TRUE", "stale=true", "stale=True"]
)
def test_stale_answer_can_be_requested(query: str) -> None:
    assert status_and_checks(respond(UNRESPONSIVE_LEADER, target=f"/health?{query}")) == (200, {"server": OK})


@pytest.mark.parametrize("query", ["stale=0", "stale=f", "stale=F", "stale=FALSE", "stale=false", "stale=False"])
def test_stale_answer_can_be_declined(query: str) -> None:
    assert respond(UNRESPONSIVE_LEADER, target=f"/health?{query}").status_code == 500


@pytest.mark.parametrize("value", ["maybe", "yes", "tRuE", "%20"])
def test_stale_that_nomad_rejects_is_400(value: str) -> None:
    assert respond(SERVER, target=f"/health?stale={value}").status_code == 400


def test_stale_and_type_can_be_combined() -> None:
    response = respond(UNRESPONSIVE_LEADER, target="/health?stale&type=server")

    assert status_and_checks(response) == (200, {"server": OK})


def test_no_name_with_several_agents_is_400() -> None:
    response = bridge(site_of(fleet("a1", "a2")), get("/health"), NOW)

    assert (response.status_code, response.body) == (
        400,
        error_body("select one agent with ?agent=NAME (known: a1, a2)"),
    )


def test_named_agent_is_selected() -> None:
    store = fleet("a1", "a2")
    store.record(store.entries()[1].snapshot.agent, CLIENT)
    site = site_of(store, THRESHOLDS)

    assert bridge(site, get("/health?agent=a1"), NOW).status_code == 503
    assert bridge(site, get("/health?agent=a2"), NOW).status_code == 200


def test_unknown_agent_is_404() -> None:
    response = respond(SERVER, target="/health?agent=b1")

    assert (response.status_code, response.body) == (404, error_body("unknown agent 'b1' (known: a1)"))


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([SERVER], id="healthy"),
        pytest.param([UNRESPONSIVE_LEADER], id="unhealthy"),
        pytest.param([failed(HEALTH)], id="unknown"),
        pytest.param([], id="not-polled-yet"),
    ],
)
def test_response_is_json_and_not_cached(readings: list[Reading[Any]]) -> None:
    headers = respond(*readings).all_headers

    assert (headers["Content-Type"], headers["Cache-Control"]) == ("application/json", "no-store")


@pytest.mark.parametrize(
    ("readings", "after", "age"),
    [
        pytest.param([SERVER], 0.0, "0", id="fresh"),
        pytest.param([SERVER], 3.9, "3", id="whole-seconds"),
        pytest.param([SERVER], 60.0, "60", id="too-old"),
        pytest.param([failed(HEALTH)], 2.0, "2", id="after-a-failure"),
        pytest.param([SERVER], -0.5, "0", id="never-negative"),
    ],
)
def test_response_has_the_age_of_the_last_poll(readings: list[Reading[Any]], after: float, age: str) -> None:
    assert respond(*readings, after=after).headers["Age"] == age


@pytest.mark.parametrize("path", ["/health", "/v1/agent/health"])
def test_head_is_handled_like_get_on_both_paths(path: str) -> None:
    site = site_of(store_of(UNRESPONSIVE_LEADER), THRESHOLDS)

    by_get, by_head = (handle(site, Request(method, path), NOW) for method in ("GET", "HEAD"))

    assert by_get.status_code == 500
    assert by_head == by_get
