"""The polling of a check: which sources are polled, and that one slow agent does not delay the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter import clock
from nomad_exporter.check import collect as collect_module
from nomad_exporter.check.collect import collect
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Reply, Source
from nomad_exporter.nomad.sources.health import STALE_PATH
from nomad_exporter.polling.snapshot import Snapshot
from tests.support.answers import AGENT, REFUSED, FakeClock, FakeWire, recorded
from tests.support.waiting import PATIENCE

FOLLOWER, LEADER, CLIENT = "2.0.5/healthy/s1-follower", "2.0.5/healthy/s2-leader", "2.0.5/healthy/c1-client"
LEADERLESS = "2.0.5/no-leader/s3-follower"

OTHER_PATHS = (SELF.path, MEMBERS.path, AUTOPILOT.path)
HEALTH_PATHS = {STALE_PATH, HEALTH.path}

SHORT_TIMEOUT = 0.05
"""Seconds that are enough for a fake wire."""


def replies(name: str) -> dict[str, Reply | Failure]:
    """Return the recorded reply of an agent on each path; recordings do not include autopilot."""
    recordings: dict[str, Reply | Failure] = {source.path: REFUSED for source in SOURCES}
    for path in (SELF.path, MEMBERS.path, HEALTH.path, STALE_PATH):
        recordings[path] = REFUSED if (path, name) == (MEMBERS.path, CLIENT) else recorded(name, path)
    return recordings


class BlockedWire(FakeWire):
    """A wire on which requests of some paths block until the end of the test."""

    def __init__(self, replies: Mapping[str, Reply | Failure], blocked: set[str], end: threading.Event) -> None:
        super().__init__(replies)
        self._blocked, self._end = blocked, end

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        if path in self._blocked:
            self._end.wait(PATIENCE)
        return super().get(path, seconds, body_limit)


class BrokenWire(FakeWire):
    """A wire that raises an exception, which a wire must not do."""

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        raise RuntimeError("hidden")


@pytest.fixture
def end_of_test() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def collect_one(wire: FakeWire, *sources: Source[Any], seconds: float = PATIENCE) -> Snapshot:
    (snapshot,) = collect({AGENT: wire}, sources, clock.now, seconds)
    return snapshot


def agents(*names: str) -> list[Agent]:
    return [replace(AGENT, name=name) for name in names]


@pytest.mark.parametrize(
    ("name", "sources", "other_paths"),
    [
        pytest.param(FOLLOWER, [HEALTH], set(), id="health-only"),
        pytest.param(FOLLOWER, [HEALTH, SELF], {SELF.path}, id="members-not-required"),
        pytest.param(FOLLOWER, SOURCES, set(OTHER_PATHS), id="server"),
        pytest.param(
            FOLLOWER,
            [HEALTH, SELF, MEMBERS],
            {SELF.path, MEMBERS.path},
            id="autopilot-not-required",
        ),
        pytest.param(LEADERLESS, SOURCES, {SELF.path, MEMBERS.path}, id="server-without-leader"),
        pytest.param(CLIENT, SOURCES, {SELF.path}, id="client"),
    ],
)
def test_sources_are_polled_if_required_and_supported(
    name: str, sources: list[Source[Any]], other_paths: set[str]
) -> None:
    wire = FakeWire(replies(name))

    collect_one(wire, *sources)

    assert {path for path in wire.paths if path in OTHER_PATHS} == other_paths
    assert HEALTH_PATHS & set(wire.paths)
    assert len(wire.paths) == len(set(wire.paths))


DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")


def test_members_are_polled_if_only_health_proves_a_server() -> None:
    snapshot = collect_one(FakeWire({**replies(FOLLOWER), SELF.path: DENIED}), *SOURCES)

    assert (snapshot[SELF].failure, snapshot[HEALTH].failure) == (DENIED, None)
    assert snapshot[MEMBERS].answer


def test_members_are_polled_if_only_self_proves_a_server() -> None:
    snapshot = collect_one(FakeWire({**replies(FOLLOWER), STALE_PATH: DENIED}), *SOURCES)

    assert snapshot[HEALTH].failure == DENIED
    assert snapshot[MEMBERS].answer


def test_members_are_not_polled_if_the_role_is_unknown() -> None:
    wire = FakeWire({**replies(FOLLOWER), SELF.path: DENIED, STALE_PATH: DENIED})

    collect_one(wire, *SOURCES)

    assert MEMBERS.path not in wire.paths


def test_answers_are_in_snapshot() -> None:
    sources: tuple[Source[Any], ...] = (HEALTH, SELF, MEMBERS)
    snapshot = collect_one(FakeWire(replies(LEADER)), *sources)

    assert [snapshot[source].failure for source in sources] == [None, None, None]
    agent_self = snapshot[SELF].answer
    assert agent_self
    assert agent_self.is_leader
    assert [snapshot[source].polls for source in sources] == [1, 1, 1]


def test_blocked_agent_times_out_without_delaying_others(end_of_test: threading.Event) -> None:
    blocked, healthy = agents("blocked", "healthy")
    wires = {
        blocked: BlockedWire(replies(FOLLOWER), {*HEALTH_PATHS, SELF.path}, end_of_test),
        healthy: FakeWire(replies(FOLLOWER)),
    }

    first, second = collect(wires, [HEALTH, SELF], clock.now, SHORT_TIMEOUT)

    assert (
        first[HEALTH].failure
        == first[SELF].failure
        == Failure(FailureReason.TIMEOUT, "no complete response within 50ms")
    )
    assert (first.consecutive_failures, first.is_polled) == (1, True)
    assert (second[HEALTH].failure, second[SELF].failure) == (None, None)


def test_blocked_health_does_not_delay_other_sources(end_of_test: threading.Event) -> None:
    snapshot = collect_one(BlockedWire(replies(FOLLOWER), HEALTH_PATHS, end_of_test), *SOURCES, seconds=SHORT_TIMEOUT)

    assert snapshot[HEALTH].failure
    assert snapshot[SELF].answer
    assert snapshot[MEMBERS].answer


def test_answers_before_timeout_are_kept(end_of_test: threading.Event) -> None:
    snapshot = collect_one(BlockedWire(replies(FOLLOWER), {MEMBERS.path}, end_of_test), *SOURCES, seconds=SHORT_TIMEOUT)

    assert snapshot[SELF].answer
    assert snapshot[MEMBERS].last is None


def test_agent_is_always_polled(end_of_test: threading.Event) -> None:
    # So a check never reports a verdict for lack of evidence, such as starting.
    snapshot = collect_one(BlockedWire({}, {STALE_PATH}, end_of_test), HEALTH, seconds=SHORT_TIMEOUT)

    assert snapshot.last_poll_ended is not None
    assert snapshot.consecutive_failures == 1


def test_later_poll_has_remaining_time() -> None:
    moving_clock = FakeClock()
    wire = FakeWire(replies(FOLLOWER), moving_clock, takes=1.0)

    collect({AGENT: wire}, SOURCES, moving_clock, PATIENCE)

    assert dict(wire.requests)[MEMBERS.path] <= PATIENCE - 1.0


def test_exception_becomes_failure() -> None:
    snapshot = collect_one(BrokenWire({}), HEALTH, SELF)

    assert snapshot[HEALTH].failure == snapshot[SELF].failure
    assert snapshot[HEALTH].failure == Failure(FailureReason.INTERNAL, "internal error: RuntimeError")


def test_all_agents_are_polled_with_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MAX_THREADS", 2)
    wires = {agent: FakeWire(replies(FOLLOWER)) for agent in agents("a", "b", "c", "d", "e")}

    snapshots = collect(wires, [HEALTH, SELF], clock.now, PATIENCE)

    assert [snapshot.agent for snapshot in snapshots] == list(wires)
    assert all(snapshot[HEALTH].answer and snapshot[SELF].answer for snapshot in snapshots)


def reason_of(snapshot: Snapshot) -> FailureReason:
    """Return the reason why the poll of health failed."""
    failure = snapshot[HEALTH].failure
    assert failure
    return failure.reason


def test_agent_whose_poll_never_began_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, end_of_test: threading.Event
) -> None:
    monkeypatch.setattr(collect_module, "MAX_THREADS", 1)
    blocked, waiting = agents("blocked", "waiting")
    wires = {blocked: BlockedWire({}, {STALE_PATH}, end_of_test), waiting: FakeWire(replies(FOLLOWER))}

    first, second = collect(wires, [HEALTH], clock.now, SHORT_TIMEOUT)

    assert (first.consecutive_failures, second.consecutive_failures) == (1, 0)
    assert reason_of(second) is FailureReason.INTERNAL


def test_polls_share_the_time_if_threads_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MAX_THREADS", 2)
    wires = {agent: FakeWire(replies(FOLLOWER)) for agent in agents("a", "b", "c", "d", "e")}

    collect(wires, [HEALTH], clock.now, PATIENCE)

    assert all(seconds <= PATIENCE / 3 for wire in wires.values() for _, seconds in wire.requests)


def test_refused_threads_leave_agents_unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert reason_of(collect_one(FakeWire(replies(FOLLOWER)), HEALTH)) is FailureReason.INTERNAL
