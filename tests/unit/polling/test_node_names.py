"""Node names of clients: requested once per node, retried at most once a minute, and never a failed poll."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import AgentSelf, Member, Role
from nomad_exporter.nomad.sources import HEALTH, SELF, Reply
from nomad_exporter.polling.node_names import MAX_SECONDS, RETRY_SECONDS, with_node_name
from nomad_exporter.polling.snapshot import NodeName, Reading
from tests.support.answers import HEALTHY, REFUSED, START, FakeClock, FakeWire, health, self_answer

NODE_ID = "c0ffee00-0000-4000-8000-000000000001"
OTHER_ID = "c0ffee00-0000-4000-8000-000000000002"
NODES: dict[str, Reply | Failure] = {
    f"/v1/node/{NODE_ID}?stale": Reply(200, b'{"Name": "worker-17"}'),
    f"/v1/node/{OTHER_ID}?stale": Reply(200, b'{"Name": "worker-18"}'),
}
DENIED: dict[str, Reply | Failure] = dict.fromkeys(NODES, Reply(403, b"Permission denied"))

NAMED = NodeName(NODE_ID, "worker-17", START)
UNNAMED = NodeName(NODE_ID, "", START)


def client(node_id: str = NODE_ID, **fields: Any) -> AgentSelf:
    return self_answer(Role.CLIENT, texts={"client.node_id": node_id}, **fields)


def named(
    outcome: Any,
    known: NodeName | None = None,
    replies: dict[str, Reply | Failure] | None = None,
    at: float = 0.0,
    seconds: float = 4.0,
) -> tuple[Any, FakeWire]:
    """Return a reading of ``self``, ``at`` seconds after ``START``, with its node name, and the wire."""
    clock = FakeClock(START + at)
    wire = FakeWire(NODES if replies is None else replies, clock)
    reading = Reading(SELF, outcome, START + at, 0.0)
    return with_node_name(reading, known, wire.get, clock, seconds), wire


def test_name_is_requested_for_a_client_without_name() -> None:
    reading, wire = named(client())

    assert reading.outcome.node_name == "worker-17"
    assert reading.node_name == NAMED
    assert wire.requests == [(f"/v1/node/{NODE_ID}?stale", MAX_SECONDS)]


def test_known_name_is_not_requested_again() -> None:
    reading, wire = named(client(), NAMED, at=1e6)

    assert (reading.outcome.node_name, reading.node_name, wire.requests) == ("worker-17", NAMED, [])


def test_name_of_another_node_is_requested() -> None:
    reading, _ = named(client(OTHER_ID), NAMED)

    assert reading.node_name == NodeName(OTHER_ID, "worker-18", START)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(client(node_name="c1"), id="named client"),
        pytest.param(client(member=Member("s1.global")), id="member of gossip"),
        pytest.param(REFUSED, id="failure"),
        pytest.param(health({Role.CLIENT: HEALTHY}), id="answer to health"),
    ],
)
def test_no_other_name_is_requested(outcome: Any) -> None:
    reading, wire = named(outcome)

    assert (reading, wire.requests) == (Reading(SELF, outcome, START, 0.0), [])


@pytest.mark.parametrize("reply", [REFUSED, Reply(403, b""), Reply(404, b"node not found")])
def test_failed_request_leaves_the_answer_without_name(reply: Reply | Failure) -> None:
    reading, _ = named(client(), replies=dict.fromkeys(NODES, reply))

    assert (reading.outcome, reading.node_name) == (client(), UNNAMED)
    assert reading.outcome.name == NODE_ID


@pytest.mark.parametrize(("at", "requests"), [(0.0, 0), (RETRY_SECONDS - 1, 0), (RETRY_SECONDS, 1)])
def test_failed_request_is_repeated_after_a_minute(at: float, requests: int) -> None:
    reading, wire = named(client(), UNNAMED, at=at)

    assert len(wire.requests) == requests
    assert reading.outcome.node_name == ("worker-17" if requests else "")


def test_repeated_failure_starts_another_minute() -> None:
    reading, _ = named(client(), UNNAMED, DENIED, at=RETRY_SECONDS)

    assert reading.node_name == replace(UNNAMED, requested=START + RETRY_SECONDS)


def test_request_has_what_is_left_of_the_timeout() -> None:
    clock = FakeClock(START + 0.25)
    wire = FakeWire(NODES)
    with_node_name(Reading(SELF, client(), START, 0.25), None, wire.get, clock, 0.75)

    assert [seconds for _, seconds in wire.requests] == [0.5]


def test_request_adds_nothing_to_the_duration_of_the_poll() -> None:
    clock = FakeClock()
    wire = FakeWire(NODES, clock, takes=0.5)
    reading = with_node_name(Reading(SELF, client(), START, 0.25), None, wire.get, clock, 4.0)

    assert (reading.seconds, reading.ended) == (0.25, START + 0.25)


def test_reading_of_health_is_unchanged() -> None:
    reading = Reading(HEALTH, health({Role.CLIENT: HEALTHY}), START, 0.0)

    assert with_node_name(reading, None, FakeWire({}).get, FakeClock(), 4.0) is reading
