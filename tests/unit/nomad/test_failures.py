"""The closed list of reasons: none without its advice, all fit for a label and a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.nomad.failures import FAILURE_REASONS, RESPONSIVE, UNRESPONSIVE, Failure, FailureReason


def test_a_failure_reads_as_its_reason_and_its_detail() -> None:
    assert str(Failure(FailureReason.TOO_LARGE, "more than 8 MiB")) == "too_large: more than 8 MiB"


@pytest.mark.parametrize("reason", FailureReason)
def test_a_reason_is_a_word_for_a_label(reason: FailureReason) -> None:
    assert re.fullmatch(r"[a-z_]+", str(reason))


@pytest.mark.parametrize("reason", FailureReason)
def test_a_reason_says_what_to_do(reason: FailureReason) -> None:
    remedy = FAILURE_REASONS[reason].remedy

    assert not remedy[0].islower()
    assert remedy.endswith(".")


@pytest.mark.parametrize("reason", FailureReason)
def test_what_a_reason_means_completes_a_sentence_about_the_agent(reason: FailureReason) -> None:
    meaning = FAILURE_REASONS[reason].meaning

    assert meaning[0].islower()
    assert not meaning.endswith(".")


@pytest.mark.parametrize("reason", FailureReason)
def test_the_advice_fits_a_cell_of_a_table(reason: FailureReason) -> None:
    advice = FAILURE_REASONS[reason]

    assert not set("|\n") & set(advice.meaning + advice.remedy)


def test_no_failure_is_silence_and_a_sign_of_life() -> None:
    assert not UNRESPONSIVE & RESPONSIVE


@pytest.mark.parametrize(
    ("reason", "silent", "alive"),
    [
        (FailureReason.DNS, False, False),
        (FailureReason.REFUSED, True, False),
        (FailureReason.UNREACHABLE, False, False),
        (FailureReason.RESET, True, False),
        (FailureReason.TIMEOUT, True, False),
        (FailureReason.TLS, False, True),
        (FailureReason.CREDENTIALS, False, False),
        (FailureReason.UNAUTHORIZED, False, True),
        (FailureReason.REDIRECT, False, True),
        (FailureReason.STATUS, False, True),
        (FailureReason.PROTOCOL, False, True),
        (FailureReason.TOO_LARGE, False, True),
        (FailureReason.DECODE, False, True),
        (FailureReason.INTERNAL, False, False),
    ],
)
def test_a_failure_tells_of_an_agent_that_is_silent_or_alive_or_nothing(
    reason: FailureReason, silent: bool, alive: bool
) -> None:
    failure = Failure(reason, "so it went")

    assert (failure.is_unresponsive, failure.is_responsive) == (silent, alive)


@pytest.mark.parametrize("reason", FailureReason)
def test_an_agent_that_has_answered_a_part_is_responsive_however_the_rest_fails(reason: FailureReason) -> None:
    failure = Failure(reason, "so it went", has_partial_response=True)

    assert (failure.is_unresponsive, failure.is_responsive) == (False, True)


def test_every_reason_is_in_the_test_of_silence() -> None:
    assert {reason for reason in FailureReason if reason not in UNRESPONSIVE | RESPONSIVE} == {
        FailureReason.DNS,
        FailureReason.UNREACHABLE,
        FailureReason.CREDENTIALS,
        FailureReason.INTERNAL,
    }
