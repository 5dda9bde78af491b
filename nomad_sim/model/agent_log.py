"""The log of an agent; a ring buffer keeps the latest lines for ``/v1/agent/monitor``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

LEVELS = ("trace", "debug", "info", "warn", "error", "off")
"""Log levels in ascending order; ``off`` is only a level to monitor at, which shows no line."""


class Seconds(float):
    """A duration as a value of a log line: written as a Go duration in text, in nanoseconds in JSON."""

    __slots__ = ()


Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line: Unix time, one of LEVELS, Nomad's module name (``nomad.raft``), message and key-value pairs."""

    at: float
    level: str
    module: str
    message: str
    pairs: tuple[tuple[str, Value], ...] = ()

    def is_shown_at(self, level: str) -> bool:
        """Return whether a monitor at ``level`` shows this line."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """The lines since the last read, the number of dropped lines, and the number to read from next."""

    lines: tuple[LogLine, ...]
    dropped: int
    next: int


class AgentLog:
    """The latest lines of an agent's log, numbered from 0; a new line drops the oldest when the log is full."""

    def __init__(self, limit: int = 512) -> None:
        self._lines: deque[LogLine] = deque(maxlen=limit)
        self._next = 0

    @property
    def next(self) -> int:
        """Return the number of the next line; a new monitor reads from here."""
        return self._next

    def append(self, line: LogLine) -> None:
        """Append a line."""
        self._lines.append(line)
        self._next += 1

    def read_from(self, number: int) -> LogChunk:
        """Return the lines from ``number`` on that are still in the log."""
        oldest = self._next - len(self._lines)
        lines = islice(self._lines, max(0, number - oldest), None)
        return LogChunk(tuple(lines), max(0, oldest - number), self._next)


def parse_level(text: str) -> str:
    """Return the level that the parameter ``log_level`` of ``/v1/agent/monitor`` names; ``info`` if it is empty.

    The name is case-insensitive. Raise ValueError with Nomad's message if it is unknown.
    """
    name = text.strip().lower() if text else "info"
    if name not in LEVELS:
        raise ValueError(f"Unknown log level: {text}")
    return name
