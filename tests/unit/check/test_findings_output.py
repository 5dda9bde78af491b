"""The output of a check: lines, JSON, and the state of all agents together."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.check.findings import downgrade_critical, format_json
from nomad_exporter.verdicts.lines import Finding, State, format_lines, worst_state
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, VerdictReason
from nomad_exporter.verdicts.report import Report

MESSAGES = {
    State.OK: "The server can do its work.",
    State.CRITICAL: "The server's health check fails: No cluster leader.",
    State.WARNING: "The server's health check fails: No cluster leader.",
    State.UNKNOWN: "Poll of /v1/agent/health failed (tls: cannot verify agent certificate).",
}
REASONS = {State.OK: VerdictReason.OK, State.UNKNOWN: VerdictReason.POLL_ERROR}


def finding(agent: str, state: State, message: str = "") -> Finding:
    reason = REASONS.get(state, VerdictReason.NO_LEADER)
    ok = state is State.OK
    return Finding(state, Report(agent, ok, reason, message or MESSAGES[state], {"voters": 3}, {"poll": 0.12345}))


def test_line_of_ok_agent_has_no_reason() -> None:
    assert format_lines("ready", [finding("s1", State.OK)]) == "OK s1 ready: The server can do its work."


def test_line_has_reason_before_message() -> None:
    line, _ = format_lines("ready", [finding("s2", State.CRITICAL)]).splitlines()

    assert line == "CRITICAL s2 ready: no_leader: The server's health check fails: No cluster leader."


def test_first_line_is_the_worst() -> None:
    lines = format_lines("ready", [finding(state.name.lower(), state) for state in State]).splitlines()

    assert [line.split()[0] for line in lines[:4]] == ["CRITICAL", "UNKNOWN", "WARNING", "OK"]


def test_remedy_is_the_second_line() -> None:
    remedy = VERDICT_REASONS[VerdictReason.NO_LEADER].remedy

    assert format_lines("ready", [finding("s2", State.CRITICAL)]).splitlines()[1:] == [f"  Remedy: {remedy}"]


def test_own_remedy_replaces_the_remedy_of_the_reason() -> None:
    failing = finding("s2", State.CRITICAL)
    exact = replace(failing, report=replace(failing.report, own_remedy="Renew it."))

    assert format_lines("ready", [exact]).endswith("\n  Remedy: Renew it.")


def test_remedies_follow_all_agents_once_each() -> None:
    failing = [finding(f"s{number}", State.CRITICAL) for number in range(1, 8)]
    lines = format_lines("ready", [*failing, finding("c1", State.UNKNOWN), finding("c2", State.OK)]).splitlines()

    assert [line.startswith("  ") for line in lines] == [False] * 9 + [True, True]
    assert lines[-2].startswith("  Remedy for s1, s2, s3, s4, s5 and 2 more: Wait a few seconds")
    assert lines[-1].startswith("  Remedy for c1: ")


def quorum_finding(agent: str, state: State, **details: int) -> Finding:
    found = finding(agent, state)
    return replace(found, report=replace(found.report, details=details))


def test_first_line_of_quorum_has_performance_data() -> None:
    failing = quorum_finding("s1", State.CRITICAL, voters=3, healthy=2, unhealthy=1, quorum_size=2)
    lines = format_lines("quorum", [failing, quorum_finding("c1", State.OK)]).splitlines()

    assert lines[0].endswith(" | voters=3 healthy=2 quorum_size=2")
    assert not [line for line in lines[1:] if "|" in line]


@pytest.mark.parametrize("question", ["live", "ready", "health"])
def test_other_questions_have_no_performance_data(question: str) -> None:
    assert "|" not in format_lines(question, [quorum_finding("s1", State.OK, voters=3, healthy=3, quorum_size=2)])


def test_agents_of_two_clusters_have_no_performance_data() -> None:
    findings = [quorum_finding(f"s{voters}", State.OK, voters=voters, healthy=3, quorum_size=2) for voters in (3, 4)]

    assert "|" not in format_lines("quorum", findings)


@given(st.text(), st.text())
def test_line_never_has_control_characters_or_bars(name: str, message: str) -> None:
    lines = format_lines("health", [finding(name, State.CRITICAL, message or "-")]).split("\n")

    assert [line.isprintable() for line in lines] == [True, True]
    assert not [line for line in lines if "|" in line]


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ((State.OK, State.OK), State.OK),
        ((State.OK, State.WARNING), State.WARNING),
        ((State.WARNING, State.UNKNOWN), State.UNKNOWN),
        ((State.UNKNOWN, State.CRITICAL), State.CRITICAL),
        ((State.CRITICAL, State.OK), State.CRITICAL),
    ],
)
def test_worst_state_counts(states: tuple[State, ...], worst: State) -> None:
    findings = [finding("s1", state) for state in states]

    assert worst_state(findings) is worst_state(findings[::-1]) is worst


def test_states_are_exit_codes_of_nagios() -> None:
    assert {state.name: int(state) for state in State} == {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def test_downgrade_changes_only_critical() -> None:
    states = [downgraded.state for downgraded in downgrade_critical([finding("s1", state) for state in State])]

    assert states == [State.OK, State.WARNING, State.WARNING, State.UNKNOWN]


def test_json_of_one_agent_equals_json_of_path() -> None:
    result = json.loads(format_json("quorum", [finding("s1", State.CRITICAL)]))

    assert result == {
        "verdict": "quorum",
        "ok": False,
        "state": "CRITICAL",
        "agent": "s1",
        "reason": "no_leader",
        "message": "The server's health check fails: No cluster leader.",
        "remedy": VERDICT_REASONS[VerdictReason.NO_LEADER].remedy,
        "details": {"voters": 3},
        "ages": {"poll": 0.123},
    }


def test_json_of_several_agents_has_summary_and_each_agent() -> None:
    result = json.loads(format_json("ready", [finding("s1", State.OK), finding("s2", State.CRITICAL)]))

    assert (result["verdict"], result["ok"], result["state"], result["reason"]) == (
        "ready",
        False,
        "CRITICAL",
        "no_leader",
    )
    assert result["message"] == "1 of 2 agents ready. Not ready: s2 (no_leader)."
    assert [(agent["agent"], agent["ok"]) for agent in result["agents"]] == [("s1", True), ("s2", False)]


@pytest.mark.parametrize(("first", "second"), list(product(State, State)))
def test_several_agents_are_ok_only_together(first: State, second: State) -> None:
    result = json.loads(format_json("live", [finding("s1", first), finding("s2", second)]))

    assert result["ok"] is (first is second is State.OK)
