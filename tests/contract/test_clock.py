"""Steps of the wall clock, as after a resume from suspend or a correction: polls continue."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator

import pytest
from apscheduler.schedulers import base

from nomad_exporter.clock import Instant
from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.schedule import Schedule
from nomad_exporter.polling.timetable import PollJob, Timetable
from nomad_exporter.workers import Workers
from tests.support.waiting import PATIENCE

HOUR = 3600.0


class SteppedClock:
    """A clock whose wall time can be stepped, also for apscheduler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step = 0.0
        clock = self

        class SteppedDatetime(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> SteppedDatetime:
                return cls.fromtimestamp(time.time() + clock.step, tz)

        monkeypatch.setattr(base, "datetime", SteppedDatetime)

    def __call__(self) -> Instant:
        return Instant(time.time() + self.step, time.monotonic())


class Polls:
    """The action of a poll job; a test can wait for its runs."""

    def __init__(self) -> None:
        self._runs = threading.Semaphore(0)

    def __call__(self, _: float) -> JobOutcome:
        self._runs.release()
        return JobOutcome.COMPLETED

    def wait_for(self, number: int) -> bool:
        """Wait for this number of further runs; return False if they do not come in time."""
        return all(self._runs.acquire(timeout=PATIENCE) for _ in range(number))


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
    schedule = Schedule(
        jobs=[PollJob("poll", 0.05, polls)],
        clock=clock,
        timetable=Timetable(),
        workers=Workers("poll"),
        on_activity=lambda _: None,
        on_skip=lambda _: None,
        on_clock_step=lambda: steps.append(1),
    )
    schedule.start()
    yield schedule
    schedule.stop()
    assert schedule.join(PATIENCE)


@pytest.mark.parametrize("step", [HOUR, -HOUR, 365 * 24 * HOUR], ids=["hour forward", "hour back", "year forward"])
def test_polls_continue_after_a_step(
    schedule: Schedule, clock: SteppedClock, polls: Polls, steps: list[int], step: float
) -> None:
    assert polls.wait_for(3)

    clock.step = step
    schedule.resync()

    assert polls.wait_for(10)
    assert steps == [1]


def test_steady_clock_causes_no_resync(schedule: Schedule, steps: list[int]) -> None:
    schedule.resync()
    schedule.resync()

    assert steps == []
