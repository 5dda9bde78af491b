"""The schedule: each job runs at its own phase, once at a time, despite failing jobs and clock steps."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.clock import Instant
from nomad_exporter.polling import schedule as module
from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.schedule import PollJob, Schedule, wall_time
from tests.support.answers import FakeClock
from tests.support.schedules import Calls, RecordingHandler, ScheduleRunner
from tests.support.waiting import PATIENCE

HOUR = 3600.0

FAR = Instant(wall=4_000_000_000.0, monotonic=5000.0)
"""An instant in the far future: apscheduler reads the true time, so it starts no job that is due then."""


def nothing(*_: object) -> None:
    """Do nothing."""


# A job by itself.


def fail(_: float) -> None:
    raise ZeroDivisionError("what an agent sent")


def new_job(name: str = "s1 health", interval: float = 5.0, action: Callable[[float], None] = nothing) -> PollJob:
    """Return a job that calls ``action`` and never hangs."""

    def run(lateness: float) -> JobOutcome:
        action(lateness)
        return JobOutcome.COMPLETED

    return PollJob(name, interval, run)


@given(
    name=st.text(min_size=1),
    interval=st.floats(min_value=0.01, max_value=86400),
    after=st.floats(min_value=0, max_value=1e8),
)
@settings(deadline=None)
def test_job_is_due_within_its_interval(name: str, interval: float, after: float) -> None:
    wait = new_job(name, interval).next_due(after) - after

    assert -1e-6 <= wait <= interval + 1e-6


@given(name=st.text(min_size=1), afters=st.lists(st.floats(min_value=0, max_value=1e8), min_size=2, max_size=2))
@settings(deadline=None)
def test_job_is_always_due_at_the_same_phase(name: str, afters: list[float]) -> None:
    first, second = (new_job(name, 15.0).next_due(after) / 15.0 for after in afters)

    assert first - second == pytest.approx(round(first - second), abs=1e-6)


def test_job_keeps_its_phase_across_restarts() -> None:
    assert new_job().next_due(5000.0) == new_job().next_due(5000.0)


def test_next_run_is_one_interval_later() -> None:
    due = new_job().next_due(5000.0)

    assert new_job().next_due(due + 0.001) == pytest.approx(due + 5.0)


def test_many_agents_are_spread_evenly() -> None:
    phases = Counter(int(new_job(f"10.0.0.{number}:4646 health", 10.0).next_due(0.0)) for number in range(1000))

    assert len(phases) == 10
    assert all(70 <= number <= 130 for number in phases.values())


def test_two_jobs_of_an_agent_have_different_phases() -> None:
    assert new_job("s1 health", 15.0).next_due(0.0) != new_job("s1 state", 15.0).next_due(0.0)


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        pytest.param(0.0, 0.0, id="in time"),
        pytest.param(0.25, 0.25, id="late"),
        pytest.param(-0.5, 0.0, id="early, after a small step of the wall clock"),
    ],
)
def test_action_gets_the_lateness(late: float, expected: float) -> None:
    lateness: list[float] = []
    clock = FakeClock()
    job = new_job(action=lateness.append)
    job.start(clock, due=clock().monotonic)
    clock.advance(late)
    job()

    assert lateness == [expected]


def test_job_is_next_due_at_its_phase_after_the_run() -> None:
    clock = FakeClock()
    job = new_job(action=lambda _: clock.advance(17.0))
    job.start(clock, due=clock().monotonic)
    job()

    assert job.due == job.next_due(clock().monotonic)
    assert clock().monotonic < job.due <= clock().monotonic + 5.0


def test_job_that_raises_is_due_again() -> None:
    clock = FakeClock()
    job = new_job(action=fail)
    job.start(clock, due=clock().monotonic)
    with pytest.raises(ZeroDivisionError):
        job()

    assert job.due > clock().monotonic


def test_next_fire_time_is_wall_time_of_next_phase() -> None:
    clock = FakeClock()
    job = new_job()
    job.start(clock, due=clock().monotonic)
    fire_time = job.get_next_fire_time(None, datetime.now(UTC))

    assert fire_time.timestamp() - clock().wall == about(job.next_due(clock().monotonic) - clock().monotonic)


def test_wall_time_is_as_far_from_now_as_monotonic_time() -> None:
    at = Instant(wall=1_800_000_000.0, monotonic=5000.0)

    assert wall_time(5090.5, at) == datetime(2027, 1, 15, 8, 1, 30, 500_000, UTC)


# The schedule.


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Yield the records that the schedule logs."""
    handler = RecordingHandler()
    logger = logging.getLogger("nomad_exporter.polling.schedule")
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)


def next_run(schedule: Schedule, name: str) -> float:
    """Return the wall-clock seconds from ``FAR`` until apscheduler runs the job ``name``."""
    (run_time,) = (job.next_run_time for job in schedule._scheduler.get_jobs() if job.trigger.name == name)
    return float(run_time.timestamp() - FAR.wall)


def about(seconds: float) -> object:
    """Return a value that equals ``seconds``, within the precision of a wall time."""
    return pytest.approx(seconds, rel=0, abs=1e-5)


def test_job_runs_repeatedly(runner: ScheduleRunner) -> None:
    calls = Calls()
    runner.start(new_job(interval=0.02, action=calls))

    assert calls.wait_for(5)


def test_start_ramps_up_the_jobs(runner: ScheduleRunner) -> None:
    ramp = module.RAMP_PER_SECOND
    schedule = runner.start(*(new_job(f"s{number}") for number in range(2 * ramp + 1)), at=FakeClock(FAR))

    assert next_run(schedule, "s0") == 0.0
    assert next_run(schedule, f"s{ramp}") == about(1.0)
    assert next_run(schedule, f"s{2 * ramp}") == about(2.0)


def test_first_heartbeat_is_due_at_once(runner: ScheduleRunner) -> None:
    assert next_run(runner.start(at=FakeClock(FAR)), "heartbeat") == 0.0


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


def test_running_job_is_skipped_and_not_started_twice(runner: ScheduleRunner) -> None:
    started = Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)

    runner.start(new_job(interval=0.02, action=action))

    assert runner.skips.wait_for(3)
    assert started.number == 1


def test_skipped_job_runs_again_after_the_previous_run(runner: ScheduleRunner) -> None:
    started = Calls()

    def action(late: float) -> None:
        started()
        runner.hang(late)

    runner.start(new_job(interval=0.02, action=action))
    assert runner.skips.wait_for(1)
    runner.release.set()

    assert started.wait_for(3)


def test_running_job_delays_no_other_job(runner: ScheduleRunner) -> None:
    calls = Calls()
    runner.start(new_job("hangs", 0.02, runner.hang), new_job("s1", 0.02, calls))

    assert runner.skips.wait_for(1)
    assert calls.wait_for(3)


def test_job_in_time_is_not_skipped(runner: ScheduleRunner) -> None:
    calls = Calls()
    runner.start(new_job(interval=0.05, action=calls))

    assert calls.wait_for(3)
    assert runner.skips.number == 0


def test_failed_job_is_logged_without_exception_text(runner: ScheduleRunner, records: list[logging.LogRecord]) -> None:
    calls = Calls()
    runner.start(new_job("s1 state", HOUR, fail), new_job("s2 state", 0.02, calls))
    assert calls.wait_for(3)
    runner.stop()

    (record,) = records
    fields = record.__dict__["fields"]
    assert (record.levelname, record.getMessage()) == ("ERROR", "poll job failed")
    assert (fields["job"], fields["error"]) == ("s1 state", "ZeroDivisionError")
    assert fields["where"] == f"fail:{fail.__code__.co_firstlineno + 1}"
    assert "what an agent sent" not in str(record.__dict__)


def test_failed_job_runs_again(runner: ScheduleRunner) -> None:
    calls = Calls()

    def action(late: float) -> None:
        calls()
        fail(late)

    runner.start(new_job(interval=0.02, action=action))

    assert calls.wait_for(3)


@pytest.fixture
def quick_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_heartbeat")
def test_heartbeat_is_repeated(runner: ScheduleRunner) -> None:
    runner.start()

    assert runner.heartbeats.wait_for(3)


@pytest.mark.usefixtures("quick_heartbeat")
def test_heartbeat_continues_while_all_workers_hang(runner: ScheduleRunner) -> None:
    runner.start(*(new_job(f"s{number}", HOUR, runner.hang) for number in range(3)), workers=1)
    assert runner.heartbeats.wait_for(1)

    assert runner.heartbeats.wait_for(10)


# Clock steps.


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_clock_step_does_not_change_when_a_job_runs(runner: ScheduleRunner, step: float) -> None:
    clock = FakeClock(FAR)
    job = new_job("s1")
    schedule = runner.start(job, at=clock)
    job()
    wait = job.due - clock().monotonic

    clock.step(step)
    schedule.resync()

    assert 0 < wait <= 5.0
    assert next_run(schedule, "s1") == about(step + wait)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_overdue_job_runs_at_once_after_a_clock_step(runner: ScheduleRunner, step: float) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job("s1"), at=clock)

    clock.advance(30.0)
    clock.step(step)
    schedule.resync()

    assert next_run(schedule, "s1") == about(step + 30.0)


def test_resync_also_corrects_the_heartbeat(runner: ScheduleRunner) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(at=clock)

    clock.step(-HOUR)
    schedule.resync()

    assert next_run(schedule, "heartbeat") == about(-HOUR)


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


@pytest.mark.parametrize("step", [1.5, -1.5], ids=["forward", "back"])
def test_more_than_a_second_is_a_clock_step(runner: ScheduleRunner, step: float) -> None:
    clock = FakeClock(FAR)
    schedule = runner.start(new_job("s1"), at=clock)

    clock.step(step)
    schedule.resync()

    assert runner.clock_steps.number == 1
    assert next_run(schedule, "s1") == about(step)


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
    before = next_run(schedule, "s1")

    move(clock)
    schedule.resync()

    assert runner.clock_steps.number == 0
    assert next_run(schedule, "s1") == before


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


def test_next_fire_time_is_after_now_despite_a_clock_step() -> None:
    clock = FakeClock()
    job = new_job()
    job.start(clock, due=clock().monotonic)
    now = datetime.fromtimestamp(clock().wall, UTC)
    clock.step(-3600)

    assert job.get_next_fire_time(None, now) > now
