"""The wiring: what a failed reload leaves unchanged."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from nomad_exporter.app import Exporter
from nomad_exporter.config.model import Config, ConfigError, DocumentError, build_config
from nomad_exporter.config.settings import Settings
from nomad_exporter.metrics.family import Format
from nomad_exporter.web.site import ReloadError
from tests.support.answers import AGENT
from tests.support.schedules import recorded_log
from tests.support.settings import DEFAULTS
from tests.support.waiting import eventually

CONFIG = build_config(Settings(**DEFAULTS), (AGENT,))
ERRORS = [
    DocumentError("fleet.yml:3: agents[0].adress: unknown key"),
    ConfigError("key_file", "requires {}", "cert_file"),
]


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Yield the records that the module logs."""
    with recorded_log("nomad_exporter.app") as records:
        yield records


def failing_exporter(error: Exception) -> Exporter:
    """Return an exporter, not started, whose configuration has an ``error`` since its start."""

    def load_config() -> Config:
        raise error

    return Exporter(CONFIG, load_config)


def metrics(exporter: Exporter) -> str:
    return exporter.site.self_metrics.page(Format.TEXT).decode()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_failed_reload_raises_one_line_and_changes_nothing(error: Exception) -> None:
    exporter = failing_exporter(error)
    before = exporter.site

    with pytest.raises(ReloadError) as raised:
        exporter.reload()

    assert str(raised.value) == str(error)
    assert exporter.site is before
    assert "nomad_exporter_config_last_reload_successful 0" in metrics(exporter)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_failed_reload_by_signal_is_one_log_line(error: Exception, records: list[logging.LogRecord]) -> None:
    failing_exporter(error).request_reload()
    eventually(lambda: records)

    (record,) = records
    assert (record.levelname, record.getMessage()) == ("ERROR", "reload failed, keeping the current configuration")
    assert {key: str(value) for key, value in vars(record)["fields"].items()} == {"error": str(error)}


def test_reload_is_logged_and_recorded(records: list[logging.LogRecord]) -> None:
    exporter = Exporter(CONFIG, lambda: CONFIG)
    exporter.reload()

    assert [(record.getMessage(), vars(record)["fields"]) for record in records] == [("reloaded", {"agents": 1})]
    assert "nomad_exporter_config_last_reload_successful 1" in metrics(exporter)
