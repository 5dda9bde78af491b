"""Log lines about changes, and their groups: of many equal lines about different agents, one line remains.

Pure: the time is an argument. ``change_log`` has the lock and the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nomad_exporter.polling.transitions import LogLine

MAX_EQUAL_LINES = 5
"""How many equal lines are written at once; the further lines of the same moment are counted."""

MOMENT_SECONDS = 1.0
"""How long lines are counted until one line reports their number."""

MAX_GROUPS = 1000
"""The maximum number of groups; a line that would begin another group is written at once."""

MAX_NAMES = 5
"""How many agents a line about several agents names."""


@dataclass(frozen=True, slots=True)
class Line:
    """A log line: its ``kind``, its fields, and ``agent`` unless it is about no single agent.

    ``details`` are fields that may differ between lines that count as equal.
    """

    kind: LogLine
    fields: Mapping[str, str]
    agent: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_fields(self) -> Mapping[str, str]:
        """The fields in the order of the line."""
        agent = {"agent": self.agent} if self.agent else {}
        return {**self.fields, **agent, **self.details}


@dataclass(slots=True)
class _Group:
    """Equal lines of one moment, which began at ``began``: how many were ``written``, and those that wait, by agent."""

    began: float
    written: int = 0
    waiting: dict[str, Line] = field(default_factory=dict)


_Key = tuple[LogLine, tuple[tuple[str, str], ...]]


class LineGroups:
    """The groups of equal lines of the last moment. Times are in monotonic seconds; not safe for threads.

    After ``MAX_EQUAL_LINES`` equal lines, the others wait for the end of the moment. They then become one line. While
    such lines continue, there is one line for each moment.
    """

    def __init__(self) -> None:
        self._groups: dict[_Key, _Group] = {}

    def add(self, line: Line, now: float) -> bool:
        """Add a line and return whether it is to be written at once; otherwise it waits for the end of the moment."""
        group = self._group(line, now) if line.agent else None
        if group and group.written >= MAX_EQUAL_LINES:
            group.waiting.setdefault(line.agent, line)
            return False
        if group:
            group.written += 1
        return True

    def end(self, now: float) -> list[Line]:
        """End the moments that began at least ``MOMENT_SECONDS`` ago, and return the lines to write."""
        ended = {key: group for key, group in self._groups.items() if now - group.began >= MOMENT_SECONDS}
        for key, group in ended.items():
            if group.waiting:
                self._groups[key] = _Group(now, MAX_EQUAL_LINES)
            else:
                del self._groups[key]
        return [_combine(list(group.waiting.values())) for group in ended.values() if group.waiting]

    def _group(self, line: Line, now: float) -> _Group | None:
        """Return the group of a line; None if there are too many groups for a new one."""
        key = (line.kind, tuple(line.fields.items()))
        if key not in self._groups and len(self._groups) < MAX_GROUPS:
            self._groups[key] = _Group(now)
        return self._groups.get(key)


def _combine(lines: list[Line]) -> Line:
    """Return one line for equal lines about different agents, with their number and the first names."""
    first, *others = lines
    return Line(first.kind, {**first.fields, **name_agents([line.agent for line in lines])}) if others else first


def name_agents(names: Sequence[str]) -> Mapping[str, str]:
    """Return the fields that count agents and name the first of them."""
    shown = [*names[:MAX_NAMES], *(["…"] if len(names) > MAX_NAMES else [])]
    return {"agents": str(len(names)), "names": ",".join(shown)}
