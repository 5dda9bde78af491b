"""Errors of the commands: one line each."""

from __future__ import annotations

import click
import pytest

from nomad_exporter.cli_options import print_error
from nomad_exporter.config.model import ConfigError, DocumentError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (click.UsageError("no such\noption"), "no such option"),
        (ConfigError("timeout", "must be short"), "--poll.timeout must be short"),
        (DocumentError("fleet.yml:3: unknown key"), "fleet.yml:3: unknown key"),
    ],
    ids=["usage", "setting", "file"],
)
def test_wrong_setting_is_its_message_in_one_line(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(error)

    assert capsys.readouterr() == ("", f"nomad-exporter: {line}\n")


def test_internal_error_has_its_location_and_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("hidden-1")
    print_error(raised.value)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        "nomad-exporter: internal error, please report it: RuntimeError in test_cli_options_errors.py:"
    )
    assert "hidden-1" not in err
