"""Time: read from the system here only, and passed as an argument to everything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on the wall clock and on the monotonic clock, both in seconds.

    ``wall`` is Unix time, for people and for Prometheus; the wall clock can be set. ``monotonic`` is for ages and
    deadlines; the monotonic clock is never set.
    """

    wall: float
    monotonic: float

    def __add__(self, seconds: float) -> Instant:
        return Instant(self.wall + seconds, self.monotonic + seconds)

    def since(self, earlier: Instant) -> float:
        """Return the seconds from ``earlier`` to this instant; negative if ``earlier`` is in fact later."""
        return self.monotonic - earlier.monotonic


Clock = Callable[[], Instant]


def now() -> Instant:
    """Return the current time of the system."""
    return Instant(time.time(), time.monotonic())
