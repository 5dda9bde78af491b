"""When every agent is asked. This is the only module that knows apscheduler.

apscheduler decides by the wall clock, which can step: set back by an hour, it would ask nobody for an hour. So what is
due is counted in monotonic time here, and ``put_right`` tells apscheduler anew where the two clocks have drifted apart.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from nomad_exporter.clock import Clock, Instant

BEAT_SECONDS = 1.0
"""How often the schedule says that it is alive."""

STEP_SECONDS = 1.0
"""The least difference between the clocks that counts as a step; slower drift corrects itself at every turn."""

RAMP_PER_SECOND = 50
"""How many turns begin in a second while the exporter starts."""

_log = logging.getLogger(__name__)


class Turn(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """A work that is done at once and then every ``interval`` seconds, always at the same phase of the interval.

    The phase is a hash of the name, so that many agents are spread evenly and each keeps its place across restarts.
    """

    def __init__(self, name: str, interval: float, work: Callable[[float], None]) -> None:
        self.name, self.interval, self.work = name, interval, work
        self.clock: Clock
        self.due = 0.0
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
        self._phase = share * interval

    def begin(self, clock: Clock, due: float) -> None:
        """Makes the first turn due at ``due``, in monotonic seconds."""
        self.clock, self.due = clock, due

    def next_due(self, after: float) -> float:
        """The first instant of this turn's phase after ``after``, both in monotonic seconds."""
        return self._phase + (math.floor((after - self._phase) / self.interval) + 1) * self.interval

    def get_next_fire_time(self, _: datetime | None, __: datetime) -> datetime:
        """For apscheduler: the wall time of the next turn."""
        at = self.clock()
        return wall_time(self.next_due(at.monotonic), at)

    def __call__(self) -> None:
        """Does the work, telling it by how many seconds it is late."""
        try:
            self.work(max(0.0, self.clock().monotonic - self.due))
        finally:
            self.due = self.next_due(self.clock().monotonic)


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
        self._turns = [*turns]
        self._beat = Turn("beat", BEAT_SECONDS, lambda _: beat(clock()))
        self._offset = 0.0
        pool = ThreadPoolExecutor(workers, {"thread_name_prefix": _THREADS})
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": pool, "scheduler": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(lambda _: missed(), EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_listener(_tell_error, EVENT_JOB_ERROR)

    def start(self) -> None:
        """Begins: every turn at once, some fifty a second, and from then on at its own phase."""
        at = self._clock()
        self._offset = at.wall - at.monotonic
        self._add(self._beat, at, 0.0, "scheduler")
        for number, turn in enumerate(self._turns):
            self._add(turn, at, number / RAMP_PER_SECOND, "default")
        self._scheduler.start()

    def _add(self, turn: Turn, at: Instant, delay: float, executor: str) -> None:
        turn.begin(self._clock, at.monotonic + delay)
        first = wall_time(turn.due, at)
        self._scheduler.add_job(turn, turn, id=turn.name, executor=executor, next_run_time=first)

    def put_right(self) -> None:
        """Puts every turn right where the wall clock has stepped since the last call, which is a second or so ago."""
        at = self._clock()
        step = at.wall - at.monotonic - self._offset
        self._offset += step
        if abs(step) < STEP_SECONDS:
            return
        self._stepped()
        _log.warning("the clock has stepped", extra={"fields": {"seconds": f"{step:+.1f}"}})
        for turn in (self._beat, *self._turns):
            due = max(turn.due, at.monotonic)
            self._scheduler.modify_job(turn.name, next_run_time=wall_time(due, at))

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


def _tell_error(event: JobExecutionEvent) -> None:
    """A fault of ours is one line that says where; the turn comes again all the same."""
    frames = traceback.extract_tb(event.exception.__traceback__)
    where = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    fields = {"turn": event.job_id, "error": type(event.exception).__name__, "where": where}
    _log.error("a poll broke", extra={"fields": fields})
