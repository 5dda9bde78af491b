"""The health bridge over real sockets, row by row of its table, in situations that real agents were recorded in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.agents import RecordedAgent, blackholed_leader, scripted
from tests.support.exporter import Exporter, running
from tests.support.waiting import eventually

CADENCE = ("--poll.health-interval", "250ms", "--poll.interval", "250ms", "--nomad.agent-name", "watched")

AT_ONCE = 0.25
"""Seconds: far more than an answer takes here, far less than the five for which Nomad holds the question."""

WELL = {"ok": True, "message": "ok"}


def red(message: str) -> dict[str, Any]:
    return {"ok": False, "message": message}


NO_WAY_TO = "rpc error: failed to get conn: dial tcp 127.0.1.{}:4647: connect: connection refused"
SILENT = red("exporter: timeout: no whole answer within 200ms")

SETTINGS = {
    "a well server": ("2.0.5/healthy/s1-follower", "/health", 200, {"server": WELL}),
    "a well client": ("2.0.5/healthy/c1-client", "/health", 200, {"client": WELL}),
    "both roles": ("2.0.5/single/bacon-mac", "/health", 200, {"client": WELL, "server": WELL}),
    "Nomad's own path": ("2.0.5/single/bacon-mac", "/v1/agent/health", 200, {"client": WELL, "server": WELL}),
    "one role of two": ("2.0.5/single/bacon-mac", "/health?type=client", 200, {"client": WELL}),
    "both roles by name": (
        "2.0.5/single/bacon-mac",
        "/health?type=client&type=server",
        200,
        {"client": WELL, "server": WELL},
    ),
    "a role that it lacks": (
        "2.0.5/healthy/s1-follower",
        "/health?type=client",
        500,
        {"client": red("client not enabled")},
    ),
    "the leader just died": (
        "2.0.5/leader-just-died/s3-follower",
        "/health",
        500,
        {"server": red(NO_WAY_TO.format(2))},
    ),
    "the same, asked for the agent's own view": (
        "2.0.5/leader-just-died/s3-follower",
        "/health?stale",
        200,
        {"server": WELL},
    ),
    "no leader": ("2.0.5/no-leader/s3-follower", "/health", 500, {"server": red("no leader")}),
    "no leader, without a content type": ("1.6.10/no-leader/s2-follower", "/health", 500, {"server": red("no leader")}),
    "a client without servers": ("2.0.5/no-servers/c8-client", "/health", 500, {"client": red("no known servers")}),
    "a client that never registered": ("2.0.5/never-registered/c9-client", "/health", 200, {"client": WELL}),
    "a frozen server": ("2.0.5/frozen/s1-follower", "/health", 503, {"server": SILENT}),
    "a frozen server, asked for a role": ("2.0.5/frozen/s1-follower", "/health?type=client", 503, {"client": SILENT}),
}


@pytest.fixture(scope="module")
def agent() -> Iterator[RecordedAgent]:
    with RecordedAgent("2.0.5/healthy/s1-follower") as started:
        yield started


@pytest.fixture(scope="module")
def exporter(agent: RecordedAgent) -> Iterator[Exporter]:
    with running("--nomad.address", agent.url, *CADENCE) as started:
        yield started


def answers(exporter: Exporter, path: str, status: int, body: dict[str, Any]) -> requests.Response:
    """The bridge's answer, once it is the one that is wanted."""
    eventually(lambda: (told := exporter.get(path)).status_code == status and told.json() == body)
    return exporter.get(path)


@pytest.mark.parametrize(("situation", "path", "status", "body"), SETTINGS.values(), ids=SETTINGS)
def test_it_answers_at_once_what_nomad_says(
    exporter: Exporter, agent: RecordedAgent, situation: str, path: str, status: int, body: dict[str, Any]
) -> None:
    agent.play("2.0.5/healthy/s1-follower")
    answers(exporter, "/health", 200, {"server": WELL})
    agent.play(situation)
    told = answers(exporter, path, status, body)

    assert told.headers["Content-Type"] == "application/json"
    assert told.headers["Cache-Control"] == "no-store"
    assert told.headers["Age"] == "0"
    assert told.elapsed.total_seconds() < AT_ONCE


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/health?type=foo", 400, id="an unknown role, to which Nomad says 200"),
        pytest.param("/health?type=", 400, id="no role, to which Nomad says 200"),
        pytest.param("/health?stale=maybe", 400, id="stale is yes or no"),
        pytest.param("/health?agent=nobody", 404, id="an unknown agent"),
        pytest.param("/health?agent=watched", 200, id="the agent by its name"),
        pytest.param("/health/nothing", 404, id="an unknown path"),
    ],
)
def test_a_question_that_means_nothing_is_never_green(
    exporter: Exporter, agent: RecordedAgent, path: str, status: int
) -> None:
    agent.play("2.0.5/healthy/s1-follower")
    answers(exporter, "/health", 200, {"server": WELL})

    assert exporter.get(path).status_code == status


def test_a_head_is_answered_as_a_get_without_a_body(exporter: Exporter, agent: RecordedAgent) -> None:
    agent.play("2.0.5/no-leader/s3-follower")
    told = answers(exporter, "/health", 500, {"server": red("no leader")})
    head = requests.head(exporter.url + "/health", timeout=5)

    assert (head.status_code, head.content) == (500, b"")
    assert head.headers["Content-Length"] == told.headers["Content-Length"]


def test_where_there_is_no_leader_the_question_that_nomad_would_hold_is_not_asked(
    exporter: Exporter, agent: RecordedAgent
) -> None:
    agent.play("2.0.5/no-leader/s3-follower")
    answers(exporter, "/health", 500, {"server": red("no leader")})
    before = len(agent.asked)
    eventually(lambda: sum("stale" in path for path, _ in agent.asked[before:]) > 2)

    assert "/v1/agent/health" not in [path for path, _ in agent.asked[before:]]


def test_a_leader_that_does_not_answer_is_told_by_the_bridge() -> None:
    with scripted(blackholed_leader) as address, running("--nomad.address", str(address), *CADENCE) as exporter:
        told = answers(exporter, "/health", 500, {"server": red("leader did not answer within 200ms")})
        own_view = exporter.get("/health?stale")

    assert told.elapsed.total_seconds() < AT_ONCE
    assert (own_view.status_code, own_view.json()) == (200, {"server": WELL})


def test_an_agent_that_was_never_reached_is_neither_green_nor_unexplained() -> None:
    with running("--nomad.address", "http://127.0.0.1:1", *CADENCE) as exporter:
        told = answers(exporter, "/health", 503, {"agent": red("exporter: refused: connection refused")})

    assert told.elapsed.total_seconds() < AT_ONCE
