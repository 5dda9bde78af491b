"""A check that waits: when it ends, and with which state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nomad_exporter.check.wait import Attempt, wait
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Check, Role
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.lines import Finding, State
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.report import Report
from tests.support.answers import REFUSED, FakeClock, health
from tests.unit.check.once import DENIED, TIMED_OUT, UNTRUSTED, failed, server

HEALTHY_SERVER = server(1)
NO_LEADER = health({Role.SERVER: Check(ok=False, message="No cluster leader")})
EXPIRED = Failure(FailureReason.CERTIFICATE_EXPIRED, "certificate has expired")


def finding(state: State) -> Finding:
    is_ok = state is State.OK
    reason = VerdictReason.OK if is_ok else VerdictReason.POLL_ERROR
    return Finding(state, Report("s1", is_ok, reason, "", {}, {}))


class Checks:
    """A check with a result for each attempt, the last one for all others; each takes ``takes`` seconds."""

    def __init__(self, *results: tuple[State, Snapshot], takes: float = 0.0) -> None:
        self.results, self.takes = list(results), takes
        self.clock = FakeClock()
        self.limits: list[float] = []

    def __call__(self, limit: float) -> Attempt:
        self.limits.append(limit)
        self.clock.advance(self.takes)
        state, snapshot = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        return Attempt([finding(state)], [snapshot])

    def wait(self, seconds: float) -> tuple[State, float]:
        """Return the state at the end, and the seconds until then."""
        began = self.clock()
        (found,) = wait(self, self.clock, self.clock.advance, seconds)
        return found.state, self.clock().since(began)


OK = (State.OK, HEALTHY_SERVER)
DEAD = (State.CRITICAL, failed(1, REFUSED))
REJECTED = (State.UNKNOWN, failed(1, DENIED))


def test_yes_ends_the_wait_at_once() -> None:
    assert Checks(OK).wait(60.0) == (State.OK, 0.0)


def test_check_is_repeated_each_second_until_yes() -> None:
    check = Checks(DEAD, DEAD, OK, takes=0.25)

    assert check.wait(60.0) == (State.OK, 2.25)


def test_end_of_the_time_returns_the_last_state() -> None:
    state, seconds = Checks(DEAD).wait(60.0)

    assert state is State.CRITICAL
    assert 58.0 <= seconds <= 60.0


def test_attempts_do_not_overrun_the_time() -> None:
    check = Checks(DEAD, takes=4.0)

    assert check.wait(10.0) == (State.CRITICAL, 12.0)
    assert check.limits == [10.0, 6.0, 2.0]


def test_first_attempt_has_a_second_however_short_the_wait() -> None:
    check = Checks(DEAD)
    check.wait(0.01)

    assert check.limits == [1.0]


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(failed(1, DENIED), id="token"),
        pytest.param(failed(1, UNTRUSTED), id="certificate"),
        pytest.param(failed(1, EXPIRED), id="expired-certificate"),
        pytest.param(server(1, agent_self=DENIED), id="token-while-healthy"),
    ],
)
def test_rejection_ends_the_wait_after_30_seconds(snapshot: Snapshot) -> None:
    assert Checks((State.CRITICAL, snapshot)).wait(240.0) == (State.UNKNOWN, 30.0)


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(failed(1, REFUSED), id="refused"),
        pytest.param(failed(1, TIMED_OUT), id="timeout"),
        pytest.param(server(1, health=NO_LEADER), id="no-leader"),
        pytest.param(server(1, health=NO_LEADER, agent_self=DENIED), id="no-leader-and-token"),
    ],
)
def test_other_problems_are_waited_for(snapshot: Snapshot) -> None:
    state, seconds = Checks((State.CRITICAL, snapshot)).wait(240.0)

    assert state is State.CRITICAL
    assert seconds >= 238.0


def test_seconds_of_rejection_count_without_interruption() -> None:
    check = Checks(*[REJECTED] * 20, DEAD, *[REJECTED] * 20, OK)

    assert check.wait(240.0) == (State.OK, 41.0)


def test_rejection_by_one_agent_does_not_hide_a_dead_one() -> None:
    clock = FakeClock()
    attempt: Callable[[float], Attempt] = lambda _: Attempt([finding(State.UNKNOWN)], [failed(1, DENIED), DEAD[1]])  # noqa: E731

    wait(attempt, clock, clock.advance, 100.0)

    assert clock().since(FakeClock()()) >= 98.0
