"""Families that depend on the instant of the scrape: whether the agent is up, and the verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families.verdicts import VERDICTS, AgentAtScrape
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Members, Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.verdicts.evaluate import evaluate_agent
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.fleets import AT as FLEET_AT
from tests.support.fleets import Fleet, after_poll, client, cluster, dead, evaluate_fleet, leaderless
from tests.support.fleets import agent as agent_called
from tests.unit.metrics.rendering import render_lines

AT = Instant(wall=1_000_000.0, monotonic=50.0)
AGENT = Agent("a", Address("http", "nomad.example.org", 4646))
MAX_AGE = 45.0


def answered(at: Instant = AT) -> Reading[Any]:
    return Reading(SELF, AgentSelf(frozenset({Role.SERVER})), at, 0.0)


def refused(at: Instant = AT) -> Reading[Any]:
    return Reading(SELF, Failure(FailureReason.REFUSED, "connection refused"), at, 0.0)


def up(*readings: Reading[Any], at: Instant = AT) -> list[str]:
    snapshot = Snapshot(AGENT)
    for reading in readings:
        snapshot = snapshot.after(reading)
    evaluation = evaluate_agent(snapshot, None, at, Thresholds())
    return render_lines(VERDICTS, AgentAtScrape(evaluation, at, MAX_AGE), "nomad_agent_up")


@pytest.mark.parametrize(
    ("readings", "lines"),
    [
        pytest.param((), [], id="nothing yet"),
        pytest.param((answered(),), ["nomad_agent_up 1"], id="an answer"),
        pytest.param((refused(),), ["nomad_agent_up 0"], id="a failure"),
        pytest.param((answered(), refused()), ["nomad_agent_up 0"], id="a failure after an answer"),
        pytest.param((refused(), answered()), ["nomad_agent_up 1"], id="an answer after a failure"),
    ],
)
def test_agent_is_up_if_the_last_poll_succeeded(readings: tuple[Reading[Any], ...], lines: list[str]) -> None:
    assert up(*readings) == lines


def test_answer_of_another_source_does_not_count_as_up() -> None:
    assert up(Reading(MEMBERS, Members(()), AT, 0.0)) == []


def test_agent_with_a_stale_answer_is_not_up() -> None:
    assert up(answered(), at=AT + MAX_AGE) == ["nomad_agent_up 1"]
    assert up(answered(), at=AT + (MAX_AGE + 1)) == ["nomad_agent_up 0"]


# Verdicts.


def lines(fleet: Fleet, agent: str, *names: str, at: Instant = FLEET_AT) -> list[str]:
    """Return the lines of an agent that is evaluate_fleet with the whole fleet, without the prefix of their names."""
    state = AgentAtScrape(evaluate_fleet(fleet, at=at)[agent], at, MAX_AGE)
    return [
        line.removeprefix("nomad_agent_")
        for name in names
        for line in render_lines(VERDICTS, state, f"nomad_agent_{name}")
    ]


VERDICT_NAMES = ("live", "ready", "safe_to_stop")


def test_no_verdicts_before_the_first_poll() -> None:
    assert lines({"s9": Snapshot(agent_called("s9"))}, "s9", *VERDICT_NAMES, "verdict_reason") == []


@pytest.mark.parametrize(
    ("fleet", "agent", "expected"),
    [
        pytest.param(cluster(3), "s1", ["live 1", "ready 1", "safe_to_stop 1"], id="all healthy"),
        pytest.param(cluster(1), "s1", ["live 1", "ready 1", "safe_to_stop 0"], id="one voter"),
        pytest.param(
            {"s1": leaderless(cluster(1)["s1"])}, "s1", ["live 1", "ready 0", "safe_to_stop 0"], id="no leader"
        ),
        pytest.param(
            {"s1": dead(dead(dead(cluster(1)["s1"])))}, "s1", ["live 0", "ready 0", "safe_to_stop 0"], id="dead"
        ),
        pytest.param({"c1": client()}, "c1", ["live 1", "ready 1", "safe_to_stop 1"], id="a client"),
    ],
)
def test_verdict_is_0_or_1(fleet: Fleet, agent: str, expected: list[str]) -> None:
    assert lines(fleet, agent, *VERDICT_NAMES) == expected


@pytest.mark.parametrize("source", [HEALTH, SELF])
def test_verdicts_after_a_failed_first_poll(source: Source[Any]) -> None:
    tried = after_poll(Snapshot(agent_called("s9")), source, Failure(FailureReason.REFUSED, "connection refused"))

    assert lines({"s9": tried}, "s9", *VERDICT_NAMES) == ["live 1", "ready 0", "safe_to_stop 0"]


def test_each_verdict_has_one_reason() -> None:
    assert lines({"s1": leaderless(cluster(1)["s1"])}, "s1", "verdict_reason") == [
        'verdict_reason{verdict="live",reason="ok"} 1',
        'verdict_reason{verdict="ready",reason="no_leader"} 1',
        'verdict_reason{verdict="quorum",reason="no_leader"} 1',
    ]
