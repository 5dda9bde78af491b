"""The closed list of reasons: none without its advice, all fit for a label and a table."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.judge.reasons import GUIDE, Question, Reason

every_reason = pytest.mark.parametrize("reason", Reason)


def test_every_reason_has_its_advice() -> None:
    assert set(GUIDE) == set(Reason)


def test_the_questions_are_the_last_parts_of_the_paths() -> None:
    assert [str(question) for question in Question] == ["live", "ready", "quorum"]


@every_reason
def test_a_reason_is_a_word_for_a_label(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(reason))


@every_reason
def test_a_reason_answers_a_question_and_with_yes_none_but_those(reason: Reason) -> None:
    advice = GUIDE[reason]

    assert advice.questions
    assert set(advice.yes) <= set(advice.questions)


@pytest.mark.parametrize(
    ("question", "reasons"),
    [
        (Question.LIVE, {Reason.OK, Reason.EXPORTER_STALLED}),
        (Question.READY, {Reason.OK}),
        (Question.QUORUM, {Reason.OK, Reason.NOT_A_VOTER}),
    ],
)
def test_there_are_few_reasons_to_say_yes(question: Question, reasons: set[Reason]) -> None:
    assert {reason for reason, advice in GUIDE.items() if question in advice.yes} == reasons


@every_reason
def test_the_meaning_and_the_remedy_are_sentences(reason: Reason) -> None:
    advice = GUIDE[reason]

    assert re.fullmatch(r"[A-Z].*\.", advice.meaning)
    assert re.fullmatch(r"[A-Z].*\.", advice.remedy)


@every_reason
def test_the_advice_fits_a_cell_of_a_table(reason: Reason) -> None:
    assert not set("|\n") & set(GUIDE[reason].meaning + GUIDE[reason].remedy)
