"""What an agent writes into its log, and the last of it, kept for those who watch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

LEVELS = ("trace", "debug", "info", "warn", "error", "off")
"""From what is told least often to what is never told: no line is ``off``, but who watches can ask for it."""


class Seconds(float):
    """A duration among the pairs of a line: a text of Go in a plain line, a number of nanoseconds in JSON."""

    __slots__ = ()


Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: when in Unix time, one of LEVELS, the part of the agent (``nomad.raft``), and what it says."""

    at: float
    level: str
    module: str
    message: str
    pairs: tuple[tuple[str, Value], ...] = ()

    def is_shown_at(self, level: str) -> bool:
        """Whether one who watches at ``level`` is told."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """The lines since the last reading, how many were gone before they could be read, and where to read on."""

    lines: tuple[LogLine, ...]
    dropped: int
    next: int


class AgentLog:
    """The last lines of one agent, numbered from 0 on; older lines fall out when it is full."""

    def __init__(self, limit: int = 512) -> None:
        self._lines: deque[LogLine] = deque(maxlen=limit)
        self._next = 0

    @property
    def next(self) -> int:
        """The number of the line to come: who watches from now on reads since this one."""
        return self._next

    def append(self, line: LogLine) -> None:
        self._lines.append(line)
        self._next += 1

    def read_from(self, number: int) -> LogChunk:
        """The lines from ``number`` on that are still here."""
        oldest = self._next - len(self._lines)
        lines = islice(self._lines, max(0, number - oldest), None)
        return LogChunk(tuple(lines), max(0, oldest - number), self._next)


def parse_level(text: str) -> str:
    """The level that ``log_level`` of ``GET /v1/agent/monitor`` means, in any case; nothing means ``info``.

    Raises ValueError in Nomad's words.
    """
    name = text.strip().lower() if text else "info"
    if name not in LEVELS:
        raise ValueError(f"Unknown log level: {text}")
    return name
