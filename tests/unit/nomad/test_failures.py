"""The closed list of reasons: none without its advice, all fit for a label and a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.nomad.failures import GUIDE, SIGNS_OF_LIFE, SILENCES, Failure, Reason


def test_a_failure_reads_as_its_reason_and_its_detail() -> None:
    assert str(Failure(Reason.TOO_LARGE, "more than 8 MiB")) == "too_large: more than 8 MiB"


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_word_for_a_label(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z_]+", str(reason))


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_what_to_do(reason: Reason) -> None:
    remedy = GUIDE[reason].remedy

    assert not remedy[0].islower()
    assert remedy.endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_what_a_reason_means_completes_a_sentence_about_the_agent(reason: Reason) -> None:
    meaning = GUIDE[reason].meaning

    assert meaning[0].islower()
    assert not meaning.endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_the_advice_fits_a_cell_of_a_table(reason: Reason) -> None:
    advice = GUIDE[reason]

    assert not set("|\n") & set(advice.meaning + advice.remedy)


def test_no_failure_is_silence_and_a_sign_of_life() -> None:
    assert not SILENCES & SIGNS_OF_LIFE


@pytest.mark.parametrize(
    ("reason", "silent", "alive"),
    [
        (Reason.DNS, False, False),
        (Reason.REFUSED, True, False),
        (Reason.UNREACHABLE, False, False),
        (Reason.RESET, True, False),
        (Reason.TIMEOUT, True, False),
        (Reason.TLS, False, True),
        (Reason.CREDENTIALS, False, False),
        (Reason.UNAUTHORIZED, False, True),
        (Reason.REDIRECT, False, True),
        (Reason.STATUS, False, True),
        (Reason.PROTOCOL, False, True),
        (Reason.TOO_LARGE, False, True),
        (Reason.DECODE, False, True),
        (Reason.INTERNAL, False, False),
    ],
)
def test_a_failure_tells_of_an_agent_that_is_silent_or_alive_or_nothing(
    reason: Reason, silent: bool, alive: bool
) -> None:
    failure = Failure(reason, "so it went")

    assert (failure.silent, failure.alive) == (silent, alive)


@pytest.mark.parametrize("reason", Reason)
def test_an_agent_that_has_answered_a_part_is_alive_however_the_rest_fails(reason: Reason) -> None:
    failure = Failure(reason, "so it went", answered=True)

    assert (failure.silent, failure.alive) == (False, True)


def test_every_reason_is_in_the_test_of_silence() -> None:
    assert {reason for reason in Reason if reason not in SILENCES | SIGNS_OF_LIFE} == {
        Reason.DNS,
        Reason.UNREACHABLE,
        Reason.CREDENTIALS,
        Reason.INTERNAL,
    }
