"""The closed list of verdict reasons, and their remedies."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason

every_reason = pytest.mark.parametrize("reason", VerdictReason)


def test_every_reason_has_a_remedy() -> None:
    assert set(VERDICT_REASONS) == set(VerdictReason)


def test_questions_are_the_last_parts_of_the_paths() -> None:
    assert [str(question) for question in Question] == ["live", "ready", "quorum"]


@every_reason
def test_reason_is_a_label_value(reason: VerdictReason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(reason))


@every_reason
def test_yes_is_a_subset_of_the_questions(reason: VerdictReason) -> None:
    remedy = VERDICT_REASONS[reason]

    assert remedy.questions
    assert set(remedy.yes) <= set(remedy.questions)


@pytest.mark.parametrize(
    ("question", "reasons"),
    [
        (Question.LIVE, {VerdictReason.OK, VerdictReason.STARTING, VerdictReason.EXPORTER_STALLED}),
        (Question.READY, {VerdictReason.OK}),
        (Question.QUORUM, {VerdictReason.OK, VerdictReason.NOT_A_VOTER}),
    ],
)
def test_few_reasons_answer_yes(question: Question, reasons: set[VerdictReason]) -> None:
    assert {reason for reason, remedy in VERDICT_REASONS.items() if question in remedy.yes} == reasons


def test_few_reasons_are_inconclusive() -> None:
    inconclusive = {reason for reason, remedy in VERDICT_REASONS.items() if not remedy.conclusive}

    assert inconclusive == {
        VerdictReason.POLL_ERROR,
        VerdictReason.SEVERAL_AGENTS,
        VerdictReason.UNKNOWN,
        VerdictReason.INSUFFICIENT_EVIDENCE,
    }


@every_reason
def test_meaning_and_remedy_are_sentences(reason: VerdictReason) -> None:
    remedy = VERDICT_REASONS[reason]

    assert re.fullmatch(r"[A-Z].*\.", remedy.meaning)
    assert re.fullmatch(r"[A-Z].*\.", remedy.remedy)


@every_reason
def test_meaning_and_remedy_are_plain_text(reason: VerdictReason) -> None:
    assert not set("`[]|\n") & set(VERDICT_REASONS[reason].meaning + VERDICT_REASONS[reason].remedy)
