"""Tests of an agent's log: reading in order, dropped lines and levels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_sim.model.agent_log import LEVELS, AgentLog, LogChunk, LogLine, parse_level


def line(number: int) -> LogLine:
    return LogLine(float(number), "info", "client", f"line {number}")


def lines(first: int, last: int) -> tuple[LogLine, ...]:
    return tuple(line(number) for number in range(first, last + 1))


def log_of(count: int, limit: int) -> AgentLog:
    log = AgentLog(limit)
    for number in range(count):
        log.append(line(number))
    return log


def test_empty_log_returns_no_lines() -> None:
    assert AgentLog().read_from(0) == LogChunk((), 0, 0)


def test_log_is_read_from_a_line_number() -> None:
    log = log_of(5, limit=10)

    assert log.read_from(0) == LogChunk(lines(0, 4), 0, 5)
    assert log.read_from(3) == LogChunk(lines(3, 4), 0, 5)


def test_next_number_reads_only_new_lines() -> None:
    log = log_of(2, limit=10)
    next_number = log.read_from(0).next

    assert log.read_from(next_number) == LogChunk((), 0, 2)
    log.append(line(2))
    assert log.read_from(next_number) == LogChunk(lines(2, 2), 0, 3)


def test_new_monitor_reads_only_later_lines() -> None:
    log = log_of(4, limit=10)
    start = log.next
    log.append(line(4))

    assert log.read_from(start) == LogChunk(lines(4, 4), 0, 5)


def test_dropped_lines_are_counted_for_a_slow_reader() -> None:
    log = log_of(10, limit=3)

    assert log.read_from(2) == LogChunk(lines(7, 9), 5, 10)
    assert log.read_from(7) == LogChunk(lines(7, 9), 0, 10)
    assert log.read_from(8) == LogChunk(lines(8, 9), 0, 10)


def test_number_beyond_the_end_reads_nothing_and_continues() -> None:
    assert log_of(2, limit=3).read_from(100) == LogChunk((), 0, 2)


def test_default_limit_is_the_buffer_size_of_nomads_monitor() -> None:
    log = AgentLog()
    for number in range(600):
        log.append(line(number))

    assert log.read_from(0) == LogChunk(lines(88, 599), 600 - 512, 600)


@given(limit=st.integers(1, 8), bursts=st.lists(st.integers(0, 12)))
@settings(deadline=None)
def test_every_line_is_read_once_in_order_or_counted_as_dropped(limit: int, bursts: list[int]) -> None:
    log, read, dropped, at = AgentLog(limit), list[LogLine](), 0, 0
    for burst in bursts:
        for number in range(log.next, log.next + burst):
            log.append(line(number))
        chunk = log.read_from(at)
        read += chunk.lines
        dropped, at = dropped + chunk.dropped, chunk.next

    assert [line.at for line in read] == sorted({line.at for line in read})
    assert len(read) + dropped == sum(bursts)


@pytest.mark.parametrize(
    ("text", "name"),
    [*((name, name) for name in LEVELS), ("TRACE", "trace"), ("Warn", "warn"), (" info ", "info"), ("", "info")],
)
def test_level_is_case_insensitive_and_defaults_to_info(text: str, name: str) -> None:
    assert parse_level(text) == name


@pytest.mark.parametrize("text", ["loud", "warning", "err", " ", "0"])
def test_unknown_level_is_rejected_with_nomads_message(text: str) -> None:
    with pytest.raises(ValueError, match=f"^Unknown log level: {text}$"):
        parse_level(text)


@pytest.mark.parametrize(
    ("monitor_level", "shown"),
    [
        ("trace", ["trace", "debug", "info", "warn", "error"]),
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
        ("off", []),
    ],
)
def test_monitor_shows_lines_at_its_level_and_above(monitor_level: str, shown: list[str]) -> None:
    line_levels = LEVELS[:-1]

    assert [name for name in line_levels if LogLine(0.0, name, "", "").is_shown_at(monitor_level)] == shown
