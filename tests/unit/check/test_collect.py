"""The collecting of a check: who is asked for what, and that nobody who is silent keeps the others waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from nomad_exporter import clock
from nomad_exporter.check import collect as collecting
from nomad_exporter.check.collect import collect
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.polling.snapshot import Snapshot
from tests.support.answers import AGENT, REFUSED, FakeClock, FakeWire, recorded
from tests.support.waiting import PATIENCE

FOLLOWER, LEADER, CLIENT = "2.0.5/healthy/s1-follower", "2.0.5/healthy/s2-leader", "2.0.5/healthy/c1-client"
LEADERLESS = "2.0.5/no-leader/s3-follower"

BESIDE_HEALTH = (SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH)
HEALTH_PATHS = {STALE_HEALTH_PATH, HEALTH_PATH}

AT_ONCE = 0.05
"""Seconds that are enough for a fake."""


def replies(name: str) -> dict[str, Reply | Failure]:
    """What the recorded agent replies to all that a check may ask; autopilot is never asked of a recorded one."""
    told: dict[str, Reply | Failure] = {AUTOPILOT_PATH: REFUSED}
    for path in (SELF_PATH, MEMBERS_PATH, HEALTH_PATH, STALE_HEALTH_PATH):
        told[path] = REFUSED if (path, name) == (MEMBERS_PATH, CLIENT) else recorded(name, path)
    return told


class SilentWire(FakeWire):
    """A wire on which some paths are never answered, until the test is over."""

    def __init__(self, told: Mapping[str, Reply | Failure], silent: set[str], over: threading.Event) -> None:
        super().__init__(told)
        self._silent, self._over = silent, over

    def get(self, path: str, seconds: float) -> Reply | Failure:
        if path in self._silent:
            self._over.wait(PATIENCE)
        return super().get(path, seconds)


class BrokenWire(FakeWire):
    """A wire that breaks its promise."""

    def get(self, path: str, seconds: float) -> Reply | Failure:
        raise RuntimeError("hidden")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def ask_one(wire: FakeWire, *sources: Source, seconds: float = PATIENCE) -> Snapshot:
    (snapshot,) = collect({AGENT: wire}, sources, clock.now, seconds)
    return snapshot


def named(*names: str) -> list[Agent]:
    return [replace(AGENT, name=name) for name in names]


@pytest.mark.parametrize(
    ("name", "sources", "beside_health"),
    [
        pytest.param(FOLLOWER, [Source.HEALTH], set(), id="health-alone"),
        pytest.param(FOLLOWER, [Source.HEALTH, Source.SELF], {SELF_PATH}, id="no-members-where-nobody-needs-them"),
        pytest.param(FOLLOWER, list(Source), set(BESIDE_HEALTH), id="a-server-is-asked-for-all"),
        pytest.param(
            FOLLOWER,
            [Source.HEALTH, Source.SELF, Source.MEMBERS],
            {SELF_PATH, MEMBERS_PATH},
            id="but-for-autopilot-only-where-that-is-wanted",
        ),
        pytest.param(LEADERLESS, list(Source), {SELF_PATH, MEMBERS_PATH}, id="nor-where-there-is-no-leader-to-tell"),
        pytest.param(CLIENT, list(Source), {SELF_PATH}, id="a-client-is-not-asked-for-members"),
    ],
)
def test_an_agent_is_asked_for_what_is_needed_and_for_what_it_can_tell(
    name: str, sources: list[Source], beside_health: set[str]
) -> None:
    wire = FakeWire(replies(name))

    ask_one(wire, *sources)

    assert {path for path in wire.paths if path in BESIDE_HEALTH} == beside_health
    assert HEALTH_PATHS & set(wire.paths)
    assert len(wire.paths) == len(set(wire.paths))


def test_one_whose_token_is_rejected_is_asked_no_further() -> None:
    denied = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")
    wire = FakeWire({**replies(FOLLOWER), SELF_PATH: denied})

    snapshot = ask_one(wire, *Source)

    assert MEMBERS_PATH not in wire.paths
    assert (snapshot.agent_self.failure, snapshot.health.failure) == (denied, None)


def test_what_an_agent_said_is_known() -> None:
    snapshot = ask_one(FakeWire(replies(LEADER)), Source.HEALTH, Source.SELF, Source.MEMBERS)

    assert [seen.failure for seen in snapshot.source_states] == [None, None, None]
    assert snapshot.agent_self.answer
    assert snapshot.agent_self.answer.is_leader
    assert [seen.polls for seen in snapshot.source_states] == [1, 1, 1]


def test_one_that_says_nothing_in_time_is_told_so_and_costs_the_others_nothing(over: threading.Event) -> None:
    silent, well = named("silent", "well")
    wires = {
        silent: SilentWire(replies(FOLLOWER), {*HEALTH_PATHS, SELF_PATH}, over),
        well: FakeWire(replies(FOLLOWER)),
    }

    first, second = collect(wires, [Source.HEALTH, Source.SELF], clock.now, AT_ONCE)

    assert (
        first.health.failure
        == first.agent_self.failure
        == Failure(FailureReason.TIMEOUT, "no whole answer within 50ms")
    )
    assert (first.consecutive_failures, first.is_polled) == (1, True)
    assert (second.health.failure, second.agent_self.failure) == (None, None)


def test_a_leader_that_keeps_health_waiting_takes_no_time_of_the_rest(over: threading.Event) -> None:
    snapshot = ask_one(SilentWire(replies(FOLLOWER), HEALTH_PATHS, over), *Source, seconds=AT_ONCE)

    assert snapshot.health.failure
    assert snapshot.agent_self.answer
    assert snapshot.members.answer


def test_what_came_before_the_silence_is_kept(over: threading.Event) -> None:
    snapshot = ask_one(SilentWire(replies(FOLLOWER), {MEMBERS_PATH}, over), *Source, seconds=AT_ONCE)

    assert snapshot.agent_self.answer
    assert snapshot.members.last is None


def test_one_question_after_the_other_has_what_is_left_of_the_time() -> None:
    passing = FakeClock()
    wire = FakeWire(replies(FOLLOWER), passing, takes=1.0)

    collect({AGENT: wire}, list(Source), passing, PATIENCE)

    seconds = dict(wire.requests)
    assert seconds[MEMBERS_PATH] < seconds[SELF_PATH] <= PATIENCE


def test_a_fault_of_ours_is_an_outcome_and_no_traceback() -> None:
    snapshot = ask_one(BrokenWire({}), Source.HEALTH, Source.SELF)

    assert snapshot.health.failure == snapshot.agent_self.failure
    assert snapshot.health.failure == Failure(FailureReason.INTERNAL, "an error of the check, RuntimeError")


def test_more_agents_than_threads_are_all_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "WORKERS", 2)
    wires = {agent: FakeWire(replies(FOLLOWER)) for agent in named("a", "b", "c", "d", "e")}

    found = collect(wires, [Source.HEALTH, Source.SELF], clock.now, PATIENCE)

    assert [snapshot.agent for snapshot in found] == list(wires)
    assert all(snapshot.health.answer and snapshot.agent_self.answer for snapshot in found)
