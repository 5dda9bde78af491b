"""The timetable: which poll jobs are due, run, or are put off. No threads and no clock; times are monotonic seconds.

Phase: a job is due once in each interval, always at the same phase. The phases spread many jobs over the interval.

Backoff: a job that hangs is put off for 2, 4, 8, … intervals, but for at most ``MAX_BACKOFF_SECONDS``. The first run
that does not hang ends the backoff.

Capacity: a run that hangs keeps a thread until its timeout, so the number of threads follows the number of jobs that
hang. ``CAPACITY`` limits it. Jobs that were put off leave ``RESERVE`` of it to the others.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from nomad_exporter.polling.poller import JobOutcome

MAX_BACKOFF_SECONDS = 30.0
"""The maximum time from a run that hung to the next one, unless the job's interval is longer."""

CAPACITY = 1024
"""The maximum number of jobs that run at the same time, each in a thread."""

RESERVE = 128
"""The part of the capacity that jobs which were put off leave to the others."""

RAMP_PER_SECOND = 400
"""How many new jobs, one for each source of an agent, become due per second."""

RECHECK_SECONDS = 1.0
"""After which time a job that is not wanted is checked again."""


@dataclass(frozen=True, slots=True)
class PollJob:
    """A job that runs every ``interval`` seconds, unless ``is_wanted`` returns False when it is due.

    ``action`` receives the seconds since the job was due. Two jobs are equal if they have the same name, interval and
    ``target``.
    """

    name: str
    interval: float
    action: Callable[[float], JobOutcome] = field(compare=False)
    target: Hashable = None
    is_wanted: Callable[[], bool] = field(compare=False, default=lambda: True)


@dataclass(slots=True, eq=False)
class Turn:
    """The state of one job in the timetable: when it is due, and how many runs in a row have hung."""

    job: PollJob
    due: float
    hung_runs: int = 0
    is_running: bool = False
    is_removed: bool = False


def next_due(job: PollJob, after: float, hung_runs: int = 0) -> float:
    """Return when ``job`` is next due after ``after``, with the backoff for ``hung_runs`` runs in a row."""
    phase = _phase(job.name) * job.interval
    max_intervals = max(1, math.floor(MAX_BACKOFF_SECONDS / job.interval))
    intervals = min(1 << min(hung_runs, 16), max_intervals)
    return phase + (math.floor((after - phase) / job.interval) + intervals) * job.interval


def _phase(name: str) -> float:
    """Return the phase of the job ``name`` as a fraction of its interval; it is the same after a restart."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


class Timetable:
    """The turns of all jobs. Not safe for threads: the schedule has a lock."""

    def __init__(self, capacity: int = CAPACITY, reserve: int = RESERVE) -> None:
        self._turns: dict[str, Turn] = {}
        self._prompt, self._put_off = _Queue(), _Queue()
        self._limits = ((self._prompt, capacity), (self._put_off, capacity - reserve))
        self._running = 0

    def replace(self, jobs: Iterable[PollJob], now: float) -> None:
        """Replace the jobs. A job that is the same continues unchanged, backoff included.

        A changed job is due at its own phase, and no later than before. Of the new jobs, ``RAMP_PER_SECOND`` become
        due per second, the first one at once.
        """
        before, self._turns = self._turns, {}
        dues = (now + number / RAMP_PER_SECOND for number in itertools.count())
        for job in jobs:
            old = before.get(job.name)
            if old and old.job == job:
                self._turns[job.name] = before.pop(job.name)
            else:
                self._add(_changed(old, job, now) if old else Turn(job, next(dues)))
        for turn in before.values():
            turn.is_removed = True

    def take(self, now: float) -> list[Turn]:
        """Return the turns whose jobs are to run now; each of them runs until ``end``."""
        taken = []
        for queue, limit in self._limits:
            while self._running < limit and (turn := queue.pop_wanted(now)):
                turn.is_running = True
                self._running += 1
                taken.append(turn)
        return taken

    def end(self, turn: Turn, outcome: JobOutcome, now: float) -> int:
        """Record the end of a run; return how many intervals the job has skipped because it ran late or for long."""
        skipped = max(0, int((now - turn.due) / turn.job.interval))
        self._running -= 1
        turn.is_running = False
        turn.hung_runs = turn.hung_runs + 1 if outcome is JobOutcome.HUNG else 0
        turn.due = next_due(turn.job, now, turn.hung_runs)
        if not turn.is_removed:
            self._push(turn)
        return skipped

    def next_due(self) -> float:
        """Return when the next job is due, infinite if all jobs run; it may be put off or removed by then."""
        return min(self._prompt.next_due(), self._put_off.next_due())

    def _add(self, turn: Turn) -> None:
        self._turns[turn.job.name] = turn
        self._push(turn)

    def _push(self, turn: Turn) -> None:
        (self._put_off if turn.hung_runs else self._prompt).push(turn)


def _changed(old: Turn, job: PollJob, now: float) -> Turn:
    """Return the turn of a job whose interval or target has changed; a run of the old one goes on beside it."""
    hung_runs = old.hung_runs if old.job.target == job.target else 0
    due = next_due(job, now, hung_runs)
    return Turn(job, due if old.is_running else min(old.due, due), hung_runs)


class _Queue:
    """Turns by the time when they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Turn]] = []
        self._numbers = itertools.count()

    def push(self, turn: Turn) -> None:
        # The number decides between turns that are due at the same time.
        heapq.heappush(self._heap, (turn.due, next(self._numbers), turn))

    def pop_wanted(self, now: float) -> Turn | None:
        """Return the next turn that is due by ``now`` and wanted; None if there is none."""
        while self.next_due() <= now:
            _, _, turn = heapq.heappop(self._heap)
            if turn.is_removed:
                continue
            if turn.job.is_wanted():
                return turn
            turn.due = now + min(RECHECK_SECONDS, turn.job.interval)
            self.push(turn)
        return None

    def next_due(self) -> float:
        """Return when the first turn is due; infinite if there is none."""
        return self._heap[0][0] if self._heap else math.inf
