"""Live: whether a restart of this agent would help."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.failures import UNRESPONSIVE, Failure, FailureReason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Snapshot
from nomad_exporter.verdicts.live import live
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import REFUSED
from tests.support.fleets import AT, THRESHOLDS, agent, client, cluster, deserted, reading, red

WELL_SERVER = cluster(1)["s1"]
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")
RESET = Failure(FailureReason.RESET, "connection reset")


def failing(reason: FailureReason, answered: bool = False) -> Failure:
    return Failure(reason, "so it went", answered)


def after(*outcomes: object, source: Source = Source.HEALTH, thresholds: Thresholds = THRESHOLDS) -> Verdict:
    """The verdict once a well server was asked as often as there are ``outcomes``."""
    readings: list[AnyReading] = [reading(source, outcome) for outcome in outcomes]
    return of(WELL_SERVER, *readings, thresholds=thresholds)


def of(snapshot: Snapshot, *readings: AnyReading, thresholds: Thresholds = THRESHOLDS) -> Verdict:
    for one in readings:
        snapshot = snapshot.after(one)
    return live(snapshot, AT, thresholds)


def test_an_agent_that_answers_is_live() -> None:
    assert of(WELL_SERVER) == Verdict(Question.LIVE, VerdictReason.OK, "The agent answers.")


@pytest.mark.parametrize(
    ("silences", "message"),
    [
        (1, "The agent did not answer once (refused: connection refused); that is borne for a while."),
        (2, "The agent did not answer 2 times in a row (refused: connection refused); that is borne for a while."),
    ],
)
def test_silence_is_borne_for_two_attempts(silences: int, sentence: str) -> None:
    verdict = after(*[REFUSED] * silences)

    assert (verdict.ok, verdict.reason, verdict.message) == (True, VerdictReason.OK, sentence)


@pytest.mark.parametrize("silences", [3, 4, 50])
def test_the_third_silence_in_a_row_is_death(silences: int) -> None:
    verdict = after(*[REFUSED] * silences)

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.UNRESPONSIVE)
    assert verdict.message == f"No sign of life in {silences} attempts in a row (refused: connection refused)."


@pytest.mark.parametrize("failure", [REFUSED, RESET, TIMED_OUT], ids=lambda failure: failure.reason)
def test_refused_reset_and_timed_out_are_silence(failure: Failure) -> None:
    assert after(*[failure] * 3).reason is VerdictReason.UNRESPONSIVE


def test_silences_of_different_kinds_are_one_row() -> None:
    assert after(REFUSED, TIMED_OUT, RESET).reason is VerdictReason.UNRESPONSIVE


@pytest.mark.parametrize("reason", [reason for reason in FailureReason if reason not in UNRESPONSIVE])
def test_no_other_failure_is_death_however_often_it_comes(reason: FailureReason) -> None:
    assert after(*[failing(reason)] * 10).ok


@pytest.mark.parametrize(
    "reason", [FailureReason.DNS, FailureReason.UNREACHABLE, FailureReason.CREDENTIALS, FailureReason.INTERNAL]
)
def test_a_failure_that_tells_nothing_of_the_agent_is_not_said_to_be_an_answer(reason: FailureReason) -> None:
    assert after(failing(reason)).message == f"Nothing is known against it ({reason}: so it went)."
    assert after(failing(reason, answered=True)).message == "The agent answers."


@pytest.mark.parametrize(
    "reason", [FailureReason.TLS, FailureReason.UNAUTHORIZED, FailureReason.STATUS, FailureReason.DECODE]
)
def test_any_status_and_any_refusal_by_tls_is_an_answer(reason: FailureReason) -> None:
    assert after(failing(reason)).message == "The agent answers."


@pytest.mark.parametrize("reason", FailureReason)
def test_an_agent_that_has_answered_a_part_is_live_whatever_came_of_the_rest(reason: FailureReason) -> None:
    assert after(*[failing(reason, answered=True)] * 10).ok


@pytest.mark.parametrize(
    "between",
    [
        reading(Source.HEALTH, WELL_SERVER.health.answer),
        reading(Source.HEALTH, failing(FailureReason.TLS)),
        reading(Source.HEALTH, failing(FailureReason.TIMEOUT, answered=True)),
        reading(Source.SELF, WELL_SERVER.agent_self.answer),
        reading(Source.SELF, failing(FailureReason.UNAUTHORIZED)),
        reading(Source.MEMBERS, failing(FailureReason.STATUS)),
    ],
    ids=lambda one: f"{one.source} {getattr(one.outcome, 'reason', 'answer')}",
)
def test_any_sign_of_life_ends_the_row(between: AnyReading) -> None:
    silence = reading(Source.HEALTH, REFUSED)

    assert of(WELL_SERVER, silence, silence, between, silence, silence).ok
    assert not of(WELL_SERVER, silence, silence, between, silence, silence, silence).ok


@pytest.mark.parametrize("source", [Source.SELF, Source.MEMBERS, Source.AUTOPILOT])
def test_silence_to_other_questions_is_not_counted_for_a_dead_agent_fails_several_at_once(source: Source) -> None:
    assert after(*[REFUSED] * 10, source=source).ok


def test_it_is_death_after_as_many_silences_as_was_told() -> None:
    assert not after(REFUSED, thresholds=Thresholds(failure_threshold=1)).ok
    assert after(*[REFUSED] * 4, thresholds=Thresholds(failure_threshold=5)).ok
    assert not after(*[REFUSED] * 5, thresholds=Thresholds(failure_threshold=5)).ok


@pytest.mark.parametrize("sick", [red, deserted])
def test_an_agent_is_live_whatever_the_state_of_its_cluster(sick: object) -> None:
    assert callable(sick)
    assert of(sick(WELL_SERVER)).ok


def test_a_client_that_is_cut_off_is_live() -> None:
    cut_off = client(numbers={"client.heartbeat_ttl": 10.0, "client.last_heartbeat": 600.0})

    assert of(cut_off, *[reading(Source.SELF, TIMED_OUT)] * 5).ok


def test_before_the_first_attempt_ended_nothing_is_known() -> None:
    verdict = of(Snapshot(agent("s1")))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.STARTING)


def test_an_agent_that_was_never_there_is_live_until_the_third_silence() -> None:
    silence = reading(Source.HEALTH, REFUSED)
    never = Snapshot(agent("s1"))

    assert of(never, silence).ok
    assert not of(never, silence, silence, silence).ok


def test_where_the_exporter_does_not_ask_any_more_nothing_is_held_against_the_agent() -> None:
    verdict = live(WELL_SERVER, AT + (THRESHOLDS.stall_timeout - 0.9), THRESHOLDS)

    assert live(WELL_SERVER, AT + (THRESHOLDS.stall_timeout - 1.1), THRESHOLDS).reason is VerdictReason.OK
    assert (verdict.ok, verdict.reason) == (True, VerdictReason.EXPORTER_STALLED)
    assert verdict.message == "The agent was asked last 45.1s ago."


def test_not_even_that_it_was_dead_when_it_was_asked_last() -> None:
    silence = reading(Source.HEALTH, REFUSED)
    dead = WELL_SERVER.after(silence).after(silence).after(silence)

    assert live(dead, AT + THRESHOLDS.stall_timeout, THRESHOLDS).reason is VerdictReason.UNRESPONSIVE
    assert live(dead, AT + (THRESHOLDS.stall_timeout + 1), THRESHOLDS).reason is VerdictReason.EXPORTER_STALLED


def test_any_attempt_is_an_attempt() -> None:
    late = WELL_SERVER.after(reading(Source.MEMBERS, REFUSED, ago=-THRESHOLDS.stall_timeout))

    assert live(late, AT + (THRESHOLDS.stall_timeout + 1), THRESHOLDS).reason is VerdictReason.OK
