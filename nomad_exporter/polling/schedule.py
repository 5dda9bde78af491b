"""The schedule: a beat that starts the poll jobs which are due. No other module uses apscheduler.

The beat is apscheduler's only job. It runs when the next poll job is due, and at least every ``MAX_BEAT_SECONDS``. The
timetable decides what runs; worker threads run it.

Clock steps: apscheduler decides by the wall clock. If the wall clock is set back by an hour, apscheduler runs nothing
for an hour. The timetable is in monotonic time, and ``resync`` corrects the beat after a step.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from nomad_exporter import logs
from nomad_exporter.clock import Clock, Instant
from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.timetable import PollJob, Timetable, Turn
from nomad_exporter.workers import Workers

MAX_BEAT_SECONDS = 1.0
"""The maximum time between two beats."""

MIN_BEAT_SECONDS = 0.01
"""The minimum time between two beats; all jobs that become due meanwhile start at the second one."""

STEP_SECONDS = 1.0
"""The minimum difference between the clocks that counts as a step; every beat corrects slower drift."""

_BEAT = "beat"

_log = logs.get_logger(__name__)


class _Beat(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """Triggers the beat: ``next_beat`` returns its wall time."""

    def __init__(self, next_beat: Callable[[], datetime]) -> None:
        self._next_beat = next_beat

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        """Return the wall time of the next beat; called by apscheduler."""
        # apscheduler repeats the call until the result is later than now, so an earlier time would be an endless loop.
        return max(self._next_beat(), now + datetime.resolution)


class Schedule:
    """Runs every job when due, never two runs of one job at the same time.

    ``on_activity`` is called when a run starts or ends. ``on_skip`` is called with the number of intervals that a job
    has skipped, ``on_clock_step`` for each step of the wall clock.
    """

    def __init__(
        self,
        *,
        jobs: Iterable[PollJob],
        clock: Clock,
        timetable: Timetable,
        workers: Workers,
        on_activity: Callable[[Instant], None],
        on_skip: Callable[[int], None],
        on_clock_step: Callable[[], None],
    ) -> None:
        self._clock, self._jobs, self._timetable = clock, jobs, timetable
        self._on_activity, self._on_skip, self._on_clock_step = on_activity, on_skip, on_clock_step
        self._lock = threading.Lock()
        self._workers, self._was_refused = workers, False
        self._next_beat = 0.0
        self._offset = 0.0
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},  # Runs the beat in apscheduler's own thread.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Start the beat, and with it the jobs."""
        at = self._clock()
        self._offset = at.wall - at.monotonic
        with self._lock:
            self._timetable.replace(self._jobs, at.monotonic)
        self._scheduler.add_job(self._run_beat, _Beat(self._plan_beat), id=_BEAT, next_run_time=_wall_time(0.0, at))
        self._scheduler.start()

    def replace(self, jobs: Iterable[PollJob]) -> None:
        """Replace the jobs; a job that is the same as before continues unchanged, backoff included."""
        with self._lock:
            self._timetable.replace(jobs, self._clock().monotonic)
        self._advance_beat()

    def resync(self) -> None:
        """Correct the beat if the wall clock has stepped since the previous call; call once per second."""
        at = self._clock()
        step = at.wall - at.monotonic - self._offset
        self._offset += step
        if abs(step) >= STEP_SECONDS:
            self._on_clock_step()
            _log.warning("clock stepped", seconds=f"{step:+.1f}")
            self._move_beat(_wall_time(0.0, at))

    def stop(self) -> None:
        """Start no more runs; do not wait for the running jobs."""
        self._scheduler.shutdown(wait=False)
        self._workers.stop()

    def join(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the running jobs, after ``stop``; return whether all have ended."""
        return self._workers.join(seconds)

    # The beat. apscheduler has a lock of its own, which it holds during the beat: never call it with self._lock held.

    def _run_beat(self) -> None:
        """Start the jobs that are due."""
        with self._lock:
            turns = self._timetable.take(self._clock().monotonic)
        for turn in turns:
            self._workers.submit(partial(self._work, turn))
        self._log_refusal()

    def _log_refusal(self) -> None:
        """Log that the operating system refuses threads; once until it allows one."""
        if self._workers.is_refused and not self._was_refused:
            _log.error("cannot start a thread for polls, which will be late")
        self._was_refused = self._workers.is_refused

    def _plan_beat(self) -> datetime:
        """Return the wall time of the next beat."""
        at = self._clock()
        with self._lock:
            due = self._timetable.next_due() - at.monotonic
            wait = min(max(due, MIN_BEAT_SECONDS), MAX_BEAT_SECONDS)
            self._next_beat = at.monotonic + wait
        return _wall_time(wait, at)

    def _advance_beat(self) -> None:
        """Move the next beat to an earlier time if a job is due before it."""
        at = self._clock()
        with self._lock:
            wait = max(self._timetable.next_due() - at.monotonic, MIN_BEAT_SECONDS)
            if at.monotonic + wait >= self._next_beat:
                return
            self._next_beat = at.monotonic + wait
        self._move_beat(_wall_time(wait, at))

    def _move_beat(self, to: datetime) -> None:
        with contextlib.suppress(JobLookupError):  # The schedule was stopped.
            self._scheduler.modify_job(_BEAT, next_run_time=to)

    # The workers.

    def _work(self, turn: Turn) -> None:
        """Run the job of ``turn``, and record the end of the run."""
        self._on_activity(self._clock())
        outcome = self._run(turn)
        ended = self._clock()
        self._on_activity(ended)
        with self._lock:
            skipped = self._timetable.end(turn, outcome, ended.monotonic)
        if skipped:
            self._on_skip(skipped)
        self._advance_beat()

    def _run(self, turn: Turn) -> JobOutcome:
        """Run the job of ``turn``; a job that raises an exception has completed."""
        try:
            return turn.job.action(max(0.0, self._clock().monotonic - turn.due))
        except Exception as error:  # noqa: BLE001  # A bug in one poll must not end the polls of the agent.
            _log_error(turn.job, error)
            return JobOutcome.COMPLETED


def _wall_time(wait: float, at: Instant) -> datetime:
    """Return the wall time ``wait`` seconds after ``at``."""
    return datetime.fromtimestamp(at.wall + wait, UTC)


def _log_error(job: PollJob, error: Exception) -> None:
    """Log where a job failed, in one line, without the exception's text; the job runs again when next due."""
    frames = traceback.extract_tb(error.__traceback__)
    _log.error(
        "poll job failed", job=job.name, error=type(error).__name__, where=f"{frames[-1].name}:{frames[-1].lineno}"
    )
