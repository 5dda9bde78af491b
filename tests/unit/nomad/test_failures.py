"""The closed list of reasons: each has a remedy, and fits in a label and in a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.nomad.failures import FAILURE_REASONS, RESPONSIVE, UNRESPONSIVE, Failure, FailureReason


def test_failure_is_formatted_as_reason_and_detail() -> None:
    assert str(Failure(FailureReason.TOO_LARGE, "more than 8 MiB")) == "too_large: more than 8 MiB"


@pytest.mark.parametrize("reason", FailureReason)
def test_reason_is_a_label_value(reason: FailureReason) -> None:
    assert re.fullmatch(r"[a-z_]+", str(reason))


@pytest.mark.parametrize("reason", FailureReason)
def test_remedy_is_a_sentence(reason: FailureReason) -> None:
    remedy = FAILURE_REASONS[reason].remedy

    assert not remedy[0].islower()
    assert remedy.endswith(".")


@pytest.mark.parametrize("reason", FailureReason)
def test_meaning_is_a_sentence(reason: FailureReason) -> None:
    meaning = FAILURE_REASONS[reason].meaning

    assert meaning[0].isupper()
    assert meaning.endswith(".")


@pytest.mark.parametrize("reason", FailureReason)
def test_remedy_fits_in_a_table_cell(reason: FailureReason) -> None:
    remedy = FAILURE_REASONS[reason]

    assert not set("|\n") & set(remedy.meaning + remedy.remedy)


@pytest.mark.parametrize("reason", FailureReason)
def test_remedy_is_plain_text(reason: FailureReason) -> None:
    remedy = FAILURE_REASONS[reason]

    assert not set("`[]*<>#") & set(remedy.meaning + remedy.remedy)


@pytest.mark.parametrize("reason", FailureReason)
def test_remedy_begins_with_a_check(reason: FailureReason) -> None:
    assert FAILURE_REASONS[reason].remedy.startswith("Check ")


def test_no_reason_is_unresponsive_and_responsive() -> None:
    assert not UNRESPONSIVE & RESPONSIVE


@pytest.mark.parametrize(
    ("reason", "unresponsive", "responsive"),
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
def test_reason_implies_responsiveness(reason: FailureReason, unresponsive: bool, responsive: bool) -> None:
    failure = Failure(reason, "detail")

    assert (failure.is_unresponsive, failure.is_responsive) == (unresponsive, responsive)


@pytest.mark.parametrize("reason", FailureReason)
def test_partial_response_is_responsive_for_any_reason(reason: FailureReason) -> None:
    failure = Failure(reason, "detail", has_partial_response=True)

    assert (failure.is_unresponsive, failure.is_responsive) == (False, True)


def test_other_reasons_prove_nothing() -> None:
    assert {reason for reason in FailureReason if reason not in UNRESPONSIVE | RESPONSIVE} == {
        FailureReason.DNS,
        FailureReason.UNREACHABLE,
        FailureReason.CREDENTIALS,
        FailureReason.INTERNAL,
    }
