"""The table of settings: properties of every setting."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from nomad_exporter.config.settings import SECTIONS, SETTINGS, Setting, Settings
from nomad_exporter.nomad.agent import Address, Secret
from nomad_exporter.verdicts.verdict import Thresholds

SECRETS = [setting for setting in SETTINGS.values() if setting.secret]
PUBLIC = [setting for setting in SETTINGS.values() if not setting.secret]


def by_name(setting: Setting) -> str:
    return setting.name


def test_every_field_has_a_setting() -> None:
    assert list(SETTINGS) == [field.name for field in fields(Settings)]


def test_flags_and_variables_are_unique() -> None:
    names = Counter(name for setting in SETTINGS.values() for name in (setting.flag, *setting.variables))

    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=by_name)
def test_help_is_one_line_with_a_period(setting: Setting) -> None:
    assert setting.help.endswith(".")
    assert "\n" not in setting.help


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=by_name)
def test_variables_do_not_collide_with_kubernetes(setting: Setting) -> None:
    # For a service named nomad-exporter, Kubernetes sets NOMAD_EXPORTER_PORT and similar variables in every pod.
    injected = ("NOMAD_EXPORTER_PORT", "NOMAD_EXPORTER_SERVICE_")

    assert [name for name in setting.variables if name.startswith(injected) or name.endswith("_PORT")] == []


@pytest.mark.parametrize("setting", [setting for setting in PUBLIC if setting.default], ids=by_name)
def test_default_is_valid(setting: Setting) -> None:
    assert setting.default
    setting.parse(setting.default)


@pytest.mark.parametrize("setting", [setting for setting in PUBLIC if not setting.switch], ids=by_name)
def test_setting_with_value_has_metavar(setting: Setting) -> None:
    assert setting.metavar.isupper()


def test_exporter_variable_precedes_nomad_variable() -> None:
    assert SETTINGS["address"].variables == ("NOMAD_EXPORTER_NOMAD_ADDRESS", "NOMAD_ADDR", "NOMAD_UNIX_ADDR")
    assert SETTINGS["max_age"].variables == ("NOMAD_EXPORTER_POLL_MAX_AGE",)


@pytest.mark.parametrize("setting", SECRETS, ids=by_name)
def test_secret_has_only_nomad_variable(setting: Setting) -> None:
    assert setting.variables == setting.nomad


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
def test_nomad_variables_are_supported(field: str, variable: str) -> None:
    assert SETTINGS[field].nomad[0] == variable


def test_repr_hides_secrets() -> None:
    hidden = [Secret(f"hidden-{number}") for number in range(3)]
    unset: dict[str, Any] = dict.fromkeys(SETTINGS)
    address = (Address("http", "nomad", 4646), hidden[0])
    settings = Settings(**{**unset, "address": address, "token": hidden[1], "http_auth": hidden[2]})

    assert "hidden-" not in f"{settings} {settings!r}"


@pytest.mark.parametrize("field", ["failure_threshold", "heartbeat_grace", "max_leader_contact", "max_apply_lag"])
def test_defaults_equal_default_thresholds(field: str) -> None:
    setting = SETTINGS[field]

    assert setting.section == "verdict"
    assert setting.default
    assert setting.parse(setting.default) == getattr(Thresholds(), field)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=by_name)
def test_setting_belongs_to_a_section(setting: Setting) -> None:
    assert setting.section in SECTIONS


def test_settings_without_effect_on_a_single_poll_are_not_in_check() -> None:
    assert {field for field, setting in SETTINGS.items() if not setting.in_check} == {
        *("interval", "health_interval", "max_age", "failure_threshold"),
        *("listen", "enable_lifecycle", "log_level", "log_format"),
    }
