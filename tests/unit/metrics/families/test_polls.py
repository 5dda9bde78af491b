"""Families about polls: the monitored agent, and the counts, duration and failures of its polls."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families.polls import AGENT_INFO, POLLS
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Role
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.polling.snapshot import Reading, SourceState
from tests.unit.metrics.rendering import render_lines

AT = Instant(wall=1_000_000.0, monotonic=50.0)
ANSWER = AgentSelf(frozenset({Role.SERVER}), invalid_fields=("stats.raft.term", "member.Status"))
REFUSED = Failure(FailureReason.REFUSED, "connection refused")


def polled(*outcomes: AgentSelf | Failure) -> SourceState[Any]:
    """Return the state of ``self`` after polls one minute apart, each 0.25 seconds long and 0.5 seconds late."""
    state: SourceState[AgentSelf] = SourceState(SELF)
    for number, outcome in enumerate(outcomes):
        state = state.after(Reading(SELF, outcome, AT + 60 * number, 0.25, lateness=0.5))
    return state


def test_agent_info_has_address_but_no_credentials() -> None:
    address = Address("https", "nomad.example.org", 4646)
    agent = Agent("a", address, Credentials(token=Secret("s3cret"), basic_auth=Secret("user:password")))

    assert render_lines((AGENT_INFO,), agent) == [
        'nomad_exporter_agent_info{address="https://nomad.example.org:4646"} 1'
    ]


def test_only_counters_before_the_first_poll() -> None:
    assert render_lines(POLLS, polled()) == [
        'nomad_exporter_polls_total{source="self"} 0',
        'nomad_exporter_poll_failures_total{source="self"} 0',
    ]


def test_polls_and_failures_are_counted() -> None:
    state = polled(ANSWER, REFUSED, REFUSED)

    assert render_lines(POLLS, state, "nomad_exporter_polls_total") == ['nomad_exporter_polls_total{source="self"} 3']
    assert render_lines(POLLS, state, "nomad_exporter_poll_failures_total") == [
        'nomad_exporter_poll_failures_total{source="self"} 2'
    ]


@pytest.mark.parametrize("reason", FailureReason)
def test_failing_poll_has_its_reason(reason: FailureReason) -> None:
    lines = render_lines(POLLS, polled(ANSWER, Failure(reason, "")), "nomad_exporter_poll_failing")

    assert lines == [f'nomad_exporter_poll_failing{{source="self",reason="{reason.value}"}} 1']


def test_reason_is_absent_after_a_successful_poll() -> None:
    assert render_lines(POLLS, polled(REFUSED, ANSWER), "nomad_exporter_poll_failing") == []


@pytest.mark.parametrize("outcome", [ANSWER, REFUSED], ids=["an answer", "a failure"])
def test_last_poll_has_duration_and_lateness(outcome: AgentSelf | Failure) -> None:
    lines = render_lines(POLLS, polled(outcome))

    assert 'nomad_exporter_poll_duration_seconds{source="self"} 0.25' in lines
    assert 'nomad_exporter_poll_lateness_seconds{source="self"} 0.5' in lines


@pytest.mark.parametrize(
    "state", [polled(ANSWER), polled(ANSWER, REFUSED, REFUSED)], ids=["an answer", "then failures"]
)
def test_last_success_is_the_time_of_the_last_answer(state: SourceState[Any]) -> None:
    lines = render_lines(POLLS, state, "nomad_exporter_poll_last_success_timestamp_seconds")

    assert lines == ['nomad_exporter_poll_last_success_timestamp_seconds{source="self"} 1000000.25']


@pytest.mark.parametrize("state", [polled(ANSWER), polled(ANSWER, REFUSED)], ids=["an answer", "then a failure"])
def test_invalid_fields_of_the_last_answer_are_counted(state: SourceState[Any]) -> None:
    assert render_lines(POLLS, state, "nomad_exporter_poll_invalid_fields") == [
        'nomad_exporter_poll_invalid_fields{source="self"} 2'
    ]
