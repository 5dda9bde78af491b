"""What depends on the instant of the scrape: whether the agent is up, and the verdicts."""

from __future__ import annotations

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families.verdicts import VERDICTS, ScrapeState
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from nomad_exporter.verdicts.evaluate import evaluate_agent
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.fleets import AT as JUDGED_AT
from tests.support.fleets import Fleet, asked, client, cluster, dead, evaluated, red
from tests.support.fleets import agent as agent_called
from tests.unit.metrics.showing import shown

AT = Instant(wall=1_000_000.0, monotonic=50.0)
AGENT = Agent("a", Address("http", "nomad.example.org", 4646))
MAX_AGE = 45.0


def answered(at: Instant = AT) -> AnyReading:
    return Reading(Source.SELF, AgentSelf(frozenset({Role.SERVER})), at, 0.0)


def refused(at: Instant = AT) -> AnyReading:
    return Reading(Source.SELF, Failure(FailureReason.REFUSED, "connection refused"), at, 0.0)


def up(*readings: AnyReading, at: Instant = AT) -> list[str]:
    snapshot = Snapshot(AGENT)
    for reading in readings:
        snapshot = snapshot.after(reading)
    return shown(VERDICTS, ScrapeState(evaluate_agent(snapshot, None, at, Thresholds()), at, MAX_AGE), "nomad_agent_up")


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


# Verdicts.


def lines(fleet: Fleet, agent: str, *names: str, at: Instant = JUDGED_AT) -> list[str]:
    """What is shown of an agent that is judged with the whole fleet."""
    moment = ScrapeState(evaluated(fleet, at=at)[agent], at, MAX_AGE)
    return [
        line.removeprefix("nomad_agent_") for name in names for line in shown(VERDICTS, moment, f"nomad_agent_{name}")
    ]


HOLDS = ("live", "ready", "safe_to_stop")
COUNTED = ("quorum_voters", "quorum_voters_well", "quorum_needed", "quorum_margin")


def test_before_the_first_attempt_nothing_is_judged() -> None:
    assert lines({"s9": Snapshot(agent_called("s9"))}, "s9", *HOLDS, *COUNTED, "verdict_reason") == []


@pytest.mark.parametrize(
    ("fleet", "agent", "expected"),
    [
        pytest.param(cluster(3), "s1", ["live 1", "ready 1", "safe_to_stop 1"], id="all is well"),
        pytest.param(cluster(1), "s1", ["live 1", "ready 1", "safe_to_stop 0"], id="one voter"),
        pytest.param({"s1": red(cluster(1)["s1"])}, "s1", ["live 1", "ready 0", "safe_to_stop 0"], id="no leader"),
        pytest.param(
            {"s1": dead(dead(dead(cluster(1)["s1"])))}, "s1", ["live 0", "ready 0", "safe_to_stop 0"], id="dead"
        ),
        pytest.param({"c1": client()}, "c1", ["live 1", "ready 1", "safe_to_stop 1"], id="a client"),
    ],
)
def test_whether_a_verdict_holds_is_0_or_1(fleet: Fleet, agent: str, expected: list[str]) -> None:
    assert lines(fleet, agent, *HOLDS) == expected


@pytest.mark.parametrize("source", [Source.HEALTH, Source.SELF])
def test_from_the_first_attempt_on_though_it_was_in_vain(source: Source) -> None:
    tried = asked(Snapshot(agent_called("s9")), source, Failure(FailureReason.REFUSED, "connection refused"))

    assert lines({"s9": tried}, "s9", *HOLDS) == ["live 1", "ready 0", "safe_to_stop 0"]


def test_the_numbers_of_a_quorum_are_those_of_the_cluster_on_each_of_its_servers() -> None:
    fleet = cluster(5)
    fleet["s5"] = dead(fleet["s5"])

    for name in fleet:
        assert lines(fleet, name, *COUNTED) == [
            "quorum_voters 5",
            "quorum_voters_well 4",
            "quorum_needed 3",
            "quorum_margin 1",
        ]


def test_a_margin_is_negative_where_too_few_are_left() -> None:
    fleet = {name: dead(each) for name, each in cluster(3).items()}

    assert lines(fleet, "s1", "quorum_voters_well", "quorum_margin") == ["quorum_voters_well 0", "quorum_margin -2"]


def test_of_a_client_no_quorum_has_numbers() -> None:
    assert lines({**cluster(3), "c1": client()}, "c1", *COUNTED) == []


def test_the_numbers_are_gone_once_nobody_has_told_of_the_voters_for_too_long() -> None:
    assert lines(cluster(3), "s1", *COUNTED, at=JUDGED_AT + 44.0)
    assert lines(cluster(3), "s1", *COUNTED, at=JUDGED_AT + 44.1) == []


def test_each_verdict_has_one_reason_at_a_time() -> None:
    assert lines({"s1": red(cluster(1)["s1"])}, "s1", "verdict_reason") == [
        'verdict_reason{verdict="live",reason="ok"} 1',
        'verdict_reason{verdict="ready",reason="no_leader"} 1',
        'verdict_reason{verdict="quorum",reason="no_leader"} 1',
    ]
