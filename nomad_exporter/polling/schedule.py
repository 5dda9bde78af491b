"""When every agent is asked. This is the only module that knows apscheduler.

apscheduler decides by the wall clock, which can step: set back by an hour, it would ask nobody for an hour. So what is
due is counted in monotonic time here, and ``resync`` tells apscheduler anew where the two clocks have drifted apart.
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

HEARTBEAT_SECONDS = 1.0
"""How often the schedule says that it is alive."""

STEP_SECONDS = 1.0
"""The least difference between the clocks that counts as a step; slower drift corrects itself at every job."""

MAX_BACKOFF_SECONDS = 30.0
"""How often, at the least, a job comes that hangs every time."""

SLOW_WORKERS = 32
"""Threads for the jobs that hung the last time, so that they take none from those that are well."""

RAMP_PER_SECOND = 100
"""How many jobs begin in a second at the start: those of some fifty agents."""

_log = logging.getLogger(__name__)


class PollJob(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """A work that is done at once and then every ``interval`` seconds, always at the same phase of the interval.

    The phase is a hash of the name, so that many agents are spread evenly and each keeps its place across restarts.
    A work that gives true has hung: it is done less and less often then, at most every ``MAX_BACKOFF_SECONDS``. Turns of the
    same name, interval and ``subject`` are the same job.
    """

    def __init__(self, name: str, interval: float, work: Callable[[float], object], subject: Hashable = None) -> None:
        self.name, self.interval, self.work, self.subject = name, interval, work, subject
        self.clock: Clock
        self.job = name
        self.due = 0.0
        self.consecutive_timeouts = 0
        self.is_running = False
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
        self._phase = share * interval

    def start(self, clock: Clock, due: float, number: int = 0) -> None:
        """Makes the first job due at ``due``, in monotonic seconds; ``number`` jobs of this name came before it.

        Each has a job of its own with apscheduler: one that takes the place of another does not wait for its end.
        """
        self.clock, self.due = clock, due
        self.job = f"{self.name}#{number}" if number else self.name

    def is_same(self, other: PollJob | None) -> bool:
        """Whether ``other`` does the same work at the same times."""
        return other is not None and (self.interval, self.subject) == (other.interval, other.subject)

    def next_due(self, after: float) -> float:
        """The next instant of this job's phase after ``after``, in monotonic seconds; while it hangs, a later one."""
        most = max(1, math.floor(MAX_BACKOFF_SECONDS / self.interval))
        ahead = min(1 << min(self.consecutive_timeouts, 16), most)
        return self._phase + (math.floor((after - self._phase) / self.interval) + ahead) * self.interval

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        """For apscheduler: the wall time of the next job; always after ``now``, until which it would ask on and on."""
        at = self.clock()
        return max(wall_time(self.next_due(at.monotonic), at), now + datetime.resolution)

    def __call__(self) -> None:
        """Does the work, telling it by how many seconds it is late."""
        hung = False
        self.is_running = True
        try:
            hung = self.work(max(0.0, self.clock().monotonic - self.due)) is True
        finally:
            self.consecutive_timeouts = self.consecutive_timeouts + 1 if hung else 0
            self.due = self.next_due(self.clock().monotonic)
            self.is_running = False


def wall_time(monotonic: float, at: Instant) -> datetime:
    """The wall time at which the monotonic clock will read ``monotonic``, as both clocks stand ``at`` this instant."""
    return datetime.fromtimestamp(at.wall + monotonic - at.monotonic, UTC)


class Schedule:
    """Calls every job when it is due, each at most once at a time, on a pool of ``workers`` threads.

    ``beat`` is called every second while the schedule is alive; ``missed`` for each job that was left out because the
    one before it had not ended; ``stepped`` for each step of the wall clock.
    """

    def __init__(
        self,
        jobs: Iterable[PollJob],
        clock: Clock,
        workers: int,
        beat: Callable[[Instant], None],
        missed: Callable[[], None],
        stepped: Callable[[], None],
    ) -> None:
        self._clock, self._stepped = clock, stepped
        self._jobs = {job.name: job for job in jobs}
        self._heartbeat = PollJob("beat", HEARTBEAT_SECONDS, lambda _: beat(clock()))
        self._offset = 0.0
        self._begun: Counter[str] = Counter()
        pools = {name: ThreadPoolExecutor(size, {"thread_name_prefix": _THREADS}) for name, size in _sizes(workers)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={**pools, _INLINE: DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(lambda _: missed(), EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_listener(_log_error, EVENT_JOB_ERROR)

    def start(self) -> None:
        """Begins: every job at once, a hundred a second, and from then on at its own phase."""
        at = self._clock()
        self._offset = at.wall - at.monotonic
        self._add(self._heartbeat, at, 0.0, _INLINE)
        self._add_all(self._jobs.values(), at)
        self._scheduler.start()

    def replace(self, jobs: Iterable[PollJob]) -> None:
        """Does ``jobs`` from now on; one that is the same as before goes on undisturbed."""
        before, now = self._jobs, {job.name: job for job in jobs}
        same = {name: old for name, old in before.items() if name in now and now[name].is_same(old)}
        self._jobs = {**now, **same}
        for name, old in before.items():
            if self._jobs.get(name) is not old:
                self._scheduler.remove_job(old.job)
        self._add_all([job for name, job in self._jobs.items() if before.get(name) is not job], self._clock())

    def _add_all(self, jobs: Iterable[PollJob], at: Instant) -> None:
        for number, job in enumerate(jobs):
            self._add(job, at, number / RAMP_PER_SECOND, _DEFAULT)

    def _add(self, job: PollJob, at: Instant, delay: float, executor: str) -> None:
        job.start(self._clock, at.monotonic + delay, self._begun[job.name])
        self._begun[job.name] += 1
        first = wall_time(job.due, at)
        self._scheduler.add_job(self._run_job, job, args=(job,), id=job.job, executor=executor, next_run_time=first)

    def _run_job(self, job: PollJob) -> None:
        """Does a job; one that hangs is put off and done among the sick, until it is well again."""
        hung_before = job.consecutive_timeouts
        job()
        if hung_before or job.consecutive_timeouts:
            due = wall_time(job.due, self._clock())
            with contextlib.suppress(JobLookupError):  # It was taken out while it was done.
                self._scheduler.modify_job(
                    job.job, executor=_SLOW if job.consecutive_timeouts else _DEFAULT, next_run_time=due
                )

    def resync(self) -> None:
        """Puts every job right where the wall clock has stepped since the last call, which is a second or so ago."""
        at = self._clock()
        step = at.wall - at.monotonic - self._offset
        self._offset += step
        if abs(step) < STEP_SECONDS:
            return
        self._stepped()
        _log.warning("the clock has stepped", extra={"fields": {"seconds": f"{step:+.1f}"}})
        for job in (self._heartbeat, *self._jobs.values()):
            due = job.next_due(at.monotonic) if job.is_running else max(job.due, at.monotonic)
            with contextlib.suppress(JobLookupError):
                self._scheduler.modify_job(job.job, next_run_time=wall_time(due, at))

    def stop(self) -> None:
        """Begins no more jobs; those that run go on."""
        self._scheduler.shutdown(wait=False)

    def join(self, within: float) -> bool:
        """Whether, once stopped, all jobs have ended; waits for them at most ``within`` seconds."""
        end = time.monotonic() + within
        running = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in running)


_THREADS = "poll"
_DEFAULT, _SLOW, _INLINE = "default", "slow", "scheduler"


def _sizes(workers: int) -> Iterable[tuple[str, int]]:
    return (_DEFAULT, workers), (_SLOW, min(workers, SLOW_WORKERS))


def _log_error(event: JobExecutionEvent) -> None:
    """A fault of ours is one line that says where; the job comes again all the same."""
    frames = traceback.extract_tb(event.exception.__traceback__)
    where = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    fields = {"job": event.job_id, "error": type(event.exception).__name__, "where": where}
    _log.error("a poll broke", extra={"fields": fields})
