"""The agenda: works are done in the order of their times."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.event_queue import EventQueue


def note(done: list[tuple[float, int]], number: int, now: float) -> None:
    done.append((now, number))


@given(st.lists(st.integers(0, 9)))
def test_works_are_done_in_the_order_of_their_times_and_then_of_their_setting(times: list[int]) -> None:
    agenda, done = EventQueue(), list[tuple[float, int]]()
    for number, time in enumerate(times):
        agenda.schedule(time, partial(note, done, number))

    agenda.run_until(9)

    assert done == sorted((time, number) for number, time in enumerate(times))


def test_what_is_due_later_is_kept_until_then() -> None:
    agenda, done = EventQueue(), list[float]()
    agenda.schedule(2.0, done.append)

    agenda.run_until(1.9)
    assert done == []
    agenda.run_until(2.0)
    agenda.run_until(3.0)
    assert done == [2.0]


def test_a_work_that_sets_another_has_it_done_in_its_turn() -> None:
    agenda, done = EventQueue(), list[float]()
    agenda.schedule(1.0, lambda now: agenda.schedule(now + 1, done.append))
    agenda.schedule(3.0, done.append)

    agenda.run_until(3.0)

    assert done == [2.0, 3.0]
