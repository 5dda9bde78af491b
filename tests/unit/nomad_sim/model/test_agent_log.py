"""A journal: who reads gets every line once and in order, and learns what is gone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_sim.model.agent_log import LEVELS, AgentLog, LogChunk, LogLine, parse_level


def line(number: int) -> LogLine:
    return LogLine(float(number), "info", "client", f"line {number}")


def lines(first: int, last: int) -> tuple[LogLine, ...]:
    return tuple(line(number) for number in range(first, last + 1))


def written(count: int, limit: int) -> AgentLog:
    journal = AgentLog(limit)
    for number in range(count):
        journal.append(line(number))
    return journal


def test_an_empty_journal_has_nothing_to_read() -> None:
    assert AgentLog().read_from(0) == LogChunk((), 0, 0)


def test_what_was_written_is_read_from_a_number_on() -> None:
    journal = written(5, limit=10)

    assert journal.read_from(0) == LogChunk(lines(0, 4), 0, 5)
    assert journal.read_from(3) == LogChunk(lines(3, 4), 0, 5)


def test_who_has_read_all_reads_nothing_until_there_is_more() -> None:
    journal = written(2, limit=10)
    read_on = journal.read_from(0).next

    assert journal.read_from(read_on) == LogChunk((), 0, 2)
    journal.append(line(2))
    assert journal.read_from(read_on) == LogChunk(lines(2, 2), 0, 3)


def test_who_watches_from_now_on_is_not_told_what_was_before() -> None:
    journal = written(4, limit=10)
    start = journal.next
    journal.append(line(4))

    assert journal.read_from(start) == LogChunk(lines(4, 4), 0, 5)


def test_lines_that_fell_out_are_counted_for_who_was_too_slow() -> None:
    journal = written(10, limit=3)

    assert journal.read_from(2) == LogChunk(lines(7, 9), 5, 10)
    assert journal.read_from(7) == LogChunk(lines(7, 9), 0, 10)
    assert journal.read_from(8) == LogChunk(lines(8, 9), 0, 10)


def test_a_number_from_before_the_journal_was_begun_anew_reads_nothing_and_goes_on_from_here() -> None:
    assert written(2, limit=3).read_from(100) == LogChunk((), 0, 2)


def test_a_journal_keeps_as_many_lines_as_nomad_keeps_for_one_who_watches() -> None:
    journal = AgentLog()
    for number in range(600):
        journal.append(line(number))

    assert journal.read_from(0) == LogChunk(lines(88, 599), 600 - 512, 600)


@given(limit=st.integers(1, 8), bursts=st.lists(st.integers(0, 12)))
@settings(deadline=None)
def test_every_line_is_read_once_and_in_order_or_counted_as_dropped(limit: int, bursts: list[int]) -> None:
    journal, result, dropped, at = AgentLog(limit), list[LogLine](), 0, 0
    for burst in bursts:
        for number in range(journal.next, journal.next + burst):
            journal.append(line(number))
        reading = journal.read_from(at)
        result += reading.lines
        dropped, at = dropped + reading.dropped, reading.next

    assert [one.at for one in result] == sorted({one.at for one in result})
    assert len(result) + dropped == sum(bursts)


@pytest.mark.parametrize(
    ("text", "name"),
    [*((name, name) for name in LEVELS), ("TRACE", "trace"), ("Warn", "warn"), (" info ", "info"), ("", "info")],
)
def test_a_level_is_named_in_any_case_and_is_info_unless_named(text: str, name: str) -> None:
    assert parse_level(text) == name


@pytest.mark.parametrize("text", ["loud", "warning", "err", " ", "0"])
def test_a_level_that_nomad_does_not_know_is_refused_in_its_words(text: str) -> None:
    with pytest.raises(ValueError, match=f"^Unknown log level: {text}$"):
        parse_level(text)


@pytest.mark.parametrize(
    ("monitored", "output"),
    [
        ("trace", ["trace", "debug", "info", "warn", "error"]),
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
        ("off", []),
    ],
)
def test_who_watches_at_a_level_is_told_the_lines_of_that_level_and_above(monitored: str, output: list[str]) -> None:
    written_at = LEVELS[:-1]

    assert [name for name in written_at if LogLine(0.0, name, "", "").is_shown_at(monitored)] == output
