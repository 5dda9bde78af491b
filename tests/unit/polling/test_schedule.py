"""The schedule: a beat that starts the jobs which are due, despite failing jobs, hanging jobs and clock steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.polling import schedule as module
from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.schedule import MAX_BEAT_SECONDS, Schedule
from nomad_exporter.polling.timetable import PollJob, Timetable
from tests.support.answers import FakeClock
from tests.support.schedules import Calls, RecordingHandler, ScheduleRunner
from tests.support.waiting import PATIENCE

HOUR = 3600.0

FAR = Instant(wall=4_000_000_000.0, monotonic=5000.0)
"""An instant in the far future: apscheduler reads the true time, so it runs no beat that is planned then."""


def nothing(*_: object) -> None:
    """Do nothing."""


def fail(_: float) -> None:
    raise ZeroDivisionError("what an agent sent")


def new_job(name: str = "s1 health", interval: float = 5.0, action: Callable[[float], object] = nothing) -> PollJob:
    """Return a job that calls ``action`` and never counts as hung."""

    def run(lateness: float) -> JobOutcome:
        action(lateness)
        return JobOutcome.COMPLETED

    return PollJob(name, interval, run)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Yield the records that the schedule and apscheduler log, from level warning."""
    handler = RecordingHandler()
    handler.setLevel(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("nomad_exporter.polling.schedule", "apscheduler")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.records
    for logger in loggers:
        logger.removeHandler(handler)


# Jobs.


def test_job_runs_repeatedly(runner: ScheduleRunner) -> None:
    calls = Calls()
    runner.start(new_job(interval=0.02, action=calls))

    assert calls.wait_for(5)


def test_first_run_is_not_late(runner: ScheduleRunner) -> None:
    lateness: list[float] = []
    calls = Calls()

    def action(late: float) -> None:
        lateness.append(late)
        calls()

    runner.start(new_job(interval=HOUR, action=action))

    assert calls.wait_for(1)
    assert 0.0 <= lateness[0] < PATIENCE


def test_jobs_of_several_agents_run_concurrently(runner: ScheduleRunner) -> None:
    together = threading.Barrier(2)
    met = Calls()

    def action(_: float) -> None:
        together.wait(PATIENCE)
        met()

    runner.start(new_job("s1", HOUR, action), new_job("s2", HOUR, action))

    assert met.wait_for(2)


def test_hundred_hanging_jobs_delay_no_other_job(runner: ScheduleRunner) -> None:
    calls, hanging = Calls(), Calls()

    def hang(late: float) -> None:
        hanging()
        with runner.workers.waiting():
            runner.hang(late)

    schedule = runner.start(*(new_job(f"s{number}", HOUR, hang) for number in range(100)))
    assert hanging.wait_for(100)
    schedule.replace([new_job("s100", 0.02, calls)])

    assert calls.wait_for(3)


def test_running_job_is_not_started_twice(runner: ScheduleRunner) -> None:
    started, others = Calls(), Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)

    runner.start(new_job("s1", 0.02, action), new_job("s2", 0.02, others))
    assert others.wait_for(5)

    assert started.number == 1


def test_skipped_intervals_are_reported_after_the_run(runner: ScheduleRunner) -> None:
    started, others = Calls(), Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)

    runner.start(new_job("s1", 0.02, action), new_job("s2", 0.05, others))
    assert others.wait_for(3)
    skips = runner.skips.number
    runner.release.set()

    assert started.wait_for(3)
    assert runner.skips.number > skips


def test_job_in_time_is_not_skipped(runner: ScheduleRunner) -> None:
    calls = Calls()
    runner.start(new_job(interval=0.5, action=calls))

    assert calls.wait_for(3)
    assert runner.skips.number == 0


def test_failed_job_is_logged_without_exception_text(runner: ScheduleRunner, records: list[logging.LogRecord]) -> None:
    calls = Calls()
    runner.start(new_job("s1 self", HOUR, fail), new_job("s2 self", 0.02, calls))
    assert calls.wait_for(3)
    runner.stop()

    (record,) = records
    fields = record.__dict__["fields"]
    assert (record.levelname, record.getMessage()) == ("ERROR", "poll job failed")
    assert (fields["job"], fields["error"]) == ("s1 self", "ZeroDivisionError")
    assert fields["where"] == f"fail:{fail.__code__.co_firstlineno + 1}"
    assert "what an agent sent" not in str(record.__dict__)


def test_failed_job_runs_again(runner: ScheduleRunner) -> None:
    calls = Calls()

    def action(late: float) -> None:
        calls()
        fail(late)

    runner.start(new_job(interval=0.02, action=action))

    assert calls.wait_for(3)


def test_added_job_runs_and_removed_job_does_not(runner: ScheduleRunner) -> None:
    old, new = Calls(), Calls()
    schedule = runner.start(new_job("s1", 0.02, old))
    assert old.wait_for(2)

    schedule.replace([new_job("s2", 0.02, new)])
    assert new.wait_for(2)
    runs = old.number
    assert new.wait_for(5)

    assert old.number == runs


def test_added_job_does_not_wait_for_the_next_beat(runner: ScheduleRunner) -> None:
    schedule = runner.start(at=FakeClock(FAR))
    schedule._run_beat()
    schedule._plan_beat()

    schedule.replace([new_job(interval=HOUR)])

    assert next_beat(schedule) == about(module.MIN_BEAT_SECONDS)


def test_removing_a_running_job_logs_no_error(runner: ScheduleRunner, records: list[logging.LogRecord]) -> None:
    started, ended, others = Calls(), Calls(), Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)
        ended()

    schedule = runner.start(new_job("s1", 0.05, action))
    assert started.wait_for(1)
    schedule.replace([new_job("s2", 0.02, others)])
    runner.release.set()

    assert ended.wait_for(1)
    assert others.wait_for(3)
    assert records == []


def test_refused_threads_are_logged_once(
    runner: ScheduleRunner, records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = runner.start(at=FakeClock(FAR))
    for is_refused in (True, True, False, False):
        monkeypatch.setattr(runner.workers, "is_refused", is_refused)
        schedule._run_beat()

    assert [record.getMessage() for record in records] == ["cannot start a thread for polls, which will be late"]


# The beat.


def next_beat(schedule: Schedule) -> float:
    """Return the wall-clock seconds from ``FAR`` until apscheduler runs the beat."""
    (job,) = schedule._scheduler.get_jobs()
    return float(job.next_run_time.timestamp() - FAR.wall)


def about(seconds: float) -> Any:
    """Return a value that equals ``seconds``, within the precision of a wall time."""
    return pytest.approx(seconds, rel=0, abs=1e-5)


def test_first_beat_is_at_once(runner: ScheduleRunner) -> None:
    assert next_beat(runner.start(at=FakeClock(FAR))) == 0.0


def test_beat_without_jobs_is_a_second_later(runner: ScheduleRunner) -> None:
    schedule = runner.start(at=FakeClock(FAR))

    assert schedule._plan_beat().timestamp() - FAR.wall == about(MAX_BEAT_SECONDS)


def test_beat_is_when_the_next_job_is_due(runner: ScheduleRunner) -> None:
    clock, timetable = FakeClock(FAR), Timetable()
    schedule = runner.start(new_job(interval=0.5), at=clock, timetable=timetable)
    (turn,) = timetable.take(FAR.monotonic)
    timetable.end(turn, JobOutcome.COMPLETED, FAR.monotonic)

    assert schedule._plan_beat().timestamp() - FAR.wall == about(max(turn.due - FAR.monotonic, 0.01))


def test_beats_have_a_minimum_distance(runner: ScheduleRunner) -> None:
    schedule = runner.start(new_job(), at=FakeClock(FAR))

    assert schedule._plan_beat().timestamp() - FAR.wall == about(module.MIN_BEAT_SECONDS)


def test_next_fire_time_is_after_now_despite_a_clock_step() -> None:
    now = datetime.fromtimestamp(FAR.wall, UTC)
    past = datetime.fromtimestamp(FAR.wall - HOUR, UTC)

    assert module._Beat(lambda: past).get_next_fire_time(None, now) > now


def test_activity_is_the_start_and_the_end_of_a_run(runner: ScheduleRunner) -> None:
    runner.start(new_job(interval=HOUR))

    assert runner.activity.wait_for(2)


def test_running_job_is_activity_at_its_start_only(runner: ScheduleRunner) -> None:
    started = Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)

    runner.start(new_job(interval=HOUR, action=action))
    assert started.wait_for(1)

    assert runner.activity.number == 1


# Clock steps.


@pytest.mark.parametrize("step", [HOUR, -HOUR, 1.5, -1.5])
def test_beat_follows_a_clock_step(runner: ScheduleRunner, step: float) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job("s1"), at=clock)
    clock.advance(0.5)

    clock.step(step)
    schedule.resync()

    assert next_beat(schedule) == about(step + 0.5)


def test_clock_step_is_counted_and_logged_once(runner: ScheduleRunner, records: list[logging.LogRecord]) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job(), at=clock)

    clock.step(-HOUR)
    schedule.resync()
    clock.advance(1.0)
    schedule.resync()

    assert runner.clock_steps.number == 1
    assert [(record.getMessage(), record.__dict__["fields"]) for record in records] == [
        ("clock stepped", {"seconds": "-3600.0"})
    ]


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(lambda clock: clock.advance(HOUR), id="time passes on both clocks"),
        pytest.param(lambda clock: clock.step(0.9), id="less than a second forward"),
        pytest.param(lambda clock: clock.step(-0.9), id="less than a second back"),
    ],
)
def test_small_difference_of_clocks_is_no_step(runner: ScheduleRunner, move: Callable[[FakeClock], None]) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job("s1"), at=clock)
    before = next_beat(schedule)

    move(clock)
    schedule.resync()

    assert runner.clock_steps.number == 0
    assert next_beat(schedule) == before


def test_slow_drift_never_adds_up_to_a_step(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job(), at=clock)

    for _ in range(10):
        clock.step(0.9)
        schedule.resync()

    assert runner.clock_steps.number == 0


# Stop.


def test_stop_leaves_no_threads(runner: ScheduleRunner) -> None:
    before = {*threading.enumerate()}
    calls = Calls()
    schedule = runner.start(new_job(interval=0.02, action=calls))
    assert calls.wait_for(2)

    schedule.stop()

    assert schedule.join(PATIENCE)
    assert {*threading.enumerate()} == before


def test_join_waits_for_running_job(runner: ScheduleRunner) -> None:
    started, done = Calls(), Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)
        done()

    schedule = runner.start(new_job(interval=HOUR, action=action))
    assert started.wait_for(1)

    schedule.stop()

    assert not schedule.join(0.0)
    runner.release.set()
    assert schedule.join(PATIENCE)
    assert done.number == 1
