"""The settings as options of a command, with and without a flag."""

from __future__ import annotations

from typing import Any

import click
import pytest

from nomad_exporter.cli_options import from_context, help_text, options
from nomad_exporter.config.load import RawSettings
from nomad_exporter.config.settings import SETTINGS, Setting

PUBLIC = {field: setting for field, setting in SETTINGS.items() if not setting.secret}


def read(*arguments: str, **kwargs: Any) -> RawSettings:
    """Return the settings that a command with these options receives."""
    received: list[RawSettings] = []
    callback = click.pass_context(lambda context, **_: received.append(from_context(context)))
    click.Command("any", callback=callback, params=options(**kwargs)).main([*arguments], standalone_mode=False)
    return received[0]


def test_settings_have_values_with_and_without_flag() -> None:
    assert read().values.keys() == read(flags={"timeout"}).values.keys() == PUBLIC.keys()


def test_setting_without_flag_is_set_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_POLL_INTERVAL", "30s")

    raw = read(flags={"timeout"})

    assert raw.values["interval"] == 30.0
    assert "interval" not in raw.defaults | raw.flags


def test_flag_that_is_not_selected_is_refused() -> None:
    with pytest.raises(click.NoSuchOption):
        read("--poll.interval", "30s", flags={"timeout"})


def test_flags_on_command_line_are_recorded() -> None:
    raw = read("--poll.timeout", "3s", flags={"timeout"})

    assert raw.flags == {"timeout"}
    assert raw.values["timeout"] == 3.0


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_help_with_default_has_at_most_80_characters(setting: Setting) -> None:
    text = help_text(setting)

    assert len(text) <= 80
    assert text.endswith(".")
    assert setting.default is None or f"(default: {setting.default})" in text
