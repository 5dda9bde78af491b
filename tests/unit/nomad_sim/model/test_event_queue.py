"""Tests of the event queue: callbacks run in the order of their times."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.event_queue import EventQueue


def record(calls: list[tuple[float, int]], number: int, now: float) -> None:
    calls.append((now, number))


@given(st.lists(st.integers(0, 9)))
def test_callbacks_run_by_time_then_by_scheduling_order(times: list[int]) -> None:
    queue, calls = EventQueue(), list[tuple[float, int]]()
    for number, time in enumerate(times):
        queue.schedule(time, partial(record, calls, number))

    queue.run_until(9)

    assert calls == sorted((time, number) for number, time in enumerate(times))


def test_callback_waits_until_it_is_due() -> None:
    queue, calls = EventQueue(), list[float]()
    queue.schedule(2.0, calls.append)

    queue.run_until(1.9)
    assert calls == []
    queue.run_until(2.0)
    queue.run_until(3.0)
    assert calls == [2.0]


def test_callback_can_schedule_another_in_the_same_run() -> None:
    queue, calls = EventQueue(), list[float]()
    queue.schedule(1.0, lambda now: queue.schedule(now + 1, calls.append))
    queue.schedule(3.0, calls.append)

    queue.run_until(3.0)

    assert calls == [2.0, 3.0]
