"""The asking itself: whether the agent is up, how often it was asked, how that went, and why it went wrong."""

from __future__ import annotations

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families.polls import AGENT_INFO, POLLS
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnySourceState, Reading, SourceState
from tests.unit.metrics.showing import shown

AT = Instant(wall=1_000_000.0, monotonic=50.0)
ANSWER = AgentSelf(frozenset({Role.SERVER}), invalid_fields=("stats.raft.term", "member.Status"))
REFUSED = Failure(FailureReason.REFUSED, "connection refused")


def asked(*outcomes: AgentSelf | Failure) -> AnySourceState:
    """What was seen of ``self``, asked a minute apart, each time for a quarter of a second and half a second late."""
    seen: SourceState[AgentSelf] = SourceState(Source.SELF)
    for number, outcome in enumerate(outcomes):
        seen = seen.after(Reading(Source.SELF, outcome, AT + 60 * number, 0.25, 0.5))
    return seen


def test_an_agent_is_known_by_its_address_and_without_its_credentials() -> None:
    address = Address("https", "nomad.example.org", 4646)
    agent = Agent("a", address, Credentials(token=Secret("s3cret"), basic_auth=Secret("user:password")))

    assert shown((AGENT_INFO,), agent) == ['nomad_exporter_agent_info{address="https://nomad.example.org:4646"} 1']


def test_before_the_first_attempt_has_ended_only_its_counts_are_told() -> None:
    assert shown(POLLS, asked()) == [
        'nomad_exporter_polls_total{source="self"} 0',
        'nomad_exporter_poll_failures_total{source="self"} 0',
    ]


def test_attempts_and_those_that_failed_are_counted() -> None:
    seen = asked(ANSWER, REFUSED, REFUSED)

    assert shown(POLLS, seen, "nomad_exporter_polls_total") == ['nomad_exporter_polls_total{source="self"} 3']
    assert shown(POLLS, seen, "nomad_exporter_poll_failures_total") == [
        'nomad_exporter_poll_failures_total{source="self"} 2'
    ]


@pytest.mark.parametrize("reason", FailureReason)
def test_while_polls_fail_the_reason_is_told(reason: FailureReason) -> None:
    lines = shown(POLLS, asked(ANSWER, Failure(reason, "")), "nomad_exporter_poll_failing")

    assert lines == [f'nomad_exporter_poll_failing{{source="self",reason="{reason.value}"}} 1']


def test_the_reason_is_gone_with_the_next_answer() -> None:
    assert shown(POLLS, asked(REFUSED, ANSWER), "nomad_exporter_poll_failing") == []


@pytest.mark.parametrize("outcome", [ANSWER, REFUSED], ids=["an answer", "a failure"])
def test_the_newest_attempt_says_how_long_it_took_and_how_late_it_was(outcome: AgentSelf | Failure) -> None:
    lines = shown(POLLS, asked(outcome))

    assert 'nomad_exporter_poll_duration_seconds{source="self"} 0.25' in lines
    assert 'nomad_exporter_poll_lateness_seconds{source="self"} 0.5' in lines


@pytest.mark.parametrize(
    "seen", [asked(ANSWER), asked(ANSWER, REFUSED, REFUSED)], ids=["an answer", "failures since then"]
)
def test_the_newest_success_is_when_the_newest_answer_had_come(seen: AnySourceState) -> None:
    lines = shown(POLLS, seen, "nomad_exporter_poll_last_success_timestamp_seconds")

    assert lines == ['nomad_exporter_poll_last_success_timestamp_seconds{source="self"} 1000000.25']


@pytest.mark.parametrize("seen", [asked(ANSWER), asked(ANSWER, REFUSED)], ids=["an answer", "a failure since then"])
def test_what_could_not_be_read_of_the_newest_answer_is_counted(seen: AnySourceState) -> None:
    assert shown(POLLS, seen, "nomad_exporter_poll_invalid_fields") == [
        'nomad_exporter_poll_invalid_fields{source="self"} 2'
    ]
