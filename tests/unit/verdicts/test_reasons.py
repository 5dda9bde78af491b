"""The closed list of reasons: none without its advice, all fit for a label and a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason

every_reason = pytest.mark.parametrize("reason", VerdictReason)


def test_every_reason_has_its_advice() -> None:
    assert set(VERDICT_REASONS) == set(VerdictReason)


def test_the_questions_are_the_last_parts_of_the_paths() -> None:
    assert [str(question) for question in Question] == ["live", "ready", "quorum"]


@every_reason
def test_a_reason_is_a_word_for_a_label(reason: VerdictReason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(reason))


@every_reason
def test_a_reason_answers_a_question_and_with_yes_none_but_those(reason: VerdictReason) -> None:
    advice = VERDICT_REASONS[reason]

    assert advice.questions
    assert set(advice.yes) <= set(advice.questions)


@pytest.mark.parametrize(
    ("question", "reasons"),
    [
        (Question.LIVE, {VerdictReason.OK, VerdictReason.EXPORTER_STALLED}),
        (Question.READY, {VerdictReason.OK}),
        (Question.QUORUM, {VerdictReason.OK, VerdictReason.NOT_A_VOTER}),
    ],
)
def test_there_are_few_reasons_to_say_yes(question: Question, reasons: set[VerdictReason]) -> None:
    assert {reason for reason, advice in VERDICT_REASONS.items() if question in advice.yes} == reasons


@every_reason
def test_the_meaning_and_the_remedy_are_sentences(reason: VerdictReason) -> None:
    advice = VERDICT_REASONS[reason]

    assert re.fullmatch(r"[A-Z].*\.", advice.meaning)
    assert re.fullmatch(r"[A-Z].*\.", advice.remedy)


@every_reason
def test_the_advice_fits_a_cell_of_a_table(reason: VerdictReason) -> None:
    assert not set("|\n") & set(VERDICT_REASONS[reason].meaning + VERDICT_REASONS[reason].remedy)
