"""The health bridge: what Nomad would answer, but now."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.bridge import bridge
from nomad_exporter.web.http import Request, Response
from nomad_exporter.web.routes import Site, handle
from tests.support.pages import NOW, failed, fleet, get, health, store_of, told

LIMITS = Thresholds(health_interval=5.0)

OK = {"ok": True, "message": "ok"}

SERVER = told(Source.HEALTH, "2.0.5/healthy/s1-follower")
CLIENT = told(Source.HEALTH, "2.0.5/healthy/c1-client")
BOTH = told(Source.HEALTH, "2.0.5/single/bacon-mac")

SILENT_LEADER = health(
    Health(
        plain=HealthAnswer(500, {Role.SERVER: Check(ok=False, message="leader did not answer within 4s")}),
        stale=HealthAnswer(200, {Role.SERVER: Check(ok=True, message="ok")}),
        leader_reachable=False,
    )
)
"""The agent believes in a leader who did not answer in time."""

RED_CLIENT = {Role.CLIENT: Check(ok=False, message="no known servers"), Role.SERVER: Check(ok=True, message="ok")}
HALF_RED = health(Health(plain=HealthAnswer(500, RED_CLIENT), stale=HealthAnswer(500, RED_CLIENT)))


def answered(*readings: AnyReading, target: str = "/health", after: float = 0.0) -> Response:
    """The answer to ``target``, ``after`` seconds after the ``readings`` of the only agent."""
    return bridge(store_of(*readings), get(target), NOW + after, LIMITS)


def told_by_us(message: str) -> bytes:
    return json.dumps({"exporter": {"ok": False, "message": message}}, separators=(",", ":")).encode()


def told_by(response: Response) -> tuple[int, Any]:
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("version", ["1.2.16", "1.6.10", "1.10.5", "2.0.5"])
@pytest.mark.parametrize(
    ("situation", "roles"), [("healthy/s1-follower", ["server"]), ("healthy/c1-client", ["client"])]
)
def test_a_well_agent_is_well(version: str, situation: str, roles: list[str]) -> None:
    response = answered(told(Source.HEALTH, f"{version}/{situation}"))

    assert told_by(response) == (200, dict.fromkeys(roles, OK))


def test_an_agent_of_both_roles_is_judged_in_both() -> None:
    assert told_by(answered(BOTH)) == (200, {"client": OK, "server": OK})


def test_a_red_answer_is_the_answer() -> None:
    response = answered(told(Source.HEALTH, "2.0.5/no-servers/c8-client"))

    assert told_by(response) == (500, {"client": {"ok": False, "message": "no known servers"}})


def test_a_red_stale_answer_is_the_answer() -> None:
    response = answered(told(Source.HEALTH, "2.0.5/no-leader/s3-follower"))

    assert told_by(response) == (500, {"server": {"ok": False, "message": "no leader"}})


def test_a_plain_answer_that_is_red_is_the_answer_though_stale_is_well() -> None:
    status, told_checks = told_by(answered(told(Source.HEALTH, "2.0.5/leader-just-died/s3-follower")))

    assert (status, told_checks["server"]["ok"]) == (500, False)
    assert "connection refused" in told_checks["server"]["message"]


def test_a_leader_who_does_not_answer_makes_a_server_red() -> None:
    assert told_by(answered(SILENT_LEADER)) == (
        500,
        {"server": {"ok": False, "message": "leader did not answer within 4s"}},
    )


def test_one_red_role_makes_the_whole_answer_red() -> None:
    assert told_by(answered(HALF_RED)) == (
        500,
        {"client": {"ok": False, "message": "no known servers"}, "server": OK},
    )


def test_an_agent_that_cannot_be_asked_is_unknown_with_the_reason() -> None:
    response = answered(failed(Source.HEALTH, FailureReason.REFUSED, "connection refused"))

    assert told_by(response) == (
        503,
        {"agent": {"ok": False, "message": "exporter: refused: connection refused"}},
    )


def test_an_agent_that_hangs_is_unknown() -> None:
    status, told_checks = told_by(answered(told(Source.HEALTH, "2.0.5/frozen/s1-follower")))

    assert status == 503
    assert told_checks["agent"]["message"].startswith("exporter: timeout: ")


@pytest.mark.parametrize(
    ("before", "roles"),
    [
        pytest.param(SERVER, ["server"], id="server"),
        pytest.param(CLIENT, ["client"], id="client"),
        pytest.param(BOTH, ["client", "server"], id="both"),
        pytest.param(told(Source.SELF, "2.0.5/healthy/s1-follower"), ["server"], id="known-by-self"),
    ],
)
def test_a_failure_makes_every_role_that_is_known_unknown(before: AnyReading, roles: list[str]) -> None:
    response = answered(before, failed(Source.HEALTH))

    red = {"ok": False, "message": "exporter: refused: connection refused"}
    assert told_by(response) == (503, dict.fromkeys(roles, red))


def test_an_answer_after_a_failure_counts_again() -> None:
    assert told_by(answered(failed(Source.HEALTH), SERVER)) == (200, {"server": OK})


def test_an_agent_that_was_not_asked_yet_is_unknown() -> None:
    response = answered()

    assert told_by(response) == (
        503,
        {"agent": {"ok": False, "message": "exporter: the agent has not been asked yet"}},
    )
    assert "Age" not in response.headers


def test_an_answer_of_three_health_intervals_is_still_given() -> None:
    assert answered(SERVER, after=15.0).status == 200


def test_an_older_answer_is_not_given_any_more() -> None:
    response = answered(SERVER, after=15.14)

    assert told_by(response) == (
        503,
        {"server": {"ok": False, "message": "exporter: the newest answer is 15.1s old"}},
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
        pytest.param(HALF_RED, "/health?type=server", 200, {"server": OK}, id="well-role-of-a-half-red-agent"),
        pytest.param(
            HALF_RED,
            "/health?type=client",
            500,
            {"client": {"ok": False, "message": "no known servers"}},
            id="red-role-of-a-half-red-agent",
        ),
    ],
)
def test_one_role_can_be_asked_for_alone(reading: AnyReading, target: str, status: int, checks: dict[str, Any]) -> None:
    assert told_by(answered(reading, target=target)) == (status, checks)


def test_a_role_that_is_asked_for_alone_is_unknown_alone() -> None:
    response = answered(BOTH, failed(Source.HEALTH), target="/health?type=client")

    assert told_by(response) == (
        503,
        {"client": {"ok": False, "message": "exporter: refused: connection refused"}},
    )


@pytest.mark.parametrize("value", ["", "foo", "Server", "client,server", "server&type=foo"])
def test_a_type_that_is_no_role_is_400_and_not_a_green_nothing(value: str) -> None:
    response = answered(SERVER, target=f"/health?type={value}")

    assert (response.status, response.body) == (400, told_by_us("type must be client or server"))


@pytest.mark.parametrize(
    "query", ["stale", "stale=", "stale=1", "stale=t", "stale=T", "stale=TRUE", "stale=true", "stale=True"]
)
def test_the_stale_answer_can_be_asked_for(query: str) -> None:
    assert told_by(answered(SILENT_LEADER, target=f"/health?{query}")) == (200, {"server": OK})


@pytest.mark.parametrize("query", ["stale=0", "stale=f", "stale=F", "stale=FALSE", "stale=false", "stale=False"])
def test_the_stale_answer_can_be_declined(query: str) -> None:
    assert answered(SILENT_LEADER, target=f"/health?{query}").status == 500


@pytest.mark.parametrize("value", ["maybe", "yes", "tRuE", "%20"])
def test_a_stale_that_nomad_would_not_understand_is_400(value: str) -> None:
    assert answered(SERVER, target=f"/health?stale={value}").status == 400


def test_one_role_of_the_stale_answer_can_be_asked_for() -> None:
    response = answered(SILENT_LEADER, target="/health?stale&type=server")

    assert told_by(response) == (200, {"server": OK})


def test_of_several_agents_one_must_be_named() -> None:
    response = bridge(fleet("a1", "a2"), get("/health"), NOW, LIMITS)

    assert (response.status, response.body) == (400, told_by_us("name one agent with ?agent=; known: a1, a2"))


def test_of_several_agents_the_one_that_is_named_answers() -> None:
    store = fleet("a1", "a2")
    store.record(store.entries()[1].snapshot.agent, CLIENT)

    assert bridge(store, get("/health?agent=a1"), NOW, LIMITS).status == 503
    assert bridge(store, get("/health?agent=a2"), NOW, LIMITS).status == 200


def test_an_agent_that_is_not_watched_is_404() -> None:
    assert answered(SERVER, target="/health?agent=b1").status == 404


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([SERVER], id="well"),
        pytest.param([SILENT_LEADER], id="red"),
        pytest.param([failed(Source.HEALTH)], id="unknown"),
        pytest.param([], id="not-asked-yet"),
    ],
)
def test_a_verdict_is_json_and_never_kept_by_a_cache(readings: list[AnyReading]) -> None:
    headers = answered(*readings).all_headers

    assert (headers["Content-Type"], headers["Cache-Control"]) == ("application/json", "no-store")


@pytest.mark.parametrize(
    ("readings", "after", "age"),
    [
        pytest.param([SERVER], 0.0, "0", id="fresh"),
        pytest.param([SERVER], 3.9, "3", id="whole-seconds"),
        pytest.param([SERVER], 60.0, "60", id="too-old"),
        pytest.param([failed(Source.HEALTH)], 2.0, "2", id="of-a-failure"),
        pytest.param([SERVER], -0.5, "0", id="never-negative"),
    ],
)
def test_a_verdict_tells_its_age(readings: list[AnyReading], after: float, age: str) -> None:
    assert answered(*readings, after=after).headers["Age"] == age


@pytest.mark.parametrize("path", ["/health", "/v1/agent/health"])
def test_head_is_answered_like_get_on_both_paths(path: str) -> None:
    site = Site(store_of(SILENT_LEADER), SelfMetrics(), LIMITS)

    by_get, by_head = (handle(site, Request(method, path), NOW) for method in ("GET", "HEAD"))

    assert by_get.status == 500
    assert by_head == by_get
