"""The table of settings: what must hold for every row of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from nomad_exporter.config.settings import SETTINGS, Setting, Settings
from nomad_exporter.nomad.agent import Address, Secret
from nomad_exporter.verdicts.verdict import Thresholds

SECRETS = [row for row in SETTINGS.values() if row.secret]
PUBLIC = [row for row in SETTINGS.values() if not row.secret]


def by_name(row: Setting) -> str:
    return row.name


def test_every_setting_has_a_row() -> None:
    assert list(SETTINGS) == [field.name for field in fields(Settings)]


def test_no_two_settings_share_a_flag_or_a_variable() -> None:
    names = Counter(name for row in SETTINGS.values() for name in (row.flag, *row.variables))

    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("row", SETTINGS.values(), ids=by_name)
def test_every_row_is_explained_in_a_sentence(row: Setting) -> None:
    assert row.help.endswith(".")
    assert "\n" not in row.help


@pytest.mark.parametrize("row", SETTINGS.values(), ids=by_name)
def test_no_variable_is_one_that_kubernetes_injects_for_a_service(row: Setting) -> None:
    """For a service named nomad-exporter that is ``NOMAD_EXPORTER_PORT`` and the like, with other meanings."""
    injected = ("NOMAD_EXPORTER_PORT", "NOMAD_EXPORTER_SERVICE_")

    assert [name for name in row.variables if name.startswith(injected) or name.endswith("_PORT")] == []


@pytest.mark.parametrize("row", [row for row in PUBLIC if row.default], ids=by_name)
def test_a_default_is_a_value_that_the_setting_would_accept(row: Setting) -> None:
    assert row.default
    row.read(row.default)


@pytest.mark.parametrize("row", [row for row in PUBLIC if not row.switch], ids=by_name)
def test_a_setting_that_takes_a_value_says_what_kind(row: Setting) -> None:
    assert row.metavar.isupper()


def test_the_own_variable_of_a_setting_comes_before_that_of_nomad() -> None:
    assert SETTINGS["address"].variables == ("NOMAD_EXPORTER_NOMAD_ADDRESS", "NOMAD_ADDR", "NOMAD_UNIX_ADDR")
    assert SETTINGS["max_age"].variables == ("NOMAD_EXPORTER_POLL_MAX_AGE",)


@pytest.mark.parametrize("row", SECRETS, ids=by_name)
def test_a_secret_is_read_from_the_variable_of_nomad_alone(row: Setting) -> None:
    assert row.variables == row.nomad


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("address", "NOMAD_ADDR"),
        ("token", "NOMAD_TOKEN"),
        ("http_auth", "NOMAD_HTTP_AUTH"),
        ("ca_file", "NOMAD_CACERT"),
        ("ca_path", "NOMAD_CAPATH"),
        ("cert_file", "NOMAD_CLIENT_CERT"),
        ("key_file", "NOMAD_CLIENT_KEY"),
        ("server_name", "NOMAD_TLS_SERVER_NAME"),
        ("skip_verify", "NOMAD_SKIP_VERIFY"),
    ],
)
def test_the_variables_of_the_nomad_command_are_understood(field: str, variable: str) -> None:
    assert SETTINGS[field].nomad[0] == variable


def test_settings_can_be_shown_without_their_secrets() -> None:
    hidden = [Secret(f"hidden-{number}") for number in range(3)]
    given: dict[str, Any] = dict.fromkeys(SETTINGS)
    address = (Address("http", "nomad", 4646), hidden[0])
    settings = Settings(**{**given, "address": address, "token": hidden[1], "http_auth": hidden[2]})

    assert "hidden-" not in f"{settings} {settings!r}"


@pytest.mark.parametrize("field", ["attempts", "heartbeat_grace", "max_contact", "max_apply_lag"])
def test_the_defaults_of_the_limits_are_told_as_they_are(field: str) -> None:
    row = SETTINGS[field]

    assert row.section == "verdict"
    assert row.default
    assert row.read(row.default) == getattr(Thresholds(), field)
