"""The health bridge over real sockets, in situations in which real agents were recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.agents import RecordedAgent, blackholed_leader, scripted
from tests.support.exporter import Exporter, running
from tests.support.waiting import eventually

INTERVALS = ("--poll.health-interval", "250ms", "--poll.interval", "250ms", "--nomad.agent-name", "monitored")

MAX_SECONDS = 0.25
"""Maximum seconds of a response: far more than it takes, and far less than Nomad's delay of five seconds."""

OK = {"ok": True, "message": "ok"}


def failed(message: str) -> dict[str, Any]:
    return {"ok": False, "message": message}


NO_CONNECTION = "rpc error: failed to get conn: dial tcp 127.0.1.{}:4647: connect: connection refused"
NO_RESPONSE = failed("exporter: timeout: no complete response within 200ms")

CASES = {
    "healthy server": ("2.0.5/healthy/s1-follower", "/health", 200, {"server": OK}),
    "healthy client": ("2.0.5/healthy/c1-client", "/health", 200, {"client": OK}),
    "both roles": ("2.0.5/single/bacon-mac", "/health", 200, {"client": OK, "server": OK}),
    "Nomad's own path": ("2.0.5/single/bacon-mac", "/v1/agent/health", 200, {"client": OK, "server": OK}),
    "one of two roles": ("2.0.5/single/bacon-mac", "/health?type=client", 200, {"client": OK}),
    "both roles by name": (
        "2.0.5/single/bacon-mac",
        "/health?type=client&type=server",
        200,
        {"client": OK, "server": OK},
    ),
    "role that the agent lacks": (
        "2.0.5/healthy/s1-follower",
        "/health?type=client",
        500,
        {"client": failed("client not enabled")},
    ),
    "leader just died": (
        "2.0.5/leader-just-died/s3-follower",
        "/health",
        500,
        {"server": failed(NO_CONNECTION.format(2))},
    ),
    "leader just died, stale": (
        "2.0.5/leader-just-died/s3-follower",
        "/health?stale",
        200,
        {"server": OK},
    ),
    "no leader": ("2.0.5/no-leader/s3-follower", "/health", 500, {"server": failed("no leader")}),
    "no leader, without a content type": (
        "1.6.10/no-leader/s2-follower",
        "/health",
        500,
        {"server": failed("no leader")},
    ),
    "client without servers": ("2.0.5/no-servers/c8-client", "/health", 500, {"client": failed("no known servers")}),
    "client that never registered": ("2.0.5/never-registered/c9-client", "/health", 200, {"client": OK}),
    "frozen server": ("2.0.5/frozen/s1-follower", "/health", 503, {"server": NO_RESPONSE}),
    "frozen server, one role": ("2.0.5/frozen/s1-follower", "/health?type=client", 503, {"client": NO_RESPONSE}),
}


@pytest.fixture(scope="module")
def agent() -> Iterator[RecordedAgent]:
    with RecordedAgent("2.0.5/healthy/s1-follower") as started:
        yield started


@pytest.fixture(scope="module")
def exporter(agent: RecordedAgent) -> Iterator[Exporter]:
    with running("--nomad.address", agent.url, *INTERVALS) as started:
        yield started


def wait_for(exporter: Exporter, path: str, status: int, body: dict[str, Any]) -> requests.Response:
    """Wait until the bridge responds with this status and body, and return the next response."""
    eventually(lambda: (response := exporter.get(path)).status_code == status and response.json() == body)
    return exporter.get(path)


@pytest.mark.parametrize(("situation", "path", "status", "body"), CASES.values(), ids=CASES)
def test_bridge_responds_at_once_with_the_answer_of_nomad(
    exporter: Exporter, agent: RecordedAgent, situation: str, path: str, status: int, body: dict[str, Any]
) -> None:
    agent.play("2.0.5/healthy/s1-follower")
    wait_for(exporter, "/health", 200, {"server": OK})
    agent.play(situation)
    response = wait_for(exporter, path, status, body)

    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Age"] == "0"
    assert response.elapsed.total_seconds() < MAX_SECONDS


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/health?type=foo", 400, id="unknown role, 200 of Nomad"),
        pytest.param("/health?type=", 400, id="empty role, 200 of Nomad"),
        pytest.param("/health?stale=maybe", 400, id="stale is not a boolean"),
        pytest.param("/health?agent=nobody", 404, id="unknown agent"),
        pytest.param("/health?agent=monitored", 200, id="agent by name"),
        pytest.param("/health/nothing", 404, id="unknown path"),
    ],
)
def test_parameters_decide_the_status(exporter: Exporter, agent: RecordedAgent, path: str, status: int) -> None:
    agent.play("2.0.5/healthy/s1-follower")
    wait_for(exporter, "/health", 200, {"server": OK})

    assert exporter.get(path).status_code == status


def test_head_is_get_without_body(exporter: Exporter, agent: RecordedAgent) -> None:
    agent.play("2.0.5/no-leader/s3-follower")
    response = wait_for(exporter, "/health", 500, {"server": failed("no leader")})
    head = requests.head(exporter.url + "/health", timeout=5)

    assert (head.status_code, head.content) == (500, b"")
    assert head.headers["Content-Length"] == response.headers["Content-Length"]


def test_delayed_health_is_not_polled_without_a_leader(exporter: Exporter, agent: RecordedAgent) -> None:
    agent.play("2.0.5/no-leader/s3-follower")
    wait_for(exporter, "/health", 500, {"server": failed("no leader")})
    before = len(agent.requests)
    eventually(lambda: sum("stale" in path for path, _ in agent.requests[before:]) > 2)

    assert "/v1/agent/health" not in [path for path, _ in agent.requests[before:]]


def test_bridge_reports_an_unresponsive_leader() -> None:
    with scripted(blackholed_leader) as address, running("--nomad.address", str(address), *INTERVALS) as exporter:
        response = wait_for(exporter, "/health", 500, {"server": failed("leader did not respond within 200ms")})
        stale = exporter.get("/health?stale")

    assert response.elapsed.total_seconds() < MAX_SECONDS
    assert (stale.status_code, stale.json()) == (200, {"server": OK})


def test_unreached_agent_is_503_with_the_failure() -> None:
    with running("--nomad.address", "http://127.0.0.1:1", *INTERVALS) as exporter:
        response = wait_for(exporter, "/health", 503, {"agent": failed("exporter: refused: connection refused")})

    assert response.elapsed.total_seconds() < MAX_SECONDS
