"""The log: one line an event on standard error, in the form and from the level that were asked for."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from nomad_exporter import logs

LOG = logging.getLogger("nomad_exporter.some.module")


@pytest.fixture(autouse=True)
def _loggers_of_the_process() -> Iterator[None]:
    """What a test sets up is put back after it."""
    root, ours = logging.getLogger(), logging.getLogger("nomad_exporter")
    before = [*root.handlers]
    handlers, propagate, level = ours.handlers, ours.propagate, ours.level
    yield
    for handler in {*root.handlers} - {*before}:
        if isinstance(handler, logging.NullHandler):
            root.removeHandler(handler)
    ours.handlers, ours.propagate = handlers, propagate
    ours.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was written, without its line feed."""
    text = capsys.readouterr().err
    line, end, rest = text.partition("\n")
    assert end, "no line was written"
    assert not rest, f"more than one line: {text!r}"
    return line


def test_a_logfmt_line_tells_time_level_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("poll failed", extra={"fields": {"agent": "n1", "tries": 3}})

    line = written(capsys)
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg="poll failed" agent=n1 tries=3', line
    )


def test_a_json_line_is_one_object_with_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")

    LOG.warning("poll failed", extra={"fields": {"agent": "n1", "tries": 3}})

    told = json.loads(written(capsys))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {"level": "warn", "msg": "poll failed", "agent": "n1", "tries": "3"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("10.0.0.1:4646", "10.0.0.1:4646", id="plain"),
        pytest.param("größe", "größe", id="letters-of-any-language"),
        pytest.param("", '""', id="empty"),
        pytest.param("two words", '"two words"', id="space"),
        pytest.param("große Namen", '"große Namen"', id="words-of-any-language"),
        pytest.param('say "no"', r'"say \"no\""', id="quote"),
        pytest.param("a=b", '"a=b"', id="equals"),
        pytest.param("a\\b", r'"a\\b"', id="backslash"),
        pytest.param("one\ntwo\r\n", r'"one\ntwo\r\n"', id="line-feed"),
        pytest.param("\x1b[31mred", r'"\u001b[31mred"', id="terminal-escape"),
        pytest.param("null\x00", r'"null\u0000"', id="null"),
    ],
)
def test_a_logfmt_value_is_quoted_where_it_would_break_the_line(
    value: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", "logfmt")

    LOG.info("said", extra={"fields": {"detail": value}})

    assert written(capsys).partition(" detail=")[2] == shown


@pytest.mark.parametrize("form", logs.FORMATS)
def test_whatever_an_agent_said_is_one_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", form)

    LOG.info("said", extra={"fields": {"detail": "one\ntime=2026 level=error msg=forged\r\n"}})

    assert "forged" in written(capsys)


@pytest.mark.parametrize("form", logs.FORMATS)
def test_of_an_exception_only_its_type_is_told(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", form)

    try:
        int("hidden-text")
    except ValueError:
        LOG.exception("a page broke")

    line = written(capsys)
    assert "ValueError" in line
    assert "hidden-text" not in line


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_are_written_from_the_level_that_was_asked_for(
    level: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(level, "logfmt")

    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "said")

    assert re.findall(r"level=(\w+)", capsys.readouterr().err) == told


def test_a_level_without_a_short_name_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")

    LOG.critical("said")

    assert " level=critical " in written(capsys)


def test_setting_up_again_replaces_what_was_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "logfmt")
    logs.set_up("info", "json")

    LOG.info("said")

    assert json.loads(written(capsys))["msg"] == "said"


def test_nothing_of_a_library_is_written() -> None:
    script = (
        "import logging; from nomad_exporter import logs; logs.set_up('debug', 'logfmt');"
        "logging.getLogger('urllib3').error('Authorization: hidden-text')"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)

    assert (ended.stdout, ended.stderr) == ("", "")


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\x9b"], ids=["nel", "line-separator", "csi"])
@pytest.mark.parametrize("form", logs.FORMATS)
def test_no_mark_that_ends_a_line_or_steers_a_terminal_is_written(
    form: str, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", form)

    LOG.info("said", extra={"fields": {"detail": f"one{mark}two"}})

    assert mark not in capsys.readouterr().err
