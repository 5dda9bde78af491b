"""The remedy of each reason: plain sentences that fit in a table."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.failures import FAILURE_REASONS, Failure, FailureReason, failure_remedy
from nomad_exporter.nomad.sources import SOURCES


def test_every_reason_has_a_remedy() -> None:
    assert list(FAILURE_REASONS) == list(FailureReason)


def test_remedy_names_the_permission_of_each_source() -> None:
    remedy = FAILURE_REASONS[FailureReason.UNAUTHORIZED].remedy

    assert all(f"{source.permission} for {source.path}" in remedy for source in SOURCES if source.permission)


def test_expired_certificate_is_to_be_renewed() -> None:
    assert "Renew the expired certificate" in FAILURE_REASONS[FailureReason.CERTIFICATE_EXPIRED].remedy


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


def test_failure_has_the_remedy_of_its_reason() -> None:
    assert failure_remedy(Failure(FailureReason.DNS, "any detail")) == FAILURE_REASONS[FailureReason.DNS].remedy
    assert failure_remedy(None) == ""
