"""What is to happen, and when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Work = Callable[[float], None]
"""What happens; it is told the time for which it was set."""


class Agenda:
    """Works in the order of their times; of one time, in the order in which they were set."""

    def __init__(self) -> None:
        self._works: list[tuple[float, int, Work]] = []
        self._number = count()

    def set(self, at: float, work: Work) -> None:
        heapq.heappush(self._works, (at, next(self._number), work))

    def do_until(self, now: float) -> None:
        """Does all that is due up to ``now``, also what those works set meanwhile."""
        while self._works and self._works[0][0] <= now:
            at, _, work = heapq.heappop(self._works)
            work(at)
