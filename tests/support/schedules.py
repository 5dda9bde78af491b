"""Schedules that a test starts, with recorders for their callbacks and log records."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from nomad_exporter import clock
from nomad_exporter.clock import Clock
from nomad_exporter.polling.schedule import Schedule
from nomad_exporter.polling.timetable import PollJob, Timetable
from nomad_exporter.workers import Workers
from tests.support.waiting import PATIENCE


class Calls:
    """A callback that counts its calls."""

    def __init__(self) -> None:
        self.number = 0
        self._called = threading.Semaphore(0)

    def __call__(self, *_: object) -> None:
        self.number += 1
        self._called.release()

    def wait_for(self, number: int) -> bool:
        """Wait for this number of further calls; return False if they do not come in time."""
        return all(self._called.acquire(timeout=PATIENCE) for _ in range(number))


class ScheduleRunner:
    """Starts schedules, records their callbacks, and stops them at the end of the test."""

    def __init__(self) -> None:
        self.activity, self.skips, self.clock_steps = Calls(), Calls(), Calls()
        self.release = threading.Event()
        self.workers = Workers("poll")
        self._schedules: list[Schedule] = []

    def start(self, *jobs: PollJob, at: Clock = clock.now, timetable: Timetable | None = None) -> Schedule:
        schedule = Schedule(
            jobs=jobs,
            clock=at,
            timetable=timetable or Timetable(),
            workers=self.workers,
            on_activity=self.activity,
            on_skip=self.skips,
            on_clock_step=self.clock_steps,
        )
        schedule.start()
        self._schedules.append(schedule)
        return schedule

    def hang(self, _: float) -> None:
        """Block until the test sets ``release``, or ends."""
        self.release.wait(PATIENCE)

    def stop(self) -> None:
        self.release.set()
        for schedule in self._schedules:
            if schedule._scheduler.running:
                schedule.stop()
            assert schedule.join(PATIENCE)


class RecordingHandler(logging.Handler):
    """A handler that stores log records, whether or not another test has set up logging."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def recorded_log(name: str) -> Iterator[list[logging.LogRecord]]:
    """Record what the logger ``name`` logs within the block, from level info."""
    handler, logger = RecordingHandler(), logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
