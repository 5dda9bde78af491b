"""The closed list of reasons: none without its advice, all fit for a label and a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.nomad.failures import GUIDE, Failure, Reason


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
