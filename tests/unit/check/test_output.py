"""How findings are told: the lines, the JSON, and the exit code of all together."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.check.evaluate import Finding, State
from nomad_exporter.check.output import downgrade_critical, format_json, format_lines, worst
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.report import Report

SENTENCES = {
    State.OK: "The server can do its work.",
    State.CRITICAL: "The server is unhealthy: No cluster leader.",
    State.WARNING: "The server is unhealthy: No cluster leader.",
    State.UNKNOWN: "The agent did not tell its health.",
}
REASONS = {State.OK: VerdictReason.OK, State.UNKNOWN: VerdictReason.POLL_ERROR}


def finding(agent: str, state: State, sentence: str = "") -> Finding:
    reason = REASONS.get(state, VerdictReason.NO_LEADER)
    holds = state is State.OK
    return Finding(state, Report(agent, holds, reason, sentence or SENTENCES[state], {"voters": 3}, {"poll": 0.12345}))


def test_a_well_agent_has_a_plain_line() -> None:
    assert format_lines("ready", [finding("s1", State.OK)]) == "OK s1 ready: The server can do its work."


def test_a_line_tells_the_reason_before_the_sentence() -> None:
    told = format_lines("ready", [finding("s2", State.CRITICAL)])

    assert told == "CRITICAL s2 ready: no_leader: The server is unhealthy: No cluster leader."


def test_the_first_line_is_the_worst() -> None:
    told = format_lines("ready", [finding(state.name.lower(), state) for state in State])

    assert [line.split()[0] for line in told.splitlines()] == ["CRITICAL", "UNKNOWN", "WARNING", "OK"]


@given(st.text(), st.text())
def test_whatever_an_agent_says_there_is_one_line_that_steers_nobody(name: str, words: str) -> None:
    told = format_lines("health", [finding(name, State.CRITICAL, words or "-")])

    assert told.isprintable()
    assert "|" not in told


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ((State.OK, State.OK), State.OK),
        ((State.OK, State.WARNING), State.WARNING),
        ((State.WARNING, State.UNKNOWN), State.UNKNOWN),
        ((State.UNKNOWN, State.CRITICAL), State.CRITICAL),
        ((State.CRITICAL, State.OK), State.CRITICAL),
    ],
)
def test_the_worst_of_all_is_the_exit_code(states: tuple[State, ...], together: State) -> None:
    found = [finding("s1", state) for state in states]

    assert worst(found) is worst(found[::-1]) is together


def test_the_states_are_the_exit_codes_of_nagios() -> None:
    assert {state.name: int(state) for state in State} == {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def test_softened_only_what_is_critical_becomes_a_warning() -> None:
    found = [finding("s1", state) for state in State]

    assert [one.state for one in downgrade_critical(found)] == [State.OK, State.WARNING, State.WARNING, State.UNKNOWN]


def test_one_agent_is_told_in_json_as_its_path_tells_it() -> None:
    told = json.loads(format_json("quorum", [finding("s1", State.CRITICAL)]))

    assert told == {
        "verdict": "quorum",
        "ok": False,
        "state": "CRITICAL",
        "agent": "s1",
        "reason": "no_leader",
        "message": "The server is unhealthy: No cluster leader.",
        "details": {"voters": 3},
        "ages": {"poll": 0.123},
    }


def test_several_agents_are_told_together_and_each() -> None:
    told = json.loads(format_json("ready", [finding("s1", State.OK), finding("s2", State.CRITICAL)]))

    assert (told["verdict"], told["ok"], told["state"], told["reason"]) == ("ready", False, "CRITICAL", "no_leader")
    assert told["message"] == "1 of 2 agents: yes. s2: The server is unhealthy: No cluster leader."
    assert [(one["agent"], one["ok"]) for one in told["agents"]] == [("s1", True), ("s2", False)]


@pytest.mark.parametrize(("first", "second"), list(product(State, State)))
def test_several_hold_only_together(first: State, second: State) -> None:
    told = json.loads(format_json("live", [finding("s1", first), finding("s2", second)]))

    assert told["ok"] is (first is second is State.OK)
