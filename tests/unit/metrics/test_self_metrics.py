"""The exporter's own metrics: build, schedule and process."""

from __future__ import annotations

import platform
import re

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter import __version__
from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.self_metrics import SelfMetrics


def read(self_metrics: SelfMetrics, format: Format) -> dict[str, Metric]:
    text = (self_metrics.page(format) + format.trailer).decode()
    return {family.name: family for family in (read_openmetrics if format.trailer else read_text)(text)}


def value(self_metrics: SelfMetrics, name: str) -> float:
    """Return the value of a series without labels."""
    [text] = re.findall(rf"^{name} (\S+)$", self_metrics.page(Format.TEXT).decode(), re.MULTILINE)
    return float(text)


def test_build_info_has_the_versions() -> None:
    line = f'nomad_exporter_build_info{{version="{__version__}",pythonversion="{platform.python_version()}"}} 1.0'

    assert line in SelfMetrics().page(Format.TEXT).decode().splitlines()


def test_skipped_polls_are_counted_from_zero() -> None:
    self_metrics = SelfMetrics()
    before = value(self_metrics, "nomad_exporter_polls_skipped_total")
    self_metrics.count_skipped_polls(1)
    self_metrics.count_skipped_polls(1)

    assert (before, value(self_metrics, "nomad_exporter_polls_skipped_total")) == (0, 2)


def test_clock_steps_are_counted_from_zero() -> None:
    self_metrics = SelfMetrics()
    before = value(self_metrics, "nomad_exporter_clock_steps_total")
    self_metrics.count_clock_step()

    assert (before, value(self_metrics, "nomad_exporter_clock_steps_total")) == (0, 1)


def test_instances_do_not_share_counts() -> None:
    SelfMetrics().count_skipped_polls(1)

    assert value(SelfMetrics(), "nomad_exporter_polls_skipped_total") == 0


@pytest.mark.parametrize("format", Format)
def test_process_metrics_are_exported(format: Format) -> None:
    families = read(SelfMetrics(), format)

    assert {"process_cpu_seconds", "process_open_fds", "python_info", "python_gc_collections"} <= families.keys()
    assert families["process_resident_memory_bytes"].samples[0].value > 0


@pytest.mark.parametrize("format", Format)
def test_no_creation_times_are_exported(format: Format) -> None:
    assert b"_created" not in SelfMetrics().page(format)


def test_both_formats_have_the_same_families() -> None:
    self_metrics = SelfMetrics()
    text, openmetrics = (
        {
            (name, family.type, family.documentation, sample.name, *sample.labels.items())
            for name, family in read(self_metrics, each).items()
            for sample in family.samples
        }
        for each in Format
    )

    assert text == openmetrics
