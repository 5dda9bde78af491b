"""A queue of callbacks, ordered by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Callback = Callable[[float], None]
"""A scheduled callback; its argument is the time for which it was scheduled."""


class EventQueue:
    """Runs callbacks in the order of their times; callbacks of the same time run in the order of scheduling."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callback]] = []
        self._sequence = count()

    def schedule(self, at: float, callback: Callback) -> None:
        """Schedule ``callback`` for the time ``at``."""
        heapq.heappush(self._events, (at, next(self._sequence), callback))

    def run_until(self, now: float) -> None:
        """Run every callback that is due by ``now``, including callbacks that are scheduled during the run."""
        while self._events and self._events[0][0] <= now:
            at, _, callback = heapq.heappop(self._events)
            callback(at)
