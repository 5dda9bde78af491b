"""The log of changes: lines of readings and of verdicts, from several threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nomad_exporter.change_log import MAX_EQUAL_LINES, MOMENT_SECONDS, ChangeLog
from nomad_exporter.clock import Instant
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import MAX_LOG_LINES, Change, Event
from nomad_exporter.verdicts.changes import Known
from tests.support.answers import AGENT
from tests.support.fleets import AT, THRESHOLDS, client, cluster, dead
from tests.support.schedules import recorded_log
from tests.support.waiting import PATIENCE

FAILED = Change(Event.POLL_FAILED, {"source": "health", "reason": "refused"})
AGENTS = [replace(AGENT, name=f"c{number}") for number in range(1, 413)]


class Fleet:
    """Agents, and an instant that the test sets."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.now = AT

    def clock(self) -> Instant:
        return self.now

    def update(self, known: Known, now: Instant) -> Known:
        return known.after(self.snapshots, {"default"}, now, THRESHOLDS)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Yield the records that the module logs."""
    with recorded_log("nomad_exporter.change_log") as records:
        yield records


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def log(fleet: Fleet) -> ChangeLog:
    return ChangeLog(fleet.clock, fleet.update)


def fields(record: logging.LogRecord) -> dict[str, str]:
    return dict(vars(record)["fields"])


def messages(records: list[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in records]


def test_change_is_one_log_line_with_event_first_and_agent_last(
    log: ChangeLog, records: list[logging.LogRecord]
) -> None:
    log.log_changes(AGENT, [Change(Event.UNHEALTHY, {"role": "server", "detail": "no leader"})])

    (record,) = records
    assert (record.levelname, record.getMessage()) == ("WARNING", "agent unhealthy")
    assert list(fields(record).items()) == [
        ("event", "unhealthy"),
        ("role", "server"),
        ("detail", "no leader"),
        ("agent", AGENT.name),
    ]


def test_log_lines_of_one_reading_are_limited(log: ChangeLog, records: list[logging.LogRecord]) -> None:
    appeared = [Change(Event.MEMBER_APPEARED, {"member": str(number)}) for number in range(MAX_LOG_LINES + 7)]
    log.log_changes(AGENT, appeared)

    assert len(records) == MAX_LOG_LINES + 1
    assert records[-1].getMessage() == "further changes omitted"


def test_equal_lines_of_many_agents_become_one(log: ChangeLog, fleet: Fleet, records: list[logging.LogRecord]) -> None:
    for each in AGENTS:
        log.log_changes(each, [FAILED])
    assert [fields(record)["agent"] for record in records] == [each.name for each in AGENTS[:MAX_EQUAL_LINES]]
    fleet.now += MOMENT_SECONDS
    log.check()

    assert records[-1].getMessage() == "poll failed"
    assert fields(records[-1]) == {
        "event": "poll_failed",
        "source": "health",
        "reason": "refused",
        "agents": "407",
        "names": "c6,c7,c8,c9,c10,…",
    }


def test_changed_verdict_is_logged(log: ChangeLog, fleet: Fleet, records: list[logging.LogRecord]) -> None:
    for snapshot in (client(), dead(client()), dead(client()), client()):
        fleet.snapshots = [snapshot]
        log.check()

    assert messages(records) == ["agent not ready", "agent ready"]


def test_changed_cluster_is_logged(log: ChangeLog, fleet: Fleet, records: list[logging.LogRecord]) -> None:
    servers = list(cluster(3).values())
    for snapshots in (servers, [servers[0], *map(dead, servers[1:])]):
        fleet.snapshots = snapshots
        log.check()

    assert messages(records) == ["agent not ready", "agent not ready", "quorum lost"]
    assert fields(records[-1])["voters"] == "3"


def test_equal_verdicts_of_many_agents_become_one(
    log: ChangeLog, fleet: Fleet, records: list[logging.LogRecord]
) -> None:
    fleet.snapshots = [dead(client(each.name)) for each in AGENTS]
    log.check()
    fleet.now += MOMENT_SECONDS
    log.check()

    assert messages(records) == ["agent not ready"] * (MAX_EQUAL_LINES + 1)
    assert fields(records[-1])["agents"] == "407"


def test_lines_that_wait_are_written_at_the_stop(log: ChangeLog, records: list[logging.LogRecord]) -> None:
    log.start()
    for each in AGENTS:
        log.log_changes(each, [FAILED])
    log.stop()

    assert fields(records[-1])["agents"] == "407"


def test_no_line_of_several_threads_is_lost(log: ChangeLog, records: list[logging.LogRecord]) -> None:
    def log_some(first: int) -> None:
        for each in AGENTS[first::4]:
            log.log_changes(each, [FAILED])

    threads = [threading.Thread(target=log_some, args=(first,)) for first in range(4)]
    log.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    log.stop()

    assert sum(int(fields(record).get("agents", 1)) for record in records) == len(AGENTS)


class BlockedHandler(logging.Handler):
    """A handler whose first record blocks until the test sets ``unblock``; the handler's own lock is not held."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = None
        self.blocked, self.unblock = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if not self.blocked.is_set():
            self.blocked.set()
            self.unblock.wait(PATIENCE)


def test_blocked_log_blocks_no_other_thread(log: ChangeLog, fleet: Fleet) -> None:
    handler, logger = BlockedHandler(), logging.getLogger("nomad_exporter.change_log")
    thread = threading.Thread(target=log.log_changes, args=(AGENT, [FAILED]))
    with recorded_log(logger.name) as records:
        logger.addHandler(handler)
        try:
            thread.start()
            assert handler.blocked.wait(PATIENCE)
            log.log_changes(AGENTS[0], [FAILED])
            log.check()
        finally:
            handler.unblock.set()
            thread.join(PATIENCE)
            logger.removeHandler(handler)

    assert len(records) == 2


def test_failed_check_is_logged_and_the_checks_go_on(
    log: ChangeLog, fleet: Fleet, records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = threading.Event()
    errors = iter([RuntimeError("hidden")])

    def fail_once(known: Known, now: Instant) -> Known:
        for error in errors:
            raise error
        checked.set()
        return known

    monkeypatch.setattr("nomad_exporter.change_log.CHECK_SECONDS", 0.001)
    monkeypatch.setattr(log, "_update", fail_once)
    log.start()
    assert checked.wait(PATIENCE)
    log.stop()

    assert messages(records) == ["check of verdicts failed"]
    assert fields(records[0]) == {"error": "RuntimeError"}
