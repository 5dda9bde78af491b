"""Logging: one line per event on standard error, as logfmt or JSON, from this package only.

Nobody may read the pipe that is standard error, and a write then never ends. So a thread of its own writes the lines.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import threading
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from queue import Full, Queue
from typing import Any

FORMATS = ("logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")

MAX_LINES = 10_000
"""How many lines wait while nobody reads them; further ones are dropped."""

FLUSH_SECONDS = 0.3
"""How long the end of the process waits for lines to be written."""

_STANDARD_ERROR = 2

_LEVEL_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_NEEDS_NO_QUOTES = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")


class Logger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose keyword arguments are the fields of the line, as in ``log.info("reloaded", agents=3)``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        exc_info = kwargs.pop("exc_info", None)
        return msg, {"exc_info": exc_info, "extra": {"fields": kwargs}}


def get_logger(name: str) -> Logger:
    """Return the logger of the module ``name``."""
    return Logger(logging.getLogger(name))


def set_up(level: str, log_format: str) -> LineQueue:
    """Log this package's records of ``level`` and above to standard error, and no library's records.

    ``level`` is one of ``LEVELS``, ``log_format`` one of ``FORMATS``. A second call replaces the first. Returns the
    lines that wait to be written.
    """
    handler = LineQueue(_STANDARD_ERROR)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _LogfmtFormatter())
    logger = logging.getLogger("nomad_exporter")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    # Libraries may log what an agent sent. Their errors reach the log as failures, in this package's own lines.
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)
    return handler


class LineQueue(logging.Handler):
    """A handler whose thread writes the lines to a file descriptor; it drops and counts those that find no room."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: Queue[str] = Queue(MAX_LINES)
        self._refused = self._unwritten = 0  # Each is changed by one thread at a time.
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line of ``record`` to the queue; called with the lock of the handler."""
        try:
            self._lines.put_nowait(self.format(record))
        except Full:
            self._refused += 1

    @property
    def dropped(self) -> int:
        """The number of lines that found no room in the queue, or could not be written."""
        return self._refused + self._unwritten

    def flush(self) -> None:
        """Wait until all lines are written, but at most ``FLUSH_SECONDS``."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, FLUSH_SECONDS)

    def _write_lines(self) -> None:
        reported = 0
        while True:
            self._unwritten += not self._write(self._lines.get())
            dropped = self.dropped
            if dropped > reported and self._lines.empty() and self._write(self._report(dropped - reported)):
                reported = dropped
            self._lines.task_done()

    def _report(self, dropped: int) -> str:
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, "log lines dropped", None, None)
        record.__dict__["fields"] = {"lines": dropped}
        return self.format(record)

    def _write(self, line: str) -> bool:
        """Write a line; return False if standard error is closed, or a file on a full disk."""
        data = f"{line}\n".encode(errors="backslashreplace")
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError:
            return False
        return True

    def _write_some(self, data: bytes) -> int:
        """Write a part of ``data``, and return its length."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # Another process has made the same terminal or pipe non-blocking.
            select.select([], [self._descriptor], [])
            return 0


class _LogfmtFormatter(logging.Formatter):
    """A formatter for ``time=… level=info msg="…" agent=…``, always one line per record."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quote(value)}" for key, value in _fields(record))


class _JsonFormatter(logging.Formatter):
    """A formatter for one JSON object per line, with the same fields as logfmt."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_fields(record)))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    created = datetime.fromtimestamp(record.created, UTC)
    yield "time", created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", _LEVEL_NAMES.get(record.levelno, record.levelname.lower())
    yield "msg", record.getMessage()
    for key, value in getattr(record, "fields", {}).items():
        yield key, str(value)
    if record.exc_info and record.exc_info[1]:
        yield "error", type(record.exc_info[1]).__name__  # Not the exception's text: it can quote what an agent sent.


def _quote(value: str) -> str:
    """Return ``value``, in quotes if necessary; line ends and terminal escapes are always escaped."""
    if _NEEDS_NO_QUOTES.fullmatch(value) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
