"""What is to happen, and when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Callback = Callable[[float], None]
"""What happens; it is told the time for which it was set."""


class EventQueue:
    """Works in the order of their times; of one time, in the order in which they were set."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callback]] = []
        self._number = count()

    def schedule(self, at: float, callback: Callback) -> None:
        heapq.heappush(self._events, (at, next(self._number), callback))

    def run_until(self, now: float) -> None:
        """Does all that is due up to ``now``, also what those works set meanwhile."""
        while self._events and self._events[0][0] <= now:
            at, _, callback = heapq.heappop(self._events)
            callback(at)
