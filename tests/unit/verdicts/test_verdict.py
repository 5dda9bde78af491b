"""Verdicts, and the ages in their sentences."""

from __future__ import annotations

from itertools import product

import pytest

from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import Verdict, humanize


@pytest.mark.parametrize(("question", "reason"), list(product(Question, VerdictReason)))
def test_whether_a_verdict_holds_is_in_the_table_of_reasons(question: Question, reason: VerdictReason) -> None:
    assert Verdict(question, reason, "").ok is (question in VERDICT_REASONS[reason].yes)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.04, "0s"), (1.23, "1.2s"), (10.0, "10s"), (59.94, "59.9s"), (67.4, "1m7s"), (3600.4, "1h")],
)
def test_an_age_is_told_as_precisely_as_a_person_wants_it(seconds: float, text: str) -> None:
    assert humanize(seconds) == text
