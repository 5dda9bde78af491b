"""The polling of a check: which sources are polled, and that one slow agent does not delay the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from nomad_exporter import clock
from nomad_exporter.check import collect as collect_module
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

OTHER_PATHS = (SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH)
HEALTH_PATHS = {STALE_HEALTH_PATH, HEALTH_PATH}

SHORT_TIMEOUT = 0.05
"""Seconds that are enough for a fake wire."""


def replies(name: str) -> dict[str, Reply | Failure]:
    """Return the recorded reply of an agent on each path; recordings do not include autopilot."""
    recordings: dict[str, Reply | Failure] = {AUTOPILOT_PATH: REFUSED}
    for path in (SELF_PATH, MEMBERS_PATH, HEALTH_PATH, STALE_HEALTH_PATH):
        recordings[path] = REFUSED if (path, name) == (MEMBERS_PATH, CLIENT) else recorded(name, path)
    return recordings


class BlockedWire(FakeWire):
    """A wire on which requests of some paths block until the end of the test."""

    def __init__(self, replies: Mapping[str, Reply | Failure], blocked: set[str], end: threading.Event) -> None:
        super().__init__(replies)
        self._blocked, self._end = blocked, end

    def get(self, path: str, seconds: float) -> Reply | Failure:
        if path in self._blocked:
            self._end.wait(PATIENCE)
        return super().get(path, seconds)


class BrokenWire(FakeWire):
    """A wire that raises an exception, which a wire must not do."""

    def get(self, path: str, seconds: float) -> Reply | Failure:
        raise RuntimeError("hidden")


@pytest.fixture
def end_of_test() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def collect_one(wire: FakeWire, *sources: Source, seconds: float = PATIENCE) -> Snapshot:
    (snapshot,) = collect({AGENT: wire}, sources, clock.now, seconds)
    return snapshot


def agents(*names: str) -> list[Agent]:
    return [replace(AGENT, name=name) for name in names]


@pytest.mark.parametrize(
    ("name", "sources", "other_paths"),
    [
        pytest.param(FOLLOWER, [Source.HEALTH], set(), id="health-only"),
        pytest.param(FOLLOWER, [Source.HEALTH, Source.SELF], {SELF_PATH}, id="members-not-required"),
        pytest.param(FOLLOWER, list(Source), set(OTHER_PATHS), id="server"),
        pytest.param(
            FOLLOWER,
            [Source.HEALTH, Source.SELF, Source.MEMBERS],
            {SELF_PATH, MEMBERS_PATH},
            id="autopilot-not-required",
        ),
        pytest.param(LEADERLESS, list(Source), {SELF_PATH, MEMBERS_PATH}, id="server-without-leader"),
        pytest.param(CLIENT, list(Source), {SELF_PATH}, id="client"),
    ],
)
def test_sources_are_polled_if_required_and_supported(name: str, sources: list[Source], other_paths: set[str]) -> None:
    wire = FakeWire(replies(name))

    collect_one(wire, *sources)

    assert {path for path in wire.paths if path in OTHER_PATHS} == other_paths
    assert HEALTH_PATHS & set(wire.paths)
    assert len(wire.paths) == len(set(wire.paths))


def test_members_are_not_polled_after_denied_self() -> None:
    denied = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")
    wire = FakeWire({**replies(FOLLOWER), SELF_PATH: denied})

    snapshot = collect_one(wire, *Source)

    assert MEMBERS_PATH not in wire.paths
    assert (snapshot.agent_self.failure, snapshot.health.failure) == (denied, None)


def test_answers_are_in_snapshot() -> None:
    snapshot = collect_one(FakeWire(replies(LEADER)), Source.HEALTH, Source.SELF, Source.MEMBERS)

    assert [state.failure for state in snapshot.source_states] == [None, None, None]
    assert snapshot.agent_self.answer
    assert snapshot.agent_self.answer.is_leader
    assert [state.polls for state in snapshot.source_states] == [1, 1, 1]


def test_blocked_agent_times_out_without_delaying_others(end_of_test: threading.Event) -> None:
    blocked, healthy = agents("blocked", "healthy")
    wires = {
        blocked: BlockedWire(replies(FOLLOWER), {*HEALTH_PATHS, SELF_PATH}, end_of_test),
        healthy: FakeWire(replies(FOLLOWER)),
    }

    first, second = collect(wires, [Source.HEALTH, Source.SELF], clock.now, SHORT_TIMEOUT)

    assert (
        first.health.failure
        == first.agent_self.failure
        == Failure(FailureReason.TIMEOUT, "no complete response within 50ms")
    )
    assert (first.consecutive_failures, first.is_polled) == (1, True)
    assert (second.health.failure, second.agent_self.failure) == (None, None)


def test_blocked_health_does_not_delay_other_sources(end_of_test: threading.Event) -> None:
    snapshot = collect_one(BlockedWire(replies(FOLLOWER), HEALTH_PATHS, end_of_test), *Source, seconds=SHORT_TIMEOUT)

    assert snapshot.health.failure
    assert snapshot.agent_self.answer
    assert snapshot.members.answer


def test_answers_before_timeout_are_kept(end_of_test: threading.Event) -> None:
    snapshot = collect_one(BlockedWire(replies(FOLLOWER), {MEMBERS_PATH}, end_of_test), *Source, seconds=SHORT_TIMEOUT)

    assert snapshot.agent_self.answer
    assert snapshot.members.last is None


def test_later_poll_has_remaining_time() -> None:
    moving_clock = FakeClock()
    wire = FakeWire(replies(FOLLOWER), moving_clock, takes=1.0)

    collect({AGENT: wire}, list(Source), moving_clock, PATIENCE)

    seconds = dict(wire.requests)
    assert seconds[MEMBERS_PATH] < seconds[SELF_PATH] <= PATIENCE


def test_exception_becomes_failure() -> None:
    snapshot = collect_one(BrokenWire({}), Source.HEALTH, Source.SELF)

    assert snapshot.health.failure == snapshot.agent_self.failure
    assert snapshot.health.failure == Failure(FailureReason.INTERNAL, "internal error: RuntimeError")


def test_all_agents_are_polled_with_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MAX_THREADS", 2)
    wires = {agent: FakeWire(replies(FOLLOWER)) for agent in agents("a", "b", "c", "d", "e")}

    snapshots = collect(wires, [Source.HEALTH, Source.SELF], clock.now, PATIENCE)

    assert [snapshot.agent for snapshot in snapshots] == list(wires)
    assert all(snapshot.health.answer and snapshot.agent_self.answer for snapshot in snapshots)
