"""When every agent is asked. This is the only module that knows apscheduler.

apscheduler decides by the wall clock, which can step: set back by an hour, it would ask nobody for an hour. So what is
due is counted in monotonic time here, and ``put_right`` tells apscheduler anew where the two clocks have drifted apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from nomad_exporter.clock import Clock, Instant

BEAT_SECONDS = 1.0
"""How often the schedule says that it is alive."""

STEP_SECONDS = 1.0
"""The least difference between the clocks that counts as a step; slower drift corrects itself at every turn."""

SICK_SECONDS = 30.0
"""How often, at the least, a turn comes that hangs every time."""

SICK_WORKERS = 32
"""Threads for the turns that hung the last time, so that they take none from those that are well."""

RAMP_PER_SECOND = 100
"""How many turns begin in a second at the start: those of some fifty agents."""

_log = logging.getLogger(__name__)


class Turn(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """A work that is done at once and then every ``interval`` seconds, always at the same phase of the interval.

    The phase is a hash of the name, so that many agents are spread evenly and each keeps its place across restarts.
    A work that gives true has hung: it is done less and less often then, at most every ``SICK_SECONDS``. Turns of the
    same name, interval and ``subject`` are the same turn.
    """

    def __init__(self, name: str, interval: float, work: Callable[[float], object], subject: Hashable = None) -> None:
        self.name, self.interval, self.work, self.subject = name, interval, work, subject
        self.clock: Clock
        self.job = name
        self.due = 0.0
        self.hangs = 0
        self.runs = False
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
        self._phase = share * interval

    def begin(self, clock: Clock, due: float, number: int = 0) -> None:
        """Makes the first turn due at ``due``, in monotonic seconds; ``number`` turns of this name came before it.

        Each has a job of its own with apscheduler: one that takes the place of another does not wait for its end.
        """
        self.clock, self.due = clock, due
        self.job = f"{self.name}#{number}" if number else self.name

    def is_same(self, other: Turn | None) -> bool:
        """Whether ``other`` does the same work at the same times."""
        return other is not None and (self.interval, self.subject) == (other.interval, other.subject)

    def next_due(self, after: float) -> float:
        """The next instant of this turn's phase after ``after``, in monotonic seconds; while it hangs, a later one."""
        most = max(1, math.floor(SICK_SECONDS / self.interval))
        ahead = min(1 << min(self.hangs, 16), most)
        return self._phase + (math.floor((after - self._phase) / self.interval) + ahead) * self.interval

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        """For apscheduler: the wall time of the next turn; always after ``now``, until which it would ask on and on."""
        at = self.clock()
        return max(wall_time(self.next_due(at.monotonic), at), now + datetime.resolution)

    def __call__(self) -> None:
        """Does the work, telling it by how many seconds it is late."""
        hung = False
        self.runs = True
        try:
            hung = self.work(max(0.0, self.clock().monotonic - self.due)) is True
        finally:
            self.hangs = self.hangs + 1 if hung else 0
            self.due = self.next_due(self.clock().monotonic)
            self.runs = False


def wall_time(monotonic: float, at: Instant) -> datetime:
    """The wall time at which the monotonic clock will read ``monotonic``, as both clocks stand ``at`` this instant."""
    return datetime.fromtimestamp(at.wall + monotonic - at.monotonic, UTC)


class Schedule:
    """Calls every turn when it is due, each at most once at a time, on a pool of ``workers`` threads.

    ``beat`` is called every second while the schedule is alive; ``missed`` for each turn that was left out because the
    one before it had not ended; ``stepped`` for each step of the wall clock.
    """

    def __init__(
        self,
        turns: Iterable[Turn],
        clock: Clock,
        workers: int,
        beat: Callable[[Instant], None],
        missed: Callable[[], None],
        stepped: Callable[[], None],
    ) -> None:
        self._clock, self._stepped = clock, stepped
        self._turns = {turn.name: turn for turn in turns}
        self._beat = Turn("beat", BEAT_SECONDS, lambda _: beat(clock()))
        self._offset = 0.0
        self._begun: Counter[str] = Counter()
        pools = {name: ThreadPoolExecutor(size, {"thread_name_prefix": _THREADS}) for name, size in _sizes(workers)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={**pools, _ON_THE_SPOT: DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(lambda _: missed(), EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_listener(_tell_error, EVENT_JOB_ERROR)

    def start(self) -> None:
        """Begins: every turn at once, a hundred a second, and from then on at its own phase."""
        at = self._clock()
        self._offset = at.wall - at.monotonic
        self._add(self._beat, at, 0.0, _ON_THE_SPOT)
        self._add_all(self._turns.values(), at)
        self._scheduler.start()

    def replace(self, turns: Iterable[Turn]) -> None:
        """Does ``turns`` from now on; one that is the same as before goes on undisturbed."""
        before, now = self._turns, {turn.name: turn for turn in turns}
        same = {name: old for name, old in before.items() if name in now and now[name].is_same(old)}
        self._turns = {**now, **same}
        for name, old in before.items():
            if self._turns.get(name) is not old:
                self._scheduler.remove_job(old.job)
        self._add_all([turn for name, turn in self._turns.items() if before.get(name) is not turn], self._clock())

    def _add_all(self, turns: Iterable[Turn], at: Instant) -> None:
        for number, turn in enumerate(turns):
            self._add(turn, at, number / RAMP_PER_SECOND, _WELL)

    def _add(self, turn: Turn, at: Instant, delay: float, executor: str) -> None:
        turn.begin(self._clock, at.monotonic + delay, self._begun[turn.name])
        self._begun[turn.name] += 1
        first = wall_time(turn.due, at)
        self._scheduler.add_job(self._take, turn, args=(turn,), id=turn.job, executor=executor, next_run_time=first)

    def _take(self, turn: Turn) -> None:
        """Does a turn; one that hangs is put off and done among the sick, until it is well again."""
        hung_before = turn.hangs
        turn()
        if hung_before or turn.hangs:
            due = wall_time(turn.due, self._clock())
            with contextlib.suppress(JobLookupError):  # It was taken out while it was done.
                self._scheduler.modify_job(turn.job, executor=_SICK if turn.hangs else _WELL, next_run_time=due)

    def put_right(self) -> None:
        """Puts every turn right where the wall clock has stepped since the last call, which is a second or so ago."""
        at = self._clock()
        step = at.wall - at.monotonic - self._offset
        self._offset += step
        if abs(step) < STEP_SECONDS:
            return
        self._stepped()
        _log.warning("the clock has stepped", extra={"fields": {"seconds": f"{step:+.1f}"}})
        for turn in (self._beat, *self._turns.values()):
            due = turn.next_due(at.monotonic) if turn.runs else max(turn.due, at.monotonic)
            with contextlib.suppress(JobLookupError):
                self._scheduler.modify_job(turn.job, next_run_time=wall_time(due, at))

    def stop(self) -> None:
        """Begins no more turns; those that run go on."""
        self._scheduler.shutdown(wait=False)

    def ended(self, within: float) -> bool:
        """Whether, once stopped, all turns have ended; waits for them at most ``within`` seconds."""
        end = time.monotonic() + within
        running = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in running)


_THREADS = "poll"
_WELL, _SICK, _ON_THE_SPOT = "default", "sick", "scheduler"


def _sizes(workers: int) -> Iterable[tuple[str, int]]:
    return (_WELL, workers), (_SICK, min(workers, SICK_WORKERS))


def _tell_error(event: JobExecutionEvent) -> None:
    """A fault of ours is one line that says where; the turn comes again all the same."""
    frames = traceback.extract_tb(event.exception.__traceback__)
    where = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    fields = {"turn": event.job_id, "error": type(event.exception).__name__, "where": where}
    _log.error("a poll broke", extra={"fields": fields})
