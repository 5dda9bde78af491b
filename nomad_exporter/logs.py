"""The log: one line an event on standard error, as logfmt or JSON. Only our own lines are written."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

FORMATS = ("logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")

_LEVEL_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_BARE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")


def set_up(level: str, form: str) -> None:
    """Writes the lines of this package from ``level`` on, and nothing of any library's: what they find, we tell."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _LogfmtFormatter())
    ours = logging.getLogger("nomad_exporter")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)


class _LogfmtFormatter(logging.Formatter):
    """``time=… level=info msg="…" agent=…``; every line is one line, whatever an agent said."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quoted(value)}" for key, value in _fields(record))


class _JsonFormatter(logging.Formatter):
    """The same fields as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_fields(record)))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    when = datetime.fromtimestamp(record.created, UTC)
    yield "time", when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", _LEVEL_NAMES.get(record.levelno, record.levelname.lower())
    yield "msg", record.getMessage()
    for key, value in getattr(record, "fields", {}).items():
        yield key, str(value)
    if record.exc_info and record.exc_info[1]:
        yield "error", type(record.exc_info[1]).__name__  # Not its text, which can quote what an agent sent.


def _quoted(value: str) -> str:
    """Bare or in quotes; what would end the line or steer a terminal is escaped."""
    if _BARE.fullmatch(value) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
