"""Logging: one line per event on standard error, in the configured format and from the configured level."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nomad_exporter import logs

LOG = logs.get_logger("nomad_exporter.some.module")


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    """Restore the process's loggers after each test."""
    root, package = logging.getLogger(), logging.getLogger("nomad_exporter")
    before = [*root.handlers]
    handlers, propagate, level = package.handlers, package.propagate, package.level
    yield
    for handler in {*root.handlers} - {*before}:
        if isinstance(handler, logging.NullHandler):
            root.removeHandler(handler)
    package.handlers, package.propagate = handlers, propagate
    package.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that was logged, without the line feed."""
    text = capsys.readouterr().err
    line, end, rest = text.partition("\n")
    assert end, "no line was logged"
    assert not rest, f"more than one line: {text!r}"
    return line


def test_logfmt_line_has_time_level_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("poll failed", agent="n1", polls=3)

    line = logged(capsys)
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg="poll failed" agent=n1 polls=3', line
    )


def test_json_line_is_one_object_with_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")

    LOG.warning("poll failed", agent="n1", polls=3)

    fields = json.loads(logged(capsys))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("time"))
    assert fields == {"level": "warn", "msg": "poll failed", "agent": "n1", "polls": "3"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("10.0.0.1:4646", "10.0.0.1:4646", id="plain"),
        pytest.param("größe", "größe", id="non-ascii-letters"),
        pytest.param("", '""', id="empty"),
        pytest.param("two parts", '"two parts"', id="space"),
        pytest.param("große Namen", '"große Namen"', id="non-ascii-letters-with-space"),
        pytest.param('say "no"', r'"say \"no\""', id="quote"),
        pytest.param("a=b", '"a=b"', id="equals"),
        pytest.param("a\\b", r'"a\\b"', id="backslash"),
        pytest.param("one\ntwo\r\n", r'"one\ntwo\r\n"', id="line-feed"),
        pytest.param("\x1b[31mred", r'"\u001b[31mred"', id="terminal-escape"),
        pytest.param("null\x00", r'"null\u0000"', id="null"),
    ],
)
def test_logfmt_value_is_quoted_if_necessary(value: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("event", detail=value)

    assert logged(capsys).partition(" detail=")[2] == expected


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_text_of_an_agent_stays_on_one_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    LOG.info("event", detail="one\ntime=2026 level=error msg=forged\r\n")

    assert "forged" in logged(capsys)


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_exception_is_logged_by_type_only(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    try:
        int("hidden-text")
    except ValueError:
        LOG.exception("request handler failed")

    line = logged(capsys)
    assert "ValueError" in line
    assert "hidden-text" not in line


@pytest.mark.parametrize("name", ["from", "message", "name", "args"])
def test_field_may_have_the_name_of_a_record_attribute(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    fields: dict[str, Any] = {name: "value"}

    LOG.info("event", **fields)

    assert json.loads(logged(capsys))[name] == "value"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_lower_levels_are_not_logged(level: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level, "logfmt")

    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "event")

    assert re.findall(r"level=(\w+)", capsys.readouterr().err) == expected


def test_level_without_short_name_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.critical("event")

    assert " level=critical " in logged(capsys)


def test_second_set_up_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")
    logs.set_up("info", "json")

    LOG.info("event")

    assert json.loads(logged(capsys))["msg"] == "event"


def test_log_of_a_library_is_not_written() -> None:
    script = (
        "import logging; from nomad_exporter import logs; logs.set_up('debug', 'logfmt');"
        "logging.getLogger('urllib3').error('Authorization: hidden-text')"
    )

    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)

    assert (process.stdout, process.stderr) == ("", "")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x9b"], ids=["nel", "line-separator", "csi"])
@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_control_character_is_escaped(log_format: str, character: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    LOG.info("event", detail=f"one{character}two")

    assert character not in capsys.readouterr().err
