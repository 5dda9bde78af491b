"""A wall clock that steps, as on a machine that wakes up or is set right: polls go on all the same."""

from __future__ import annotations

import datetime as real
import threading
import time
from collections.abc import Iterator

import pytest
from apscheduler.schedulers import base

from nomad_exporter.clock import Instant
from nomad_exporter.polling.schedule import PollJob, Schedule
from tests.support.waiting import PATIENCE

HOUR = 3600.0


class SteppedClock:
    """A clock whose wall can be set; what apscheduler reads is set with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step = 0.0
        clock = self

        class SteppedDatetime(real.datetime):
            @classmethod
            def now(cls, tz: real.tzinfo | None = None) -> SteppedDatetime:
                return cls.fromtimestamp(time.time() + clock.step, tz)

        monkeypatch.setattr(base, "datetime", SteppedDatetime)

    def __call__(self) -> Instant:
        return Instant(time.time() + self.step, time.monotonic())


class Polls:
    """Counts the turns of a poll, and lets one wait for more."""

    def __init__(self) -> None:
        self._came = threading.Semaphore(0)

    def __call__(self, _: float) -> None:
        self._came.release()

    def come(self, number: int) -> bool:
        return all(self._came.acquire(timeout=PATIENCE) for _ in range(number))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteppedClock:
    return SteppedClock(monkeypatch)


@pytest.fixture
def steps() -> list[int]:
    return []


@pytest.fixture
def polls() -> Polls:
    return Polls()


@pytest.fixture
def schedule(clock: SteppedClock, polls: Polls, steps: list[int]) -> Iterator[Schedule]:
    schedule = Schedule([PollJob("poll", 0.05, polls)], clock, 2, lambda _: None, lambda: None, lambda: steps.append(1))
    schedule.start()
    yield schedule
    schedule.stop()
    assert schedule.join(PATIENCE)


@pytest.mark.parametrize("step", [HOUR, -HOUR, 365 * 24 * HOUR], ids=["an hour on", "an hour back", "a year on"])
def test_polls_go_on_after_a_step(
    schedule: Schedule, clock: SteppedClock, polls: Polls, steps: list[int], step: float
) -> None:
    assert polls.come(3)

    clock.step = step
    schedule.resync()

    assert polls.come(10)
    assert steps == [1]


def test_a_clock_that_keeps_its_pace_is_not_put_right(schedule: Schedule, steps: list[int]) -> None:
    schedule.resync()
    schedule.resync()

    assert steps == []
