"""The schedule: runs every poll job when the job is due. No other module uses apscheduler.

Slow pool: a job that hangs keeps a worker thread until the poll's timeout. Such a job moves to a small pool of its own,
so that the jobs that hang never delay the other jobs. The job moves back after the first run that does not hang.

Backoff: a job that hangs runs less often, after 2, 4, 8, … intervals, but at least every ``MAX_BACKOFF_SECONDS``. The
first run that does not hang restores the interval.

Clock steps: apscheduler decides by the wall clock. If the wall clock is set back by an hour, apscheduler runs nothing
for an hour. So due times are kept in monotonic time here, and ``resync`` recomputes the wall times of apscheduler after
a step.
"""

from __future__ import annotations

import contextlib
import hashlib
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

from nomad_exporter import logs
from nomad_exporter.clock import Clock, Instant
from nomad_exporter.polling.poller import JobOutcome

HEARTBEAT_SECONDS = 1.0
"""The interval of the schedule's heartbeat."""

STEP_SECONDS = 1.0
"""The minimum difference between the clocks that counts as a step; every run of a job corrects slower drift."""

MAX_BACKOFF_SECONDS = 30.0
"""The maximum time between two runs of a job that hangs, unless the job's interval is longer."""

SLOW_WORKERS = 32
"""The maximum number of threads of the slow pool."""

RAMP_PER_SECOND = 100
"""How many jobs, two for each agent, become due per second at the start."""

_DEFAULT, _SLOW, _INLINE = "default", "slow", "inline"
"""The executors: the default pool, the slow pool, and apscheduler's own thread for the heartbeat."""

_THREAD_PREFIX = "poll"

Action = Callable[[float], JobOutcome]
"""What a job runs, given the seconds since the job was due."""

_log = logs.get_logger(__name__)


class PollJob(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """A job that runs at once, then every ``interval`` seconds, always at the same phase of the interval.

    The job calls ``action`` with the seconds since the job was due. After a run that hung, the next run comes later, at
    most ``MAX_BACKOFF_SECONDS`` later. Two jobs with the same name, interval and ``target`` are the same job.
    """

    def __init__(self, name: str, interval: float, action: Action, target: Hashable = None) -> None:
        self.name, self.interval, self.action, self.target = name, interval, action, target
        self.clock: Clock
        self.job_id = name
        self.due = 0.0
        self.consecutive_timeouts = 0
        self.is_running = False
        # A hash of the name spreads many agents evenly over the interval, and is the same after a restart.
        fraction = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
        self._phase = fraction * interval

    def start(self, clock: Clock, due: float, generation: int = 0) -> None:
        """Make the first run due at ``due``, in monotonic seconds.

        ``generation`` is the number of earlier jobs with this name. Each generation has its own ID in apscheduler, so
        a job that replaces a running job does not wait for that job's end.
        """
        self.clock, self.due = clock, due
        self.job_id = f"{self.name}#{generation}" if generation else self.name

    def is_same(self, other: PollJob | None) -> bool:
        """Return whether ``other``, a job with this name, has the same interval and target."""
        return other is not None and (self.interval, self.target) == (other.interval, other.target)

    def next_due(self, after: float) -> float:
        """Return when the job is next due after ``after``, with backoff if the job hangs; both in monotonic seconds."""
        max_intervals = max(1, math.floor(MAX_BACKOFF_SECONDS / self.interval))
        intervals = min(1 << min(self.consecutive_timeouts, 16), max_intervals)
        return self._phase + (math.floor((after - self._phase) / self.interval) + intervals) * self.interval

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        """Return the wall time of the next run; called by apscheduler."""
        at = self.clock()
        # apscheduler repeats the call until the result is later than now, so an earlier time would be an endless loop.
        return max(wall_time(self.next_due(at.monotonic), at), now + datetime.resolution)

    def __call__(self) -> None:
        """Run the job's action, and update when the job is next due."""
        outcome = JobOutcome.COMPLETED
        self.is_running = True
        try:
            outcome = self.action(max(0.0, self.clock().monotonic - self.due))
        finally:
            self.consecutive_timeouts = self.consecutive_timeouts + 1 if outcome is JobOutcome.HUNG else 0
            self.due = self.next_due(self.clock().monotonic)
            self.is_running = False


def wall_time(monotonic: float, at: Instant) -> datetime:
    """Return the wall time that corresponds to ``monotonic``, by the difference between the two clocks in ``at``."""
    return datetime.fromtimestamp(at.wall + monotonic - at.monotonic, UTC)


class Schedule:
    """Runs every job when due, never two runs of one job at the same time, on at most ``workers`` threads.

    ``on_heartbeat`` is called every second while the schedule runs. ``on_skip`` is called for each run that is skipped
    because the previous run has not ended, ``on_clock_step`` for each step of the wall clock.
    """

    def __init__(
        self,
        *,
        jobs: Iterable[PollJob],
        clock: Clock,
        workers: int,
        on_heartbeat: Callable[[Instant], None],
        on_skip: Callable[[], None],
        on_clock_step: Callable[[], None],
    ) -> None:
        self._clock, self._on_heartbeat, self._on_clock_step = clock, on_heartbeat, on_clock_step
        self._jobs = {job.name: job for job in jobs}
        self._heartbeat = PollJob("heartbeat", HEARTBEAT_SECONDS, self._beat)
        self._offset = 0.0
        self._generations: Counter[str] = Counter()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                _DEFAULT: _pool(workers),
                _SLOW: _pool(min(workers, SLOW_WORKERS)),
                _INLINE: DebugExecutor(),
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(lambda _: on_skip(), EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_listener(_log_error, EVENT_JOB_ERROR)

    def start(self) -> None:
        """Start every job, ``RAMP_PER_SECOND`` jobs a second; later runs follow each job's own phase."""
        at = self._clock()
        self._offset = at.wall - at.monotonic
        self._add(self._heartbeat, at, 0.0, _INLINE)
        self._add_all(self._jobs.values(), at)
        self._scheduler.start()

    def replace(self, jobs: Iterable[PollJob]) -> None:
        """Replace the jobs; a job that is the same as before continues unchanged, backoff included."""
        before, after = self._jobs, {job.name: job for job in jobs}
        unchanged = {name: job for name, job in before.items() if name in after and after[name].is_same(job)}
        self._jobs = {**after, **unchanged}
        for name, job in before.items():
            if self._jobs.get(name) is not job:
                self._scheduler.remove_job(job.job_id)
        self._add_all([job for name, job in self._jobs.items() if before.get(name) is not job], self._clock())

    def _add_all(self, jobs: Iterable[PollJob], at: Instant) -> None:
        for number, job in enumerate(jobs):
            self._add(job, at, number / RAMP_PER_SECOND, _DEFAULT)

    def _add(self, job: PollJob, at: Instant, delay: float, executor: str) -> None:
        job.start(self._clock, at.monotonic + delay, self._generations[job.name])
        self._generations[job.name] += 1
        first = wall_time(job.due, at)
        self._scheduler.add_job(self._run_job, job, args=(job,), id=job.job_id, executor=executor, next_run_time=first)

    def _run_job(self, job: PollJob) -> None:
        """Run a job; a job that hangs moves to the slow pool with backoff until a run does not hang."""
        was_slow = job.consecutive_timeouts > 0
        job()
        is_slow = job.consecutive_timeouts > 0
        if was_slow or is_slow:
            self._modify(job, next_run_time=wall_time(job.due, self._clock()), executor=_SLOW if is_slow else _DEFAULT)

    def resync(self) -> None:
        """Re-align all jobs if the wall clock has stepped since the previous call; call once per second."""
        at = self._clock()
        step = at.wall - at.monotonic - self._offset
        self._offset += step
        if abs(step) < STEP_SECONDS:
            return
        self._on_clock_step()
        _log.warning("clock stepped", seconds=f"{step:+.1f}")
        for job in (self._heartbeat, *self._jobs.values()):
            due = job.next_due(at.monotonic) if job.is_running else max(job.due, at.monotonic)
            self._modify(job, next_run_time=wall_time(due, at))

    def _beat(self, _: float) -> JobOutcome:
        self._on_heartbeat(self._clock())
        return JobOutcome.COMPLETED

    def _modify(self, job: PollJob, **changes: object) -> None:
        with contextlib.suppress(JobLookupError):  # The job was removed while it ran.
            self._scheduler.modify_job(job.job_id, **changes)

    def stop(self) -> None:
        """Start no more runs; do not wait for the running jobs."""
        self._scheduler.shutdown(wait=False)

    def join(self, within: float) -> bool:
        """Wait at most ``within`` seconds for the running jobs, after ``stop``; return whether all have ended."""
        deadline = time.monotonic() + within
        threads = [thread for thread in threading.enumerate() if thread.name.startswith(_THREAD_PREFIX)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, {"thread_name_prefix": _THREAD_PREFIX})


def _log_error(event: JobExecutionEvent) -> None:
    """Log where a job failed, in one line, without the exception's text; the job runs again when next due."""
    frames = traceback.extract_tb(event.exception.__traceback__)
    where = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    _log.error("poll job failed", job=event.job_id, error=type(event.exception).__name__, where=where)
