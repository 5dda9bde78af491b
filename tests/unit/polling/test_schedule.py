"""The schedule: each turn at its phase, at most once at a time, whatever a turn or the wall clock does."""

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
from nomad_exporter.polling.schedule import PollJob, Schedule, wall_time
from tests.support.answers import FakeClock
from tests.support.schedules import Calls, Keeping, Running
from tests.support.waiting import PATIENCE

HOUR = 3600.0

FAR = Instant(wall=4_000_000_000.0, monotonic=5000.0)
"""A moment at the end of the century: apscheduler, which knows the true time, begins nothing before it."""


def nothing(*_: object) -> None:
    """Does nothing."""


# A turn by itself.


def broken(_: float) -> None:
    raise ZeroDivisionError("what an agent sent")


def turn(name: str = "s1 health", interval: float = 5.0, work: Callable[[float], None] = nothing) -> PollJob:
    return PollJob(name, interval, work)


@given(
    name=st.text(min_size=1),
    interval=st.floats(min_value=0.01, max_value=86400),
    after=st.floats(min_value=0, max_value=1e8),
)
@settings(deadline=None)
def test_a_turn_is_due_within_its_interval(name: str, interval: float, after: float) -> None:
    wait = turn(name, interval).next_due(after) - after

    assert -1e-6 <= wait <= interval + 1e-6


@given(name=st.text(min_size=1), afters=st.lists(st.floats(min_value=0, max_value=1e8), min_size=2, max_size=2))
@settings(deadline=None)
def test_a_turn_is_always_due_at_the_same_phase_of_its_interval(name: str, afters: list[float]) -> None:
    first, second = (turn(name, 15.0).next_due(after) / 15.0 for after in afters)

    assert first - second == pytest.approx(round(first - second), abs=1e-6)


def test_a_turn_keeps_its_phase_across_restarts() -> None:
    assert turn().next_due(5000.0) == turn().next_due(5000.0)


def test_the_next_turn_is_an_interval_after_this_one() -> None:
    due = turn().next_due(5000.0)

    assert turn().next_due(due + 0.001) == pytest.approx(due + 5.0)


def test_many_agents_are_spread_evenly() -> None:
    phases = Counter(int(turn(f"10.0.0.{number}:4646 health", 10.0).next_due(0.0)) for number in range(1000))

    assert len(phases) == 10
    assert all(70 <= number <= 130 for number in phases.values())


def test_the_two_rounds_of_an_agent_have_phases_of_their_own() -> None:
    assert turn("s1 health", 15.0).next_due(0.0) != turn("s1 facts", 15.0).next_due(0.0)


@pytest.mark.parametrize(
    ("late", "told"),
    [
        pytest.param(0.0, 0.0, id="in time"),
        pytest.param(0.25, 0.25, id="late"),
        pytest.param(-0.5, 0.0, id="early, as where the wall clock was set on a little"),
    ],
)
def test_a_turn_tells_its_work_by_how_much_it_is_late(late: float, told: float) -> None:
    lateness: list[float] = []
    at = FakeClock()
    one = turn(work=lateness.append)
    one.start(at, due=at().monotonic)
    at.go_on(late)
    one()

    assert lateness == [told]


def test_after_its_work_a_turn_is_due_at_its_next_phase() -> None:
    at = FakeClock()
    one = turn(work=lambda _: at.go_on(17.0))
    one.start(at, due=at().monotonic)
    one()

    assert one.due == one.next_due(at().monotonic)
    assert at().monotonic < one.due <= at().monotonic + 5.0


def test_a_turn_whose_work_breaks_is_due_again_all_the_same() -> None:
    at = FakeClock()
    one = turn(work=broken)
    one.start(at, due=at().monotonic)
    with pytest.raises(ZeroDivisionError):
        one()

    assert one.due > at().monotonic


def test_apscheduler_is_told_the_wall_time_of_the_next_phase() -> None:
    at = FakeClock()
    one = turn()
    one.start(at, due=at().monotonic)
    told = one.get_next_fire_time(None, datetime.now(UTC))

    assert told.timestamp() - at().wall == about(one.next_due(at().monotonic) - at().monotonic)


def test_the_wall_time_of_a_monotonic_one_is_as_far_from_now() -> None:
    at = Instant(wall=1_800_000_000.0, monotonic=5000.0)

    assert wall_time(5090.5, at) == datetime(2027, 1, 15, 8, 1, 30, 500_000, UTC)


# The schedule.


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """The lines that the schedule logs."""
    keeping = Keeping()
    logger = logging.getLogger("nomad_exporter.polling.schedule")
    logger.addHandler(keeping)
    yield keeping.lines
    logger.removeHandler(keeping)


def next_run(schedule: Schedule, name: str) -> float:
    """By how many seconds of the wall clock after ``FAR`` apscheduler will begin the turn ``name``."""
    (told,) = (job.next_run_time for job in schedule._scheduler.get_jobs() if job.trigger.name == name)
    return float(told.timestamp() - FAR.wall)


def about(seconds: float) -> object:
    """These seconds, as nearly as a wall time can be told."""
    return pytest.approx(seconds, rel=0, abs=1e-5)


def test_a_turn_comes_again_and_again(running: Running) -> None:
    calls = Calls()
    running.start(turn(interval=0.02, work=calls))

    assert calls.come(5)


def test_at_the_start_every_turn_is_due_at_once_but_no_more_than_some_in_a_second(running: Running) -> None:
    a_second = module.RAMP_PER_SECOND
    schedule = running.start(*(turn(f"s{number}") for number in range(2 * a_second + 1)), at=FakeClock(FAR))

    assert next_run(schedule, "s0") == 0.0
    assert next_run(schedule, f"s{a_second}") == about(1.0)
    assert next_run(schedule, f"s{2 * a_second}") == about(2.0)


def test_at_the_start_the_schedule_says_at_once_that_it_is_alive(running: Running) -> None:
    assert next_run(running.start(at=FakeClock(FAR)), "beat") == 0.0


def test_the_first_turn_is_not_late(running: Running) -> None:
    lateness: list[float] = []
    calls = Calls()

    def work(late: float) -> None:
        lateness.append(late)
        calls()

    running.start(turn(interval=HOUR, work=work))

    assert calls.come(1)
    assert 0.0 <= lateness[0] < PATIENCE


def test_turns_of_several_agents_run_at_the_same_time(running: Running) -> None:
    together = threading.Barrier(2)
    met = Calls()

    def work(_: float) -> None:
        together.wait(PATIENCE)
        met()

    running.start(turn("s1", HOUR, work), turn("s2", HOUR, work))

    assert met.come(2)


def test_a_turn_that_hangs_misses_the_next_ones_and_does_not_run_twice(running: Running) -> None:
    begun = Calls()

    def work(late: float) -> None:
        begun()
        running.hang(late)

    running.start(turn(interval=0.02, work=work))

    assert running.missed.come(3)
    assert begun.number == 1


def test_a_turn_that_hung_comes_again_once_it_ends(running: Running) -> None:
    begun = Calls()

    def work(late: float) -> None:
        begun()
        running.hang(late)

    running.start(turn(interval=0.02, work=work))
    assert running.missed.come(1)
    running.release.set()

    assert begun.come(3)


def test_a_turn_that_hangs_holds_up_no_other(running: Running) -> None:
    calls = Calls()
    running.start(turn("hangs", 0.02, running.hang), turn("s1", 0.02, calls))

    assert running.missed.come(1)
    assert calls.come(3)


def test_a_turn_in_time_misses_none(running: Running) -> None:
    calls = Calls()
    running.start(turn(interval=0.05, work=calls))

    assert calls.come(3)
    assert running.missed.number == 0


def test_a_turn_that_breaks_is_a_line_that_says_where_and_not_what_an_agent_sent(
    running: Running, lines: list[logging.LogRecord]
) -> None:
    calls = Calls()
    running.start(turn("s1 facts", HOUR, broken), turn("s2 facts", 0.02, calls))
    assert calls.come(3)
    running.end()

    (line,) = lines
    fields = line.__dict__["fields"]
    assert (line.levelname, line.getMessage()) == ("ERROR", "a poll broke")
    assert (fields["turn"], fields["error"]) == ("s1 facts", "ZeroDivisionError")
    assert fields["where"] == f"broken:{broken.__code__.co_firstlineno + 1}"
    assert "what an agent sent" not in str(line.__dict__)


def test_a_turn_that_breaks_comes_again(running: Running) -> None:
    calls = Calls()

    def work(late: float) -> None:
        calls()
        broken(late)

    running.start(turn(interval=0.02, work=work))

    assert calls.come(3)


@pytest.fixture
def quick_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_beat")
def test_the_schedule_says_again_and_again_that_it_is_alive(running: Running) -> None:
    running.start()

    assert running.beats.come(3)


@pytest.mark.usefixtures("quick_beat")
def test_the_schedule_says_so_even_while_every_worker_hangs(running: Running) -> None:
    running.start(*(turn(f"s{number}", HOUR, running.hang) for number in range(3)), workers=1)
    assert running.beats.come(1)

    assert running.beats.come(10)


# Steps of the wall clock.


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour on", "an hour back"])
def test_after_a_step_a_turn_comes_when_it_would_have_come_without(running: Running, step: float) -> None:
    at = FakeClock(FAR)
    one = turn("s1")
    schedule = running.start(one, at=at)
    one()
    wait = one.due - at().monotonic

    at.step(step)
    schedule.resync()

    assert 0 < wait <= 5.0
    assert next_run(schedule, "s1") == about(step + wait)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour on", "an hour back"])
def test_after_a_step_a_turn_that_is_overdue_comes_at_once(running: Running, step: float) -> None:
    at = FakeClock(FAR)
    schedule = running.start(turn("s1"), at=at)

    at.go_on(30.0)
    at.step(step)
    schedule.resync()

    assert next_run(schedule, "s1") == about(step + 30.0)


def test_after_a_step_the_beat_is_put_right_too(running: Running) -> None:
    at = FakeClock(FAR)
    schedule = running.start(at=at)

    at.step(-HOUR)
    schedule.resync()

    assert next_run(schedule, "beat") == about(-HOUR)


def test_a_step_is_counted_and_logged_once(running: Running, lines: list[logging.LogRecord]) -> None:
    at = FakeClock(FAR)
    schedule = running.start(turn(), at=at)

    at.step(-HOUR)
    schedule.resync()
    at.go_on(1.0)
    schedule.resync()

    assert running.stepped.number == 1
    assert [(line.getMessage(), line.__dict__["fields"]) for line in lines] == [
        ("the clock has stepped", {"seconds": "-3600.0"})
    ]


@pytest.mark.parametrize("step", [1.5, -1.5], ids=["on", "back"])
def test_a_little_more_than_a_second_is_a_step(running: Running, step: float) -> None:
    at = FakeClock(FAR)
    schedule = running.start(turn("s1"), at=at)

    at.step(step)
    schedule.resync()

    assert running.stepped.number == 1
    assert next_run(schedule, "s1") == about(step)


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(lambda at: at.go_on(HOUR), id="time that passes on both clocks"),
        pytest.param(lambda at: at.step(0.9), id="less than a second"),
        pytest.param(lambda at: at.step(-0.9), id="less than a second back"),
    ],
)
def test_what_is_no_step_is_neither_counted_nor_put_right(running: Running, move: Callable[[FakeClock], None]) -> None:
    at = FakeClock(FAR)
    schedule = running.start(turn("s1"), at=at)
    before = next_run(schedule, "s1")

    move(at)
    schedule.resync()

    assert running.stepped.number == 0
    assert next_run(schedule, "s1") == before


def test_clocks_that_drift_apart_slowly_never_add_up_to_a_step(running: Running) -> None:
    at = FakeClock(FAR)
    schedule = running.start(turn(), at=at)

    for _ in range(10):
        at.step(0.9)
        schedule.resync()

    assert running.stepped.number == 0


# The stop.


def test_nothing_is_left_of_a_schedule_that_was_stopped(running: Running) -> None:
    before = {*threading.enumerate()}
    calls = Calls()
    schedule = running.start(turn(interval=0.02, work=calls))
    assert calls.come(2)

    schedule.stop()

    assert schedule.join(PATIENCE)
    assert {*threading.enumerate()} == before


def test_a_turn_that_runs_goes_on_after_the_stop_and_is_waited_for(running: Running) -> None:
    begun, done = Calls(), Calls()

    def work(late: float) -> None:
        begun()
        running.hang(late)
        done()

    schedule = running.start(turn(interval=HOUR, work=work))
    assert begun.come(1)

    schedule.stop()

    assert not schedule.join(0.0)
    running.release.set()
    assert schedule.join(PATIENCE)
    assert done.number == 1


def test_the_next_turn_is_after_the_moment_of_which_apscheduler_asks_though_the_clock_stepped_since() -> None:
    at = FakeClock()
    one = turn()
    one.start(at, due=at().monotonic)
    asked = datetime.fromtimestamp(at().wall, UTC)
    at.step(-3600)

    assert one.get_next_fire_time(None, asked) > asked
