"""Log lines, and the groups in which many equal lines become one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.change_log import MAX_EQUAL_LINES, MAX_GROUPS, MOMENT_SECONDS, LineGroups
from nomad_exporter.polling.transitions import LogLine
from nomad_exporter.verdicts.changes import Line, name_agents

FAILED = LogLine("poll failed", logging.WARNING)
RECOVERED = LogLine("agent recovered")
NAMES = [f"c{number}" for number in range(1, 413)]


def line(agent: str, kind: LogLine = FAILED, reason: str = "refused", message: str = "") -> Line:
    return Line(kind, {"reason": reason}, agent, {"message": message} if message else {})


def add(groups: LineGroups, lines: Iterable[Line], now: float = 0.0) -> list[str]:
    """Add the lines and return the agents whose line is to be written at once."""
    return [each.agent for each in lines if groups.add(each, now)]


def ended(groups: LineGroups, now: float) -> list[dict[str, str]]:
    return [dict(each.all_fields) for each in groups.end(now)]


def test_fields_of_a_line_end_with_agent_and_details() -> None:
    assert list(line("s1", message="Any.").all_fields.items()) == [
        ("reason", "refused"),
        ("agent", "s1"),
        ("message", "Any."),
    ]
    assert Line(FAILED, {"reason": "refused"}).all_fields == {"reason": "refused"}


def test_first_equal_lines_are_written_at_once() -> None:
    assert add(LineGroups(), map(line, NAMES)) == NAMES[:MAX_EQUAL_LINES]


def test_further_lines_become_one_with_their_number_and_names() -> None:
    groups = LineGroups()
    add(groups, map(line, NAMES))

    assert ended(groups, MOMENT_SECONDS - 0.1) == []
    (combined,) = groups.end(MOMENT_SECONDS)
    assert combined.kind is FAILED
    assert combined.all_fields == {"reason": "refused", "agents": "407", "names": "c6,c7,c8,c9,c10,…"}


def test_single_further_line_is_written_unchanged() -> None:
    groups = LineGroups()
    add(groups, (line(name, message=name) for name in NAMES[: MAX_EQUAL_LINES + 1]))

    assert ended(groups, MOMENT_SECONDS) == [{"reason": "refused", "agent": "c6", "message": "c6"}]


def test_lines_of_one_agent_are_counted_once() -> None:
    groups = LineGroups()
    add(groups, [*map(line, NAMES[:MAX_EQUAL_LINES]), line("c9"), line("c9"), line("c8")])

    assert ended(groups, MOMENT_SECONDS) == [{"reason": "refused", "agents": "2", "names": "c9,c8"}]


def test_details_may_differ_in_equal_lines() -> None:
    lines = [line(name, message=f"{name} is late.") for name in NAMES]

    assert add(LineGroups(), lines) == NAMES[:MAX_EQUAL_LINES]


@pytest.mark.parametrize("other", [line("c9", kind=RECOVERED), line("c9", reason="timeout")], ids=["kind", "field"])
def test_different_lines_are_different_groups(other: Line) -> None:
    groups = LineGroups()
    add(groups, map(line, NAMES))

    assert groups.add(other, 0.0)


def test_lasting_burst_has_one_line_for_each_moment() -> None:
    groups = LineGroups()
    written = []
    for second in range(5):
        written += add(groups, map(line, NAMES[second * 80 : second * 80 + 80]), now=second + 0.5)
        written += [fields["agents"] for fields in ended(groups, now=second + 1.5)]

    assert written == [*NAMES[:MAX_EQUAL_LINES], "75", "80", "80", "80", "80"]


def test_lines_are_written_at_once_again_after_a_quiet_moment() -> None:
    groups = LineGroups()
    add(groups, map(line, NAMES))
    for second in (1, 2):
        groups.end(second * MOMENT_SECONDS)

    assert add(groups, map(line, NAMES), now=2 * MOMENT_SECONDS) == NAMES[:MAX_EQUAL_LINES]


def test_few_lines_are_forgotten_after_the_moment() -> None:
    groups = LineGroups()
    add(groups, map(line, NAMES[:3]))

    assert ended(groups, MOMENT_SECONDS) == []
    assert add(groups, map(line, NAMES), now=MOMENT_SECONDS) == NAMES[:MAX_EQUAL_LINES]


def test_line_about_no_agent_is_always_written() -> None:
    groups = LineGroups()

    assert all(groups.add(Line(FAILED, {"state": "ok"}), 0.0) for _ in range(100))


def test_number_of_groups_is_limited() -> None:
    groups = LineGroups()
    add(groups, (line("c1", reason=str(number)) for number in range(MAX_GROUPS)))

    assert add(groups, (line(name, reason="new") for name in NAMES)) == NAMES
    assert add(groups, (line(name, reason="0") for name in NAMES)) == NAMES[: MAX_EQUAL_LINES - 1]


def test_all_lines_end_at_the_end_of_time() -> None:
    groups = LineGroups()
    add(groups, map(line, NAMES), now=100.0)

    assert [fields["agents"] for fields in ended(groups, float("inf"))] == ["407"]


@given(st.lists(st.tuples(st.sampled_from(["refused", "timeout"]), st.floats(0, 0.4)), max_size=200))
def test_no_line_is_lost(steps: list[tuple[str, float]]) -> None:
    groups, now, counted = LineGroups(), 0.0, Counter[str]()
    for number, (reason, pause) in enumerate(steps):
        now += pause
        counted[reason] += groups.add(line(f"c{number}", reason=reason), now)
        counted.update(count_agents(groups.end(now)))
    counted.update(count_agents(groups.end(float("inf"))))

    assert +counted == Counter(reason for reason, _ in steps)


def count_agents(lines: list[Line]) -> dict[str, int]:
    return {each.fields["reason"]: int(each.fields.get("agents", 1)) for each in lines}


@pytest.mark.parametrize(
    ("names", "text"),
    [(["a"], "a"), (["a", "b"], "a,b"), (list("abcde"), "a,b,c,d,e"), (list("abcdef"), "a,b,c,d,e,…")],
)
def test_five_agents_are_named(names: str, text: str) -> None:
    assert name_agents(list(names)) == {"agents": str(len(names)), "names": text}
