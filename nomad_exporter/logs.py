"""Logging: one line per event on standard error, as logfmt or JSON, from this package only."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

FORMATS = ("logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")

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


def set_up(level: str, log_format: str) -> None:
    """Log this package's records of ``level`` and above to standard error, and no library's records.

    ``level`` is one of ``LEVELS``, ``log_format`` one of ``FORMATS``. A second call replaces the first.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _LogfmtFormatter())
    logger = logging.getLogger("nomad_exporter")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    # Libraries may log what an agent sent. Their errors reach the log as failures, in this package's own lines.
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)


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
