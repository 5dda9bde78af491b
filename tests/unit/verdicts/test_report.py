"""Reports and summaries."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.report import Report, ages, build_report, details, summarize, to_dict
from tests.support.fleets import AT, after_poll, agent, client, cluster, dead, evaluate_fleet, leaderless

EXPIRED = Failure(FailureReason.TLS, "certificate has expired")

FLEET = {**cluster(3), "s2": leaderless(cluster(3)["s2"]), "c1": client()}
EVALUATIONS = evaluate_fleet(FLEET)


def failing(agent: str, reason: VerdictReason = VerdictReason.NO_LEADER, failure: str = "") -> Report:
    return Report(agent, ok=False, reason=reason, message="Any message.", details={}, ages={}, failure=failure)


@pytest.mark.parametrize("question", Question)
@pytest.mark.parametrize("name", FLEET)
def test_report_has_verdict_details_and_ages(name: str, question: Question) -> None:
    evaluation, report = EVALUATIONS[name], build_report(EVALUATIONS[name], question, AT)
    verdict = evaluation.verdicts[question]

    assert (report.agent, report.ok) == (name, verdict.ok)
    assert (report.reason, report.message) == (verdict.reason, verdict.message)
    assert report.remedy == verdict.remedy
    assert (report.details, report.ages) == (details(evaluation, question), ages(evaluation, question, AT))


def test_to_dict_has_remedy_and_rounds_ages_to_milliseconds() -> None:
    report = Report(
        "s1", ok=True, reason=VerdictReason.OK, message="Any message.", details={"voters": 3}, ages={"self": 0.12345}
    )

    assert json.loads(json.dumps(to_dict(report))) == {
        "ok": True,
        "agent": "s1",
        "reason": "ok",
        "message": "Any message.",
        "remedy": "None.",
        "details": {"voters": 3},
        "ages": {"self": 0.123},
    }


@pytest.mark.parametrize(
    ("snapshot", "question", "failure"),
    [
        pytest.param(cluster(1)["s1"], Question.READY, "", id="ready"),
        pytest.param(dead(cluster(1)["s1"]), Question.READY, "connection refused", id="unresponsive"),
        pytest.param(after_poll(Snapshot(agent("s1")), HEALTH, EXPIRED), Question.READY, str(EXPIRED), id="TLS"),
        pytest.param(dead(cluster(1)["s1"]), Question.LIVE, "", id="below the failure threshold"),
        pytest.param(dead(dead(dead(cluster(1)["s1"]))), Question.LIVE, "connection refused", id="not live"),
        pytest.param(after_poll(leaderless(cluster(1)["s1"]), SELF, EXPIRED), Question.READY, "", id="no leader"),
    ],
)
def test_report_names_the_poll_failure_behind_the_verdict(snapshot: Snapshot, question: Question, failure: str) -> None:
    assert build_report(evaluate_fleet({"s1": snapshot})["s1"], question, AT).failure == failure


def test_own_remedy_is_in_the_object_and_in_the_summary() -> None:
    exact = replace(failing("s1"), own_remedy="Renew it.")

    assert to_dict(exact)["remedy"] == summarize(Question.READY, 1, 0, [exact])["remedy"] == "Renew it."


def test_summary_is_ok_if_no_agent_is_failing() -> None:
    assert summarize(Question.READY, 3, 3, []) == {
        "ok": True,
        "reason": "ok",
        "message": "3 of 3 agents ready.",
        "remedy": "None.",
    }


def test_summary_has_reason_and_remedy_of_first_failing_agent() -> None:
    refused = failing("s1", VerdictReason.UNRESPONSIVE, "connection refused")

    assert summarize(Question.READY, 3, 1, [failing("s2"), refused]) == {
        "ok": False,
        "reason": "no_leader",
        "message": "1 of 3 agents ready. Not ready: s2 (no_leader), s1 (connection refused).",
        "remedy": VERDICT_REASONS[VerdictReason.NO_LEADER].remedy,
    }


@pytest.mark.parametrize(
    ("question", "healthy", "message"),
    [
        ("live", 2, "2 of 3 agents live. Not live: s1 (no_leader)."),
        ("ready", 2, "2 of 3 agents ready. Not ready: s1 (no_leader)."),
        ("quorum", 2, "2 of 3 agents safe to stop, one at a time. Not safe to stop: s1 (no_leader)."),
        ("quorum", 1, "1 of 3 agents safe to stop. Not safe to stop: s1 (no_leader) and 1 more."),
        ("health", 2, "2 of 3 agents healthy. Not healthy: s1 (no_leader)."),
    ],
)
def test_summary_names_the_condition(question: str, healthy: int, message: str) -> None:
    assert summarize(question, 3, healthy, [failing("s1")])["message"] == message


def test_summary_names_five_failing_agents_at_most() -> None:
    reports = [failing(f"c{number}", failure="timeout") for number in range(1, 8)]
    message = summarize(Question.LIVE, 20, 3, reports)["message"]

    named = ", ".join(f"c{number} (timeout)" for number in range(1, 6))
    assert message == f"3 of 20 agents live. Not live: {named} and 12 more."
