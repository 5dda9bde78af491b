"""The schedule: backoff and the slow pool for jobs that hang, and replacing jobs while the schedule runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.schedule import MAX_BACKOFF_SECONDS, RAMP_PER_SECOND, Action, PollJob, Schedule
from tests.support.answers import FakeClock
from tests.support.schedules import RecordingHandler, ScheduleRunner
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow  # Real threads and intervals.

COMPLETED, HUNG = JobOutcome.COMPLETED, JobOutcome.HUNG

HOUR = 3600.0

FAR = Instant(wall=4_000_000_000.0, monotonic=5000.0)
"""An instant in the far future: apscheduler reads the true time, so it starts no job that is due then."""


def respond(_: float) -> JobOutcome:
    """Act as a poll of an agent that responds."""
    return COMPLETED


def hang(_: float) -> JobOutcome:
    """Act as a poll of an agent that does not respond."""
    return HUNG


def fail(_: float) -> JobOutcome:
    """Act as a poll that ends by an exception."""
    raise ZeroDivisionError


class FakeAction:
    """An action that counts its runs, and hangs while ``hung`` is true."""

    def __init__(self, hung: bool = True) -> None:
        self.hung = hung
        self.runs = 0

    def __call__(self, _: float) -> JobOutcome:
        self.runs += 1
        return HUNG if self.hung else COMPLETED


def waits(interval: float, action: Action, times: int) -> list[float]:
    """Return the seconds from when each run is due until the next one is due; each run starts when due."""
    clock = FakeClock()
    job = PollJob("s1 health", interval, action)
    job.start(clock, job.next_due(clock().monotonic))
    seconds = []
    for _ in range(times):
        clock.advance(job.due - clock().monotonic + 0.001)
        due = job.due
        job()
        seconds.append(round(job.due - due, 3))
    return seconds


# A job by itself.


def test_job_that_hangs_runs_less_and_less_often() -> None:
    assert waits(5.0, hang, 5) == [10.0, 20.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("interval", [0.01, 0.1, 1.0, 4.0, 7.0, 15.0, 29.9, 30.0])
def test_backoff_is_limited(interval: float) -> None:
    waited = waits(interval, hang, 30)

    assert waited == sorted(waited)
    assert MAX_BACKOFF_SECONDS - interval - 0.01 <= waited[-1] <= MAX_BACKOFF_SECONDS


@pytest.mark.parametrize("interval", [16.0, 30.0, 60.0, HOUR])
def test_long_interval_has_no_backoff(interval: float) -> None:
    assert waits(interval, hang, 3) == [interval] * 3


def test_recovered_job_runs_at_every_interval() -> None:
    results = iter([HUNG, HUNG, HUNG, COMPLETED, COMPLETED])

    assert waits(5.0, lambda _: next(results), 5) == [10.0, 20.0, 30.0, 5.0, 5.0]


def test_job_that_hangs_keeps_its_phase() -> None:
    default = PollJob("s1 health", 5.0, respond)
    slow = PollJob("s1 health", 5.0, hang)
    slow.start(FakeClock(), 0.0)
    for _ in range(4):
        slow()

    intervals = (slow.next_due(5000.0) - default.next_due(5000.0)) / 5.0
    assert intervals == pytest.approx(round(intervals), abs=1e-6)


@pytest.mark.parametrize(("outcome", "expected"), [(COMPLETED, [5.0, 5.0]), (HUNG, [10.0, 20.0])], ids=str)
def test_only_hung_runs_lead_to_backoff(outcome: JobOutcome, expected: list[float]) -> None:
    assert waits(5.0, lambda _: outcome, 2) == expected


def test_job_that_raises_has_not_hung() -> None:
    job = PollJob("s1 health", 5.0, hang)
    job.start(FakeClock(), 0.0)
    job()
    job.action = fail
    with pytest.raises(ZeroDivisionError):
        job()

    assert job.consecutive_timeouts == 0


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(PollJob("s1", 5.0, hang, "a"), True, id="same job with a new action"),
        pytest.param(PollJob("s1", 5.0, respond, "b"), False, id="other target"),
        pytest.param(PollJob("s1", 6.0, respond, "a"), False, id="other interval"),
        pytest.param(None, False, id="no job"),
    ],
)
def test_jobs_with_equal_interval_and_target_are_the_same(other: PollJob | None, same: bool) -> None:
    assert PollJob("s1", 5.0, respond, "a").is_same(other) is same


# The schedule.


@pytest.fixture
def errors() -> Iterator[list[logging.LogRecord]]:
    """Yield the errors that the schedule and apscheduler log."""
    handler = RecordingHandler()
    handler.setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("nomad_exporter.polling.schedule", "apscheduler")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.records
    for logger in loggers:
        logger.removeHandler(handler)


def executor(schedule: Schedule, name: str) -> str:
    executor: str = schedule._scheduler.get_job(schedule._jobs[name].job_id).executor
    return executor


def next_run(schedule: Schedule, name: str) -> float:
    """Return the wall-clock seconds from ``FAR`` until apscheduler runs the job ``name``."""
    run_time: float = schedule._scheduler.get_job(schedule._jobs[name].job_id).next_run_time.timestamp()
    return run_time - FAR.wall


def names(schedule: Schedule) -> set[str]:
    return {job.id for job in schedule._scheduler.get_jobs()} - {"heartbeat"}


def test_slow_job_moves_to_slow_pool_and_back(runner: ScheduleRunner) -> None:
    action = FakeAction()
    schedule = runner.start(PollJob("s1", 0.02, action))
    eventually(lambda: executor(schedule, "s1") == "slow")
    runs = action.runs
    eventually(lambda: action.runs > runs)

    action.hung = False

    eventually(lambda: executor(schedule, "s1") == "default")
    runs = action.runs
    eventually(lambda: action.runs > runs + 3)


def test_slow_job_runs_when_due(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    job = PollJob("s1", 5.0, hang)
    schedule = runner.start(job, at=clock)
    schedule._run_job(job)

    assert job.consecutive_timeouts == 1
    assert 5.0 < next_run(schedule, "s1") <= 10.0
    assert next_run(schedule, "s1") == pytest.approx(job.due - clock().monotonic, rel=0, abs=1e-5)


def test_recovered_job_runs_at_its_next_phase(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    action = FakeAction()
    job = PollJob("s1", 5.0, action)
    schedule = runner.start(job, at=clock)
    for _ in range(3):
        schedule._run_job(job)
    action.hung = False
    schedule._run_job(job)

    assert 0.0 < next_run(schedule, "s1") <= 5.0
    assert executor(schedule, "s1") == "default"


def test_slow_jobs_delay_no_other_job(runner: ScheduleRunner) -> None:
    # More jobs hang than there are workers.
    fast = FakeAction(hung=False)
    schedule = runner.start(*(PollJob(f"slow {number}", 0.02, FakeAction()) for number in range(8)))
    eventually(lambda: all(executor(schedule, f"slow {number}") == "slow" for number in range(8)))

    def block(_: float) -> JobOutcome:
        runner.release.wait(PATIENCE)
        return HUNG

    for job in schedule._jobs.values():
        job.action = block
    schedule.replace([*schedule._jobs.values(), PollJob("fast", 0.02, fast)])

    eventually(lambda: fast.runs > 5)


# Replacing jobs.


def test_same_job_continues_unchanged(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    job = PollJob("s1", 5.0, respond, "a")
    schedule = runner.start(job, at=clock)
    job()
    scheduled, due = schedule._scheduler.get_job("s1"), job.due
    clock.advance(1.0)

    schedule.replace([PollJob("s1", 5.0, respond, "a")])

    assert schedule._jobs["s1"] is job
    assert schedule._scheduler.get_job("s1") is scheduled
    assert (scheduled.next_run_time.timestamp(), job.due) == (FAR.wall, due)


def test_same_job_stays_in_the_slow_pool(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    job = PollJob("s1", 5.0, hang, "a")
    schedule = runner.start(job, at=clock)
    schedule._run_job(job)
    before = next_run(schedule, "s1")

    schedule.replace([PollJob("s1", 5.0, hang, "a")])

    assert (executor(schedule, "s1"), next_run(schedule, "s1"), job.consecutive_timeouts) == ("slow", before, 1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(PollJob("s1", 6.0, respond, "a"), id="other interval"),
        pytest.param(PollJob("s1", 5.0, respond, "b"), id="other target"),
    ],
)
def test_changed_job_starts_at_once_in_the_default_pool(runner: ScheduleRunner, other: PollJob) -> None:
    clock = FakeClock(FAR)
    job = PollJob("s1", 5.0, hang, "a")
    schedule = runner.start(job, at=clock)
    schedule._run_job(job)
    clock.advance(1.0)

    schedule.replace([other])

    assert schedule._jobs["s1"] is other
    assert (executor(schedule, "s1"), next_run(schedule, "s1")) == ("default", 1.0)


def test_jobs_are_removed_and_added(runner: ScheduleRunner) -> None:
    schedule = runner.start(*(PollJob(name, 5.0, respond) for name in ("s1", "s2")), at=FakeClock(FAR))

    schedule.replace([PollJob(name, 5.0, respond) for name in ("s2", "s3")])

    assert names(schedule) == {"s2", "s3"}


def test_added_jobs_are_ramped_up(runner: ScheduleRunner) -> None:
    schedule = runner.start(PollJob("s", 5.0, respond), at=FakeClock(FAR))

    schedule.replace(
        [PollJob("s", 5.0, respond), *(PollJob(f"s{number}", 5.0, respond) for number in range(RAMP_PER_SECOND + 1))]
    )

    assert next_run(schedule, "s0") == 0.0
    assert next_run(schedule, f"s{RAMP_PER_SECOND}") == pytest.approx(1.0, rel=0, abs=1e-5)


def test_added_job_runs_and_removed_job_does_not(runner: ScheduleRunner) -> None:
    old, new = FakeAction(hung=False), FakeAction(hung=False)
    schedule = runner.start(PollJob("s1", 0.02, old))
    eventually(lambda: old.runs > 1)

    schedule.replace([PollJob("s2", 0.02, new)])
    eventually(lambda: new.runs > 1)
    old_runs, new_runs = old.runs, new.runs
    eventually(lambda: new.runs > new_runs + 5)

    assert old.runs == old_runs


def test_schedule_continues_after_all_jobs_are_removed(runner: ScheduleRunner) -> None:
    new = FakeAction(hung=False)
    schedule = runner.start(PollJob("s1", 0.02, respond))

    schedule.replace([])
    schedule.replace([PollJob("s1", 0.02, new)])

    eventually(lambda: new.runs > 2)


@pytest.mark.parametrize("outcome", JobOutcome, ids=str)
def test_removing_a_running_job_logs_no_error(
    runner: ScheduleRunner, errors: list[logging.LogRecord], outcome: JobOutcome
) -> None:
    started, ended, other = threading.Event(), threading.Event(), FakeAction(hung=False)

    def action(_: float) -> JobOutcome:
        started.set()
        runner.release.wait(PATIENCE)
        ended.set()
        return outcome

    schedule = runner.start(PollJob("s1", 0.05, action))
    assert started.wait(PATIENCE)
    schedule.replace([PollJob("s2", 0.02, other)])
    runner.release.set()
    assert ended.wait(PATIENCE)
    runs = other.runs
    eventually(lambda: other.runs > runs + 3)

    assert names(schedule) == {"s2"}
    assert errors == []


def test_old_job_that_hangs_does_not_delay_its_replacement(
    runner: ScheduleRunner, errors: list[logging.LogRecord]
) -> None:
    clock = FakeClock(FAR)
    old, new = PollJob("s1", 5.0, hang, "old"), PollJob("s1", 5.0, respond, "new")
    schedule = runner.start(old, at=clock)

    def replace_and_hang(_: float) -> JobOutcome:
        schedule.replace([new])
        return HUNG

    old.action = replace_and_hang
    schedule._run_job(old)

    assert old.consecutive_timeouts == 1
    assert (executor(schedule, "s1"), next_run(schedule, "s1"), new.consecutive_timeouts) == ("default", 0.0, 0)
    assert errors == []


def test_resync_corrects_added_jobs(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(PollJob("s1", 5.0, respond), at=clock)
    schedule.replace([PollJob("s2", 5.0, respond)])

    clock.step(-HOUR)
    schedule.resync()

    assert next_run(schedule, "s2") == pytest.approx(-HOUR, rel=0, abs=1e-5)


def test_replacement_does_not_wait_for_the_running_job(runner: ScheduleRunner) -> None:
    started, release, replaced = threading.Event(), threading.Event(), threading.Event()

    def block(_: float) -> JobOutcome:
        started.set()
        release.wait(PATIENCE)
        return COMPLETED

    def replacement(_: float) -> JobOutcome:
        replaced.set()
        return COMPLETED

    schedule = runner.start(PollJob("s1", 3600.0, block, "old"))
    assert started.wait(PATIENCE)
    schedule.replace([PollJob("s1", 3600.0, replacement, "new")])

    assert replaced.wait(PATIENCE)
    release.set()
