"""What depends on the instant of the scrape: whether the agent is up."""

from __future__ import annotations

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.of_moments import MOMENTS, Moment
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.answers import AgentSelf, Members, Role
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.snapshot import AnyReading, Reading, Snapshot
from tests.unit.metrics.showing import shown

AT = Instant(wall=1_000_000.0, monotonic=50.0)
AGENT = Agent("a", Address("http", "nomad.example.org", 4646))
MAX_AGE = 45.0


def answered(at: Instant = AT) -> AnyReading:
    return Reading(Source.SELF, AgentSelf(frozenset({Role.SERVER})), at, 0.0)


def refused(at: Instant = AT) -> AnyReading:
    return Reading(Source.SELF, Failure(Reason.REFUSED, "connection refused"), at, 0.0)


def up(*readings: AnyReading, at: Instant = AT) -> list[str]:
    snapshot = Snapshot(AGENT)
    for reading in readings:
        snapshot = snapshot.after(reading)
    return shown(MOMENTS, Moment(snapshot, at, MAX_AGE), "nomad_agent_up")


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
def test_an_agent_is_up_while_the_newest_attempt_gave_an_answer(
    readings: tuple[AnyReading, ...], lines: list[str]
) -> None:
    assert up(*readings) == lines


def test_an_agent_that_answers_only_for_others_is_not_up_for_that() -> None:
    assert up(Reading(Source.MEMBERS, Members(()), AT, 0.0)) == []


def test_an_answer_that_grows_old_without_another_attempt_is_no_life() -> None:
    assert up(answered(), at=AT + MAX_AGE) == ["nomad_agent_up 1"]
    assert up(answered(), at=AT + (MAX_AGE + 1)) == ["nomad_agent_up 0"]
