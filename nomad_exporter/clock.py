"""Time, read at the edges and passed as an argument everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    ``wall`` is Unix time, which people and Prometheus read and which can step; ``monotonic`` never steps, and all
    ages and deadlines are counted in it. Both are in seconds.
    """

    wall: float
    monotonic: float

    def __add__(self, seconds: float) -> Instant:
        return Instant(self.wall + seconds, self.monotonic + seconds)

    def since(self, earlier: Instant) -> float:
        """The seconds that passed since ``earlier``."""
        return self.monotonic - earlier.monotonic


Clock = Callable[[], Instant]


def now() -> Instant:
    """The present moment."""
    return Instant(time.time(), time.monotonic())
