"""The timetable: when jobs are due, what may run, and what is put off; by times alone, without threads."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.polling.poller import JobOutcome
from nomad_exporter.polling.timetable import (
    MAX_BACKOFF_SECONDS,
    RAMP_PER_SECOND,
    RECHECK_SECONDS,
    PollJob,
    Timetable,
    Turn,
    next_due,
)

COMPLETED, HUNG = JobOutcome.COMPLETED, JobOutcome.HUNG

START = 5000.0
HOUR = 3600.0


def new_job(
    name: str = "s1 health", interval: float = 5.0, target: str = "", is_wanted: Callable[[], bool] = lambda: True
) -> PollJob:
    return PollJob(name, interval, lambda _: COMPLETED, target, is_wanted)


def new_jobs(names: Iterable[object], interval: float = 5.0) -> list[PollJob]:
    return [new_job(f"s{name}", interval) for name in names]


class Simulation:
    """A timetable whose jobs run for a time that depends on their names; ``runs`` are the times of their runs."""

    def __init__(
        self,
        jobs: Iterable[PollJob],
        outcome: Callable[[str], tuple[float, JobOutcome]] = lambda _: (0.01, COMPLETED),
        timetable: Timetable | None = None,
    ) -> None:
        self.timetable, self.outcome, self.now = timetable or Timetable(), outcome, START
        self.runs: dict[str, list[float]] = {}
        self.late: dict[str, float] = {}
        self.max_running = 0
        self._ends: list[tuple[float, int, Turn]] = []
        self.timetable.replace(jobs, self.now)

    def run(self, seconds: float, beat: float = 0.05) -> Simulation:
        """Let this time pass, with a beat of ``beat`` seconds."""
        for _ in range(round(seconds / beat)):
            self.now += beat
            self._end_runs()
            self._start_runs()
        return self

    def _start_runs(self) -> None:
        for turn in self.timetable.take(self.now):
            name = turn.job.name
            self.runs.setdefault(name, []).append(self.now)
            self.late[name] = max(self.late.get(name, 0.0), self.now - turn.due)
            heapq.heappush(self._ends, (self.now + self.outcome(name)[0], id(turn), turn))
        self.max_running = max(self.max_running, len(self._ends))

    def _end_runs(self) -> None:
        while self._ends and self._ends[0][0] <= self.now:
            _, _, turn = heapq.heappop(self._ends)
            self.timetable.end(turn, self.outcome(turn.job.name)[1], self.now)

    def gaps(self, name: str) -> list[float]:
        """Return the times between the runs of a job."""
        return [round(later - earlier, 2) for earlier, later in pairwise(self.runs[name])]


# When a job is due.


@given(
    name=st.text(min_size=1),
    interval=st.floats(min_value=0.01, max_value=86400),
    after=st.floats(min_value=0, max_value=1e8),
)
def test_job_is_due_within_its_interval(name: str, interval: float, after: float) -> None:
    wait = next_due(new_job(name, interval), after) - after

    assert -1e-6 <= wait <= interval + 1e-6


@given(name=st.text(min_size=1), afters=st.lists(st.floats(min_value=0, max_value=1e8), min_size=2, max_size=2))
def test_job_is_always_due_at_the_same_phase(name: str, afters: list[float]) -> None:
    first, second = (next_due(new_job(name, 15.0), after) / 15.0 for after in afters)

    assert first - second == pytest.approx(round(first - second), abs=1e-6)


def test_next_run_is_one_interval_later() -> None:
    due = next_due(new_job(), START)

    assert next_due(new_job(), due + 0.001) == pytest.approx(due + 5.0)


def test_many_agents_are_spread_evenly() -> None:
    jobs = (new_job(f"10.0.0.{number}:4646 health", 10.0) for number in range(1000))
    phases = Counter(int(next_due(job, 0.0)) for job in jobs)

    assert len(phases) == 10
    assert all(70 <= number <= 130 for number in phases.values())


def test_two_jobs_of_an_agent_have_different_phases() -> None:
    assert next_due(new_job("s1 health", 15.0), 0.0) != next_due(new_job("s1 self", 15.0), 0.0)


# Backoff.


def backoff(interval: float, runs: int) -> list[float]:
    """Return the seconds from when each run is due until the next one is, if all runs hang for a millisecond."""
    job = new_job(interval=interval)
    dues = [next_due(job, START)]
    for number in range(1, runs + 1):
        dues.append(next_due(job, dues[-1] + 0.001, hung_runs=number))
    return [round(later - earlier, 3) for earlier, later in pairwise(dues)]


def test_job_that_hangs_runs_less_and_less_often() -> None:
    assert backoff(5.0, 5) == [10.0, 20.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("interval", [0.01, 0.1, 1.0, 4.0, 7.0, 15.0, 29.9, 30.0])
def test_backoff_is_limited(interval: float) -> None:
    waits = backoff(interval, 30)

    assert waits == sorted(waits)
    assert MAX_BACKOFF_SECONDS - interval - 0.01 <= waits[-1] <= MAX_BACKOFF_SECONDS


@pytest.mark.parametrize("interval", [16.0, 30.0, 60.0, HOUR])
def test_long_interval_has_no_backoff(interval: float) -> None:
    assert backoff(interval, 3) == [interval] * 3


def test_one_hang_costs_one_interval() -> None:
    simulation = Simulation([new_job()])
    simulation.outcome = lambda _: (4.0, HUNG) if len(simulation.runs["s1 health"]) == 3 else (0.01, COMPLETED)

    assert simulation.run(40).gaps("s1 health")[1:6] == [5.0, 10.0, 5.0, 5.0, 5.0]


def test_hang_puts_off_only_the_job_that_hung() -> None:
    jobs = [new_job("s1 health"), new_job("s1 autopilot")]
    simulation = Simulation(jobs, lambda name: (4.0, HUNG) if name == "s1 autopilot" else (0.01, COMPLETED)).run(120)

    assert set(simulation.gaps("s1 health")[1:]) == {5.0}
    assert max(simulation.gaps("s1 autopilot")) == 30.0


# What runs.


def test_job_runs_once_at_a_time() -> None:
    simulation = Simulation([new_job(interval=0.5)], lambda _: (2.2, COMPLETED)).run(20)

    assert simulation.max_running == 1
    assert min(simulation.gaps("s1 health")) >= 2.2


@pytest.mark.parametrize(
    ("late", "seconds", "skipped"),
    [
        pytest.param(0.0, 4.9, 0, id="in time"),
        pytest.param(0.0, 5.1, 1, id="longer than the interval"),
        pytest.param(0.0, 17.0, 3, id="longer than three intervals"),
        pytest.param(6.0, 0.1, 1, id="late"),
    ],
)
def test_skipped_intervals_are_counted(late: float, seconds: float, skipped: int) -> None:
    timetable = Timetable()
    timetable.replace([new_job()], START)
    (turn,) = timetable.take(START + late)

    assert timetable.end(turn, COMPLETED, START + late + seconds) == skipped


def test_jobs_wait_while_all_capacity_is_used() -> None:
    simulation = Simulation(new_jobs(range(50)), lambda _: (1.0, COMPLETED), Timetable(capacity=8, reserve=2)).run(60)

    assert simulation.max_running == 8
    assert set(simulation.runs) == {f"s{number}" for number in range(50)}


def test_jobs_that_hang_leave_the_reserve_to_others() -> None:
    healthy, hanging = new_jobs(range(20)), new_jobs(range(20, 200))
    simulation = Simulation(
        [*healthy, *hanging],
        lambda name: (4.0, HUNG) if int(name[1:]) >= 20 else (0.01, COMPLETED),
        Timetable(capacity=16, reserve=4),
    )
    simulation.run(240)  # Until every job that hangs has been put off.
    simulation.late.clear()
    simulation.run(120)

    assert max(late for name, late in simulation.late.items() if int(name[1:]) < 20) <= 0.1
    assert {job.name for job in hanging} <= {name for name, runs in simulation.runs.items() if len(runs) > 1}


def test_thousand_hanging_agents_of_two_thousand_delay_nobody() -> None:
    sources = {"health": 5.0, "self": 15.0}
    jobs = [new_job(f"{number} {source}", sources[source]) for number in range(2000) for source in sources]
    simulation = Simulation(jobs, lambda name: (4.0, HUNG) if int(name.split()[0]) % 2 else (0.01, COMPLETED))
    simulation.run(120, beat=0.1)

    assert max(simulation.late.values()) <= 0.2
    assert max(gap for name in simulation.runs for gap in simulation.gaps(name)) <= MAX_BACKOFF_SECONDS + 4.1


def test_job_that_is_not_wanted_does_not_run() -> None:
    assert Simulation([new_job(is_wanted=lambda: False)]).run(30).runs == {}


def test_job_runs_soon_after_it_is_wanted() -> None:
    wanted: list[bool] = []
    simulation = Simulation([new_job(interval=60.0, is_wanted=lambda: bool(wanted))]).run(10)
    wanted.append(True)

    assert simulation.run(RECHECK_SECONDS + 0.1).runs["s1 health"]


# New, changed and removed jobs.


def due_in(timetable: Timetable, name: str) -> float:
    return timetable._turns[name].due - START


def test_new_jobs_are_ramped_up() -> None:
    timetable = Timetable()
    timetable.replace(new_jobs(range(2 * RAMP_PER_SECOND + 1)), START)

    assert due_in(timetable, "s0") == 0.0
    assert due_in(timetable, f"s{RAMP_PER_SECOND}") == pytest.approx(1.0)
    assert due_in(timetable, f"s{2 * RAMP_PER_SECOND}") == pytest.approx(2.0)


def test_ramp_is_for_new_jobs_only() -> None:
    simulation = Simulation(new_jobs(range(1000))).run(30)
    simulation.timetable.replace(new_jobs(range(1001), interval=4.0), simulation.now)

    assert simulation.timetable._turns["s1000"].due == simulation.now


@pytest.mark.parametrize("number", [1500, 5000])
@pytest.mark.parametrize(("before", "after"), [(5.0, 4.0), (4.0, 5.0), (60.0, 5.0), (5.0, 60.0)])
def test_changed_interval_leaves_no_gap(number: int, before: float, after: float) -> None:
    simulation = Simulation(new_jobs(range(number), before)).run(2 * before + number / RAMP_PER_SECOND, beat=0.1)
    simulation.timetable.replace(new_jobs(range(number), after), simulation.now)
    simulation.run(2 * after, beat=0.1)

    assert max(gap for name in simulation.runs for gap in simulation.gaps(name)) <= max(before, after) + 0.1


def test_changed_interval_keeps_the_backoff() -> None:
    simulation = Simulation([new_job()], lambda _: (4.0, HUNG)).run(60)
    simulation.timetable.replace([new_job(interval=4.0)], simulation.now)

    assert simulation.timetable._turns["s1 health"].hung_runs >= 3


def test_changed_target_ends_the_backoff() -> None:
    simulation = Simulation([new_job()], lambda _: (4.0, HUNG)).run(60)
    simulation.timetable.replace([new_job(target="other")], simulation.now)

    turn = simulation.timetable._turns["s1 health"]
    assert turn.hung_runs == 0
    assert turn.due - simulation.now <= 5.0


def test_same_job_continues_unchanged() -> None:
    simulation = Simulation([new_job()], lambda _: (4.0, HUNG)).run(60)
    turn = simulation.timetable._turns["s1 health"]
    before = turn.due, turn.hung_runs
    simulation.timetable.replace([new_job()], simulation.now)

    assert simulation.timetable._turns["s1 health"] is turn
    assert (turn.due, turn.hung_runs) == before


def test_changed_job_does_not_wait_for_its_running_predecessor() -> None:
    simulation = Simulation([new_job()], lambda _: (HOUR, COMPLETED)).run(1)
    simulation.timetable.replace([new_job(target="other")], simulation.now)

    assert len(simulation.run(5.1).runs["s1 health"]) == 2


def test_removed_job_does_not_run() -> None:
    simulation = Simulation(new_jobs(["1", "2"])).run(10)
    runs = len(simulation.runs["s1"])
    simulation.timetable.replace(new_jobs(["2"]), simulation.now)
    simulation.run(10)

    assert len(simulation.runs["s1"]) == runs
    assert len(simulation.runs["s2"]) > runs


def test_end_of_a_removed_job_frees_its_capacity() -> None:
    timetable = Timetable(capacity=1, reserve=0)
    timetable.replace([new_job("s1")], START)
    (turn,) = timetable.take(START)
    timetable.replace([new_job("s2")], START)
    assert timetable.take(START + 1) == []

    timetable.end(turn, COMPLETED, START + 1)

    assert [turn.job.name for turn in timetable.take(START + 60)] == ["s2"]
    assert timetable.next_due() == float("inf")
