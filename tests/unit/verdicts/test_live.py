"""The live verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nomad_exporter.nomad.failures import UNRESPONSIVE, Failure, FailureReason
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.verdicts.live import live
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import GATEWAY, REFUSED
from tests.support.fleets import AT, THRESHOLDS, agent, client, cluster, cut_off, leaderless, reading

HEALTHY = cluster(1)["s1"]
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")
RESET = Failure(FailureReason.RESET, "connection reset")


def failing(reason: FailureReason, has_partial_response: bool = False) -> Failure:
    return Failure(reason, "any detail", has_partial_response)


def after(*outcomes: object, source: Source[Any] = HEALTH, thresholds: Thresholds = THRESHOLDS) -> Verdict:
    """Return the verdict after one poll of a healthy server for each of ``outcomes``."""
    readings: list[Reading[Any]] = [reading(source, outcome) for outcome in outcomes]
    return of(HEALTHY, *readings, thresholds=thresholds)


def of(snapshot: Snapshot, *readings: Reading[Any], thresholds: Thresholds = THRESHOLDS) -> Verdict:
    for each_reading in readings:
        snapshot = snapshot.after(each_reading)
    return live(snapshot, AT, thresholds)


def test_responding_agent_is_live() -> None:
    assert of(HEALTHY) == Verdict(Question.LIVE, VerdictReason.OK, "The agent is responding.")


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        (1, "No response to the last poll (connection refused); below the failure threshold of 3."),
        (2, "No response to the last 2 polls (connection refused); below the failure threshold of 3."),
    ],
)
def test_two_failed_polls_are_below_the_threshold(failures: int, message: str) -> None:
    verdict = after(*[REFUSED] * failures)

    assert (verdict.ok, verdict.reason, verdict.message) == (True, VerdictReason.OK, message)


@pytest.mark.parametrize("failures", [3, 4, 50])
def test_third_failed_poll_makes_agent_not_live(failures: int) -> None:
    verdict = after(*[REFUSED] * failures)

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.UNRESPONSIVE)
    assert verdict.message == f"No response to the last {failures} polls (connection refused)."


@pytest.mark.parametrize("failure", [REFUSED, RESET, TIMED_OUT], ids=lambda failure: failure.reason)
def test_refused_reset_and_timeout_are_unresponsive(failure: Failure) -> None:
    assert after(*[failure] * 3).reason is VerdictReason.UNRESPONSIVE


def test_gateway_in_place_of_agent_is_no_response() -> None:
    verdict = after(*[GATEWAY] * 3)

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.POLL_ERROR)
    assert verdict.message == "No response to the last 3 polls (gateway: HTTP 502, not from Nomad)."


@pytest.mark.parametrize("failures", [1, 2])
def test_agent_behind_gateway_is_live_below_the_threshold(failures: int) -> None:
    verdict = after(*[GATEWAY] * failures)

    assert (verdict.ok, verdict.reason) == (True, VerdictReason.OK)
    assert verdict.message.startswith("No response to the last ")


def test_fault_of_the_exporter_neither_ends_nor_adds_to_the_failures() -> None:
    own = failing(FailureReason.DNS)

    assert after(REFUSED, REFUSED, own).ok
    assert after(REFUSED, own, REFUSED, own, REFUSED).reason is VerdictReason.UNRESPONSIVE
    verdict = after(REFUSED, REFUSED, REFUSED, own)
    assert (verdict.ok, verdict.reason) == (False, VerdictReason.UNRESPONSIVE)
    assert verdict.message == "No response to the last 3 polls before an inconclusive one (dns: any detail)."


def test_old_failures_do_not_outlast_a_fault_of_the_exporter() -> None:
    timeout, refused = THRESHOLDS.stall_timeout, reading(HEALTH, REFUSED)
    dead = HEALTHY.after(refused).after(refused).after(refused)
    inconclusive = dead.after(reading(HEALTH, failing(FailureReason.DNS), ago=-timeout))

    assert not live(inconclusive, AT + timeout, THRESHOLDS).ok
    verdict = live(inconclusive, AT + (timeout + 1), THRESHOLDS)
    assert (verdict.ok, verdict.reason) == (True, VerdictReason.OK)
    assert verdict.message == "The last poll was inconclusive (dns: any detail); the agent counts as live."


def test_last_of_different_failures_is_the_reason() -> None:
    assert after(REFUSED, GATEWAY, GATEWAY).reason is VerdictReason.POLL_ERROR
    assert after(GATEWAY, GATEWAY, REFUSED).reason is VerdictReason.UNRESPONSIVE


def test_different_failures_count_together() -> None:
    assert after(REFUSED, TIMED_OUT, RESET).reason is VerdictReason.UNRESPONSIVE


@pytest.mark.parametrize("reason", [reason for reason in FailureReason if reason not in UNRESPONSIVE])
def test_other_failures_never_make_agent_not_live(reason: FailureReason) -> None:
    assert after(*[failing(reason)] * 10).ok


@pytest.mark.parametrize(
    "reason", [FailureReason.DNS, FailureReason.UNREACHABLE, FailureReason.CREDENTIALS, FailureReason.INTERNAL]
)
def test_inconclusive_poll_is_not_reported_as_response(reason: FailureReason) -> None:
    expected = f"The last poll was inconclusive ({reason}: any detail); the agent counts as live."
    assert after(failing(reason)).message == expected
    assert after(failing(reason, has_partial_response=True)).message == "The agent is responding."


@pytest.mark.parametrize(
    "reason", [FailureReason.TLS, FailureReason.UNAUTHORIZED, FailureReason.STATUS, FailureReason.DECODE]
)
def test_http_status_and_tls_error_are_responses(reason: FailureReason) -> None:
    assert after(failing(reason)).message == "The agent is responding."


@pytest.mark.parametrize("reason", FailureReason)
def test_partial_response_keeps_agent_live(reason: FailureReason) -> None:
    assert after(*[failing(reason, has_partial_response=True)] * 10).ok


@pytest.mark.parametrize(
    "between",
    [
        reading(HEALTH, HEALTHY[HEALTH].answer),
        reading(HEALTH, failing(FailureReason.TLS)),
        reading(HEALTH, failing(FailureReason.GATEWAY, has_partial_response=True)),
        reading(HEALTH, failing(FailureReason.TIMEOUT, has_partial_response=True)),
        reading(SELF, HEALTHY[SELF].answer),
        reading(SELF, failing(FailureReason.UNAUTHORIZED)),
        reading(MEMBERS, failing(FailureReason.STATUS)),
    ],
    ids=lambda value: f"{value.source} {getattr(value.outcome, 'reason', 'answer')}",
)
def test_any_response_resets_the_count(between: Reading[Any]) -> None:
    refused = reading(HEALTH, REFUSED)

    assert of(HEALTHY, refused, refused, between, refused, refused).ok
    assert not of(HEALTHY, refused, refused, between, refused, refused, refused).ok


@pytest.mark.parametrize("source", [SELF, MEMBERS, AUTOPILOT])
def test_only_health_polls_are_counted(source: Source[Any]) -> None:
    # A dead agent fails the polls of several sources at once.
    assert after(*[REFUSED] * 10, source=source).ok


def test_failure_threshold_is_configurable() -> None:
    assert not after(REFUSED, thresholds=Thresholds(failure_threshold=1)).ok
    assert after(*[REFUSED] * 4, thresholds=Thresholds(failure_threshold=5)).ok
    assert not after(*[REFUSED] * 5, thresholds=Thresholds(failure_threshold=5)).ok


@pytest.mark.parametrize("fail", [leaderless, cut_off])
def test_state_of_the_cluster_does_not_matter(fail: Callable[[Snapshot], Snapshot]) -> None:
    assert of(fail(HEALTHY)).ok


def test_isolated_client_is_live() -> None:
    isolated = client(numbers={"client.heartbeat_ttl": 10.0, "client.last_heartbeat": 600.0})

    assert of(isolated, *[reading(SELF, TIMED_OUT)] * 5).ok


def test_agent_is_live_before_the_first_poll_has_ended() -> None:
    verdict = of(Snapshot(agent("s1")))

    assert (verdict.ok, verdict.is_assumed, verdict.reason) == (True, True, VerdictReason.STARTING)


def test_agent_that_never_responded_is_live_until_third_poll() -> None:
    refused = reading(HEALTH, REFUSED)
    never = Snapshot(agent("s1"))

    assert of(never, refused).ok
    assert not of(never, refused, refused, refused).ok


def test_agent_is_live_if_the_exporter_stalls() -> None:
    verdict = live(HEALTHY, AT + (THRESHOLDS.stall_timeout - 0.9), THRESHOLDS)

    assert live(HEALTHY, AT + (THRESHOLDS.stall_timeout - 1.1), THRESHOLDS).reason is VerdictReason.OK
    assert (verdict.ok, verdict.reason) == (True, VerdictReason.EXPORTER_STALLED)
    assert verdict.message == "The exporter has not polled the agent for 45.1s."


def test_dead_agent_is_live_if_the_exporter_stalls() -> None:
    refused = reading(HEALTH, REFUSED)
    dead = HEALTHY.after(refused).after(refused).after(refused)

    assert live(dead, AT + THRESHOLDS.stall_timeout, THRESHOLDS).reason is VerdictReason.UNRESPONSIVE
    assert live(dead, AT + (THRESHOLDS.stall_timeout + 1), THRESHOLDS).reason is VerdictReason.EXPORTER_STALLED


def test_poll_of_any_source_proves_that_polling_works() -> None:
    late = HEALTHY.after(reading(MEMBERS, REFUSED, ago=-THRESHOLDS.stall_timeout))

    assert live(late, AT + (THRESHOLDS.stall_timeout + 1), THRESHOLDS).reason is VerdictReason.OK
