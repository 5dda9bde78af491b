"""The settings as options of a command: with a flag or without one, each is read in the same way."""

from __future__ import annotations

from typing import Any

import click
import pytest

from nomad_exporter.cli_options import from_context, options
from nomad_exporter.config.load import RawSettings
from nomad_exporter.config.settings import SETTINGS

PUBLIC = {field for field, row in SETTINGS.items() if not row.secret}


def read(*arguments: str, **chosen: Any) -> RawSettings:
    """What a command with these options is given."""
    taken: list[RawSettings] = []
    callback = click.pass_context(lambda context, **_: taken.append(from_context(context)))
    click.Command("any", callback=callback, params=options(**chosen)).main([*arguments], standalone_mode=False)
    return taken[0]


def test_every_setting_has_a_value_whether_it_has_a_flag_or_not() -> None:
    assert read().values.keys() == read(flags={"timeout"}).values.keys() == PUBLIC


def test_a_setting_without_a_flag_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_POLL_INTERVAL", "30s")

    told = read(flags={"timeout"})

    assert told.values["interval"] == 30.0
    assert "interval" not in told.defaults | told.flags


def test_a_setting_without_a_flag_cannot_stand_on_the_command_line() -> None:
    with pytest.raises(click.NoSuchOption):
        read("--poll.interval", "30s", flags={"timeout"})


def test_what_stands_on_the_command_line_is_known_to_do_so() -> None:
    told = read("--poll.timeout", "3s", flags={"timeout"})

    assert told.flags == {"timeout"}
    assert told.values["timeout"] == 3.0
