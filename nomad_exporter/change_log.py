"""The log of changes: what the readings changed, and, once a second, which verdicts changed.

Of many equal lines about different agents, one line remains. A thread of its own evaluates the verdicts: with 2,000
agents that takes up to 25 ms, too long for the event loop. And a log that blocks then stops neither the event loop nor
the schedule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nomad_exporter import logs
from nomad_exporter.clock import Clock, Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.polling.transitions import EVENTS, Change, LogLine, truncate
from nomad_exporter.verdicts.changes import Known, Line, changes, name_agents

CHECK_SECONDS = 1.0
"""How often verdicts are evaluated for the log."""

STOP_SECONDS = 0.2
"""How long to wait for the end of the thread, which may be blocked by the log."""

MAX_EQUAL_LINES = 5
"""How many equal lines are written at once; the further lines of the same moment are counted."""

MOMENT_SECONDS = 1.0
"""How long lines are counted until one line reports their number."""

MAX_GROUPS = 1000
"""The maximum number of groups; a line that would begin another group is written at once."""

_log = logs.get_logger(__name__)


class ChangeLog:
    """Writes one log line for each change, or one for many equal lines. Safe for threads.

    ``update`` returns what is known of all agents and clusters at an instant, given what was known before.
    """

    def __init__(self, clock: Clock, update: Callable[[Known, Instant], Known]) -> None:
        self._clock, self._update = clock, update
        self._lock, self._groups = threading.Lock(), LineGroups()
        self._known = Known()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="change-log", daemon=True)

    def start(self) -> None:
        """Check the verdicts once a second from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the checks, and write the lines that wait."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        self._write_ended(float("inf"))

    def log_changes(self, agent: Agent, changed: Sequence[Change]) -> None:
        """Log the changes that one reading of ``agent`` caused."""
        self._add(_to_line(agent, change) for change in truncate(changed))

    def check(self) -> None:
        """Log the verdicts that changed since the previous call, and the lines that have waited for long enough."""
        now = self._clock()
        try:
            before, self._known = self._known, self._update(self._known, now)
            self._add(changes(before, self._known))
        finally:
            self._write_ended(now.monotonic)

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                self.check()
            except Exception as error:  # noqa: BLE001  # An exception would end the thread for good.
                _log.error("check of verdicts failed", error=type(error).__name__)

    # The lock is held only to decide, never to write: a log that blocks must not block the decisions of other threads.

    def _add(self, lines: Iterable[Line]) -> None:
        now = self._clock().monotonic
        with self._lock:
            written = [line for line in lines if self._groups.add(line, now)]
        _write(written)

    def _write_ended(self, now: float) -> None:
        with self._lock:
            ended = self._groups.end(now)
        _write(ended)


def _to_line(agent: Agent, change: Change) -> Line:
    return Line(EVENTS[change.event], {"event": change.event, **change.fields}, agent.name)


def _write(lines: Iterable[Line]) -> None:
    for line in lines:
        fields: dict[str, Any] = {**line.all_fields}
        _log.log(line.kind.level, line.kind.message, **fields)


# Groups of equal lines: pure, the time is an argument.


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
