"""Logging: one line per event on standard error, in the configured format and from the configured level."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nomad_exporter import logs
from tests.support.waiting import eventually

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


def written(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was written to standard error."""
    for handler in logging.getLogger("nomad_exporter").handlers:
        handler.flush()
    return capfd.readouterr().err


def logged(capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one line that was logged, without the line feed."""
    text = written(capfd)
    line, end, rest = text.partition("\n")
    assert end, "no line was logged"
    assert not rest, f"more than one line: {text!r}"
    return line


def test_logfmt_line_has_time_level_message_and_fields(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("poll failed", agent="n1", polls=3)

    line = logged(capfd)
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg="poll failed" agent=n1 polls=3', line
    )


def test_json_line_is_one_object_with_the_same_fields(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")

    LOG.warning("poll failed", agent="n1", polls=3)

    fields = json.loads(logged(capfd))
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
def test_logfmt_value_is_quoted_if_necessary(value: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("event", detail=value)

    assert logged(capfd).partition(" detail=")[2] == expected


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_text_of_an_agent_stays_on_one_line(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    LOG.info("event", detail="one\ntime=2026 level=error msg=forged\r\n")

    assert "forged" in logged(capfd)


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_exception_is_logged_by_type_only(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    try:
        int("hidden-text")
    except ValueError:
        LOG.exception("request handler failed")

    line = logged(capfd)
    assert "ValueError" in line
    assert "hidden-text" not in line


@pytest.mark.parametrize("name", ["from", "message", "name", "args"])
def test_field_may_have_the_name_of_a_record_attribute(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    fields: dict[str, Any] = {name: "value"}

    LOG.info("event", **fields)

    assert json.loads(logged(capfd))[name] == "value"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_lower_levels_are_not_logged(level: str, expected: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level, "logfmt")

    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "event")

    assert re.findall(r"level=(\w+)", written(capfd)) == expected


def test_level_without_short_name_keeps_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.critical("event")

    assert " level=critical " in logged(capfd)


def test_second_set_up_replaces_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")
    logs.set_up("info", "json")

    LOG.info("event")

    assert json.loads(logged(capfd))["msg"] == "event"


def test_log_of_a_library_is_not_written() -> None:
    script = (
        "import logging; from nomad_exporter import logs; logs.set_up('debug', 'logfmt');"
        "logging.getLogger('urllib3').error('Authorization: hidden-text')"
    )

    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)

    assert (process.stdout, process.stderr) == ("", "")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x9b"], ids=["nel", "line-separator", "csi"])
@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_control_character_is_escaped(log_format: str, character: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", log_format)

    LOG.info("event", detail=f"one{character}two")

    assert character not in written(capfd)


# A log that nobody reads.


class Pipe:
    """A pipe as standard error, and the lines queue that writes to it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self._null = os.open(os.devnull, os.O_RDONLY)
        fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, 4096)
        self.handler = logs.LineQueue(self._writing)

    def log(self, text: str) -> None:
        self.handler.handle(logging.makeLogRecord({"msg": text}))

    def fill(self) -> None:
        """Log until a line is dropped."""
        while not self.handler.dropped:
            self.log("x" * 100)

    def read_until(self, text: str) -> str:
        found = ""
        while text not in found:
            found += os.read(self._reading, 65536).decode()
        return found

    def close(self) -> None:
        os.dup2(self._null, self._reading)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.setattr(logs, "MAX_LINES", 100)
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_are_dropped_while_nobody_reads(pipe: Pipe) -> None:
    pipe.fill()
    pipe.log("one more")

    assert pipe.handler.dropped == 2


def test_dropped_lines_are_reported_once_the_pipe_is_read(pipe: Pipe) -> None:
    pipe.fill()
    text = pipe.read_until("log lines dropped")
    pipe.log("end")

    assert "log lines dropped" not in pipe.read_until("end")
    assert text.endswith("log lines dropped\n")


def test_flush_does_not_wait_for_a_reader(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.01)
    pipe.fill()

    pipe.handler.flush()


def test_line_to_a_closed_pipe_is_dropped(pipe: Pipe) -> None:
    pipe.close()
    pipe.log("lost")

    eventually(lambda: pipe.handler.dropped == 1)


def test_nonblocking_pipe_loses_no_line(pipe: Pipe) -> None:
    os.set_blocking(pipe._writing, False)
    for number in range(100):
        pipe.log(f"{number} " + "x" * 100)

    lines = pipe.read_until("99 ").splitlines()
    assert [line.split()[0] for line in lines[:99]] == [str(number) for number in range(99)]
