"""Budgets of new values in a time."""

from __future__ import annotations

from nomad_exporter.polling.budget import Budget
from tests.support.answers import START

TWO_A_MINUTE: Budget[str] = Budget(2, 60.0)


def test_values_up_to_limit_are_admitted() -> None:
    assert TWO_A_MINUTE.admit(["a", "b"], START).admitted == {"a", "b"}


def test_first_values_are_admitted() -> None:
    assert TWO_A_MINUTE.admit(["c", "a", "b"], START).admitted == {"c", "a"}


def test_repeated_value_counts_once() -> None:
    once = TWO_A_MINUTE.admit(["a", "a"], START)

    assert once.admit(["a", "b"], START + 59).admitted == {"a", "b"}


def test_further_values_are_not_admitted_within_the_period() -> None:
    full = TWO_A_MINUTE.admit(["a", "b"], START)

    assert full.admit(["c"], START + 59) is full


def test_known_values_leave_the_budget_unchanged() -> None:
    begun = TWO_A_MINUTE.admit(["a"], START)

    assert begun.admit(["a"], START + 1) is begun
    assert begun.admit([], START + 1) is begun


def test_next_period_begins_with_the_values_of_that_moment() -> None:
    full = TWO_A_MINUTE.admit(["a", "b"], START)

    assert full.admit(["b", "c", "d"], START + 60).admitted == {"b", "c"}
