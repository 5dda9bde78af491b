"""The schedule of turns that hang, and of turns that are replaced while the schedule goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.polling.schedule import MAX_BACKOFF_SECONDS, RAMP_PER_SECOND, PollJob, Schedule
from tests.support.answers import FakeClock
from tests.support.schedules import Keeping, Running
from tests.support.waiting import PATIENCE, eventually

HOUR = 3600.0

FAR = Instant(wall=4_000_000_000.0, monotonic=5000.0)
"""A moment at the end of the century: apscheduler, which knows the true time, begins nothing before it."""


def nothing(_: float) -> bool:
    """An agent that answers."""
    return False


def hangs(_: float) -> bool:
    """An agent that does not."""
    return True


class Patient:
    """A work that hangs while it is told to; ``threads`` are those that did it."""

    def __init__(self, sick: bool = True) -> None:
        self.sick = sick
        self.threads: list[threading.Thread] = []

    def __call__(self, _: float) -> bool:
        self.threads.append(threading.current_thread())
        return self.sick

    @property
    def number(self) -> int:
        return len(self.threads)


def waits(interval: float, work: Callable[[float], object], times: int) -> list[float]:
    """How long after each of so many turns the next one comes; each is done at the moment that it is due."""
    at = FakeClock()
    one = PollJob("s1 health", interval, work)
    one.start(at, one.next_due(at().monotonic))
    found = []
    for _ in range(times):
        at.go_on(one.due - at().monotonic + 0.001)
        began = one.due
        one()
        found.append(round(one.due - began, 3))
    return found


# A turn by itself.


def test_a_turn_that_hangs_comes_later_and_later() -> None:
    assert waits(5.0, hangs, 5) == [10.0, 20.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("interval", [0.01, 0.1, 1.0, 4.0, 7.0, 15.0, 29.9, 30.0])
def test_a_turn_that_hangs_for_ever_comes_at_the_latest_after_thirty_seconds(interval: float) -> None:
    waited = waits(interval, hangs, 30)

    assert waited == sorted(waited)
    assert MAX_BACKOFF_SECONDS - interval - 0.01 <= waited[-1] <= MAX_BACKOFF_SECONDS


@pytest.mark.parametrize("interval", [16.0, 30.0, 60.0, HOUR])
def test_a_turn_that_comes_rarely_anyhow_does_not_come_later(interval: float) -> None:
    assert waits(interval, hangs, 3) == [interval] * 3


def test_a_turn_that_is_well_again_comes_at_every_interval() -> None:
    answers = iter([True, True, True, False, False])

    assert waits(5.0, lambda _: next(answers), 5) == [10.0, 20.0, 30.0, 5.0, 5.0]


def test_a_turn_that_hangs_keeps_its_phase() -> None:
    well = PollJob("s1 health", 5.0, nothing)
    sick = PollJob("s1 health", 5.0, hangs)
    sick.start(FakeClock(), 0.0)
    for _ in range(4):
        sick()

    apart = (sick.next_due(5000.0) - well.next_due(5000.0)) / 5.0
    assert apart == pytest.approx(round(apart), abs=1e-6)


@pytest.mark.parametrize("told", [None, 1, "hung"], ids=repr)
def test_only_what_says_so_has_hung(told: object) -> None:
    assert waits(5.0, lambda _: told, 2) == [5.0, 5.0]


def test_a_turn_that_breaks_has_not_hung() -> None:
    one = PollJob("s1 health", 5.0, hangs)
    one.start(FakeClock(), 0.0)
    one()
    one.work = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        one()

    assert one.consecutive_timeouts == 0


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(PollJob("s1", 5.0, hangs, "a"), True, id="the same with a work made anew"),
        pytest.param(PollJob("s1", 5.0, nothing, "b"), False, id="for another subject"),
        pytest.param(PollJob("s1", 6.0, nothing, "a"), False, id="at another interval"),
        pytest.param(None, False, id="none"),
    ],
)
def test_turns_of_one_interval_and_subject_are_the_same(other: PollJob | None, same: bool) -> None:
    assert PollJob("s1", 5.0, nothing, "a").is_same(other) is same


# The schedule.


@pytest.fixture
def complaints() -> Iterator[list[logging.LogRecord]]:
    """What the schedule and apscheduler complain of."""
    keeping = Keeping()
    keeping.setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("nomad_exporter.polling.schedule", "apscheduler")]
    for logger in loggers:
        logger.addHandler(keeping)
    yield keeping.lines
    for logger in loggers:
        logger.removeHandler(keeping)


def executor(schedule: Schedule, name: str) -> str:
    told: str = schedule._scheduler.get_job(schedule._jobs[name].job).executor
    return told


def next_run(schedule: Schedule, name: str) -> float:
    """By how many seconds of the wall clock after ``FAR`` apscheduler will begin the turn ``name``."""
    told: float = schedule._scheduler.get_job(schedule._jobs[name].job).next_run_time.timestamp()
    return told - FAR.wall


def names(schedule: Schedule) -> set[str]:
    return {job.id for job in schedule._scheduler.get_jobs()} - {"beat"}


def test_a_turn_that_hangs_is_done_among_the_sick_and_back_among_the_well_once_it_answers(running: Running) -> None:
    patient = Patient()
    schedule = running.start(PollJob("s1", 0.02, patient))
    eventually(lambda: executor(schedule, "s1") == "sick")
    begun = patient.number
    eventually(lambda: patient.number > begun)

    patient.sick = False

    eventually(lambda: executor(schedule, "s1") == "default")
    begun = patient.number
    eventually(lambda: patient.number > begun + 3)


def test_a_turn_that_is_put_off_comes_when_it_is_due(running: Running) -> None:
    at = FakeClock(FAR)
    one = PollJob("s1", 5.0, hangs)
    schedule = running.start(one, at=at)
    schedule._run_job(one)

    assert one.consecutive_timeouts == 1
    assert 5.0 < next_run(schedule, "s1") <= 10.0
    assert next_run(schedule, "s1") == pytest.approx(one.due - at().monotonic, rel=0, abs=1e-5)


def test_a_turn_that_is_well_again_comes_at_its_next_phase(running: Running) -> None:
    at = FakeClock(FAR)
    patient = Patient()
    one = PollJob("s1", 5.0, patient)
    schedule = running.start(one, at=at)
    for _ in range(3):
        schedule._run_job(one)
    patient.sick = False
    schedule._run_job(one)

    assert 0.0 < next_run(schedule, "s1") <= 5.0
    assert executor(schedule, "s1") == "default"


def test_the_sick_hold_up_none_that_is_well(running: Running) -> None:
    """More hang than there are workers, once they are known to hang."""
    well, sick = Patient(sick=False), [Patient() for _ in range(8)]
    schedule = running.start(*(PollJob(f"sick {number}", 0.02, work) for number, work in enumerate(sick)))
    eventually(lambda: all(executor(schedule, f"sick {number}") == "sick" for number in range(8)))

    def wait(_: float) -> bool:
        return running.release.wait(PATIENCE)

    for turn in schedule._jobs.values():
        turn.work = wait
    schedule.replace([*schedule._jobs.values(), PollJob("well", 0.02, well)])

    eventually(lambda: well.number > 5)


# Replacing.


def test_an_equal_turn_goes_on_undisturbed(running: Running) -> None:
    at = FakeClock(FAR)
    one = PollJob("s1", 5.0, nothing, "a")
    schedule = running.start(one, at=at)
    one()
    job, due = schedule._scheduler.get_job("s1"), one.due
    at.go_on(1.0)

    schedule.replace([PollJob("s1", 5.0, nothing, "a")])

    assert schedule._jobs["s1"] is one
    assert schedule._scheduler.get_job("s1") is job
    assert (job.next_run_time.timestamp(), one.due) == (FAR.wall, due)


def test_an_equal_turn_that_hangs_stays_among_the_sick(running: Running) -> None:
    at = FakeClock(FAR)
    one = PollJob("s1", 5.0, hangs, "a")
    schedule = running.start(one, at=at)
    schedule._run_job(one)
    before = next_run(schedule, "s1")

    schedule.replace([PollJob("s1", 5.0, hangs, "a")])

    assert (executor(schedule, "s1"), next_run(schedule, "s1"), one.consecutive_timeouts) == ("sick", before, 1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(PollJob("s1", 6.0, nothing, "a"), id="of another interval"),
        pytest.param(PollJob("s1", 5.0, nothing, "b"), id="of another subject"),
    ],
)
def test_a_changed_turn_begins_anew_at_once_and_among_the_well(running: Running, other: PollJob) -> None:
    at = FakeClock(FAR)
    one = PollJob("s1", 5.0, hangs, "a")
    schedule = running.start(one, at=at)
    schedule._run_job(one)
    at.go_on(1.0)

    schedule.replace([other])

    assert schedule._jobs["s1"] is other
    assert (executor(schedule, "s1"), next_run(schedule, "s1")) == ("default", 1.0)


def test_turns_are_taken_out_and_put_in(running: Running) -> None:
    schedule = running.start(*(PollJob(name, 5.0, nothing) for name in ("s1", "s2")), at=FakeClock(FAR))

    schedule.replace([PollJob(name, 5.0, nothing) for name in ("s2", "s3")])

    assert names(schedule) == {"s2", "s3"}


def test_new_turns_are_due_at_once_no_more_than_some_in_a_second(running: Running) -> None:
    schedule = running.start(PollJob("s", 5.0, nothing), at=FakeClock(FAR))

    schedule.replace(
        [PollJob("s", 5.0, nothing), *(PollJob(f"s{number}", 5.0, nothing) for number in range(RAMP_PER_SECOND + 1))]
    )

    assert next_run(schedule, "s0") == 0.0
    assert next_run(schedule, f"s{RAMP_PER_SECOND}") == pytest.approx(1.0, rel=0, abs=1e-5)


def test_a_turn_that_was_put_in_comes_and_one_that_was_taken_out_does_not(running: Running) -> None:
    old, new = Patient(sick=False), Patient(sick=False)
    schedule = running.start(PollJob("s1", 0.02, old))
    eventually(lambda: old.number > 1)

    schedule.replace([PollJob("s2", 0.02, new)])
    eventually(lambda: new.number > 1)
    before = old.number
    seen = new.number
    eventually(lambda: new.number > seen + 5)

    assert old.number == before


def test_after_all_are_taken_out_the_schedule_goes_on(running: Running) -> None:
    new = Patient(sick=False)
    schedule = running.start(PollJob("s1", 0.02, nothing))

    schedule.replace([])
    schedule.replace([PollJob("s1", 0.02, new)])

    eventually(lambda: new.number > 2)


@pytest.mark.parametrize("hung", [True, False], ids=["that hangs", "that ends well"])
def test_a_turn_that_is_taken_out_while_it_runs_harms_nothing(
    running: Running, complaints: list[logging.LogRecord], hung: bool
) -> None:
    begun, ended, well = threading.Event(), threading.Event(), Patient(sick=False)

    def work(_: float) -> bool:
        begun.set()
        running.release.wait(PATIENCE)
        ended.set()
        return hung

    schedule = running.start(PollJob("s1", 0.05, work))
    assert begun.wait(PATIENCE)
    schedule.replace([PollJob("s2", 0.02, well)])
    running.release.set()
    assert ended.wait(PATIENCE)
    seen = well.number
    eventually(lambda: well.number > seen + 3)

    assert names(schedule) == {"s2"}
    assert complaints == []


def test_a_turn_that_is_changed_while_it_hangs_does_not_put_off_the_new_one(
    running: Running, complaints: list[logging.LogRecord]
) -> None:
    at = FakeClock(FAR)
    old, new = PollJob("s1", 5.0, hangs, "old"), PollJob("s1", 5.0, nothing, "new")
    schedule = running.start(old, at=at)

    def changed_and_hung(_: float) -> bool:
        schedule.replace([new])
        return True

    old.work = changed_and_hung
    schedule._run_job(old)

    assert old.consecutive_timeouts == 1
    assert (executor(schedule, "s1"), next_run(schedule, "s1"), new.consecutive_timeouts) == ("default", 0.0, 0)
    assert complaints == []


def test_a_step_of_the_clock_after_a_change_puts_the_new_turns_right(running: Running) -> None:
    at = FakeClock(FAR)
    schedule = running.start(PollJob("s1", 5.0, nothing), at=at)
    schedule.replace([PollJob("s2", 5.0, nothing)])

    at.step(-HOUR)
    schedule.resync()

    assert next_run(schedule, "s2") == pytest.approx(-HOUR, rel=0, abs=1e-5)


def test_a_turn_that_takes_the_place_of_one_that_still_runs_does_not_wait_for_its_end(running: Running) -> None:
    begun, release, taken = threading.Event(), threading.Event(), threading.Event()

    def hang(_: float) -> None:
        begun.set()
        release.wait(PATIENCE)

    schedule = running.start(PollJob("s1", 3600.0, hang, "old"))
    assert begun.wait(PATIENCE)
    schedule.replace([PollJob("s1", 3600.0, lambda _: taken.set(), "new")])

    assert taken.wait(PATIENCE)
    release.set()
