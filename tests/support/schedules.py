"""Schedules that a test starts, with all that they call and log."""

from __future__ import annotations

import logging
import threading

from nomad_exporter import clock
from nomad_exporter.clock import Clock
from nomad_exporter.polling.schedule import PollJob, Schedule
from tests.support.waiting import PATIENCE


class Calls:
    """Counts calls and lets one wait for them."""

    def __init__(self) -> None:
        self.number = 0
        self._came = threading.Semaphore(0)

    def __call__(self, *_: object) -> None:
        self.number += 1
        self._came.release()

    def come(self, number: int) -> bool:
        """Whether so many more came."""
        return all(self._came.acquire(timeout=PATIENCE) for _ in range(number))


class Running:
    """A schedule that a test starts, with all that it calls."""

    def __init__(self) -> None:
        self.beats, self.missed, self.stepped = Calls(), Calls(), Calls()
        self.release = threading.Event()
        self._started: list[Schedule] = []

    def start(self, *turns: PollJob, at: Clock = clock.now, workers: int = 2) -> Schedule:
        started = Schedule(turns, at, workers, self.beats, self.missed, self.stepped)
        started.start()
        self._started.append(started)
        return started

    def hang(self, _: float) -> None:
        """A work that does not end before the test does, or lets it."""
        self.release.wait(PATIENCE)

    def end(self) -> None:
        self.release.set()
        for started in self._started:
            if started._scheduler.running:
                started.stop()
            assert started.join(PATIENCE)


class Keeping(logging.Handler):
    """Keeps the lines of the log, whether or not another test has set it up."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)
