"""The exporter's own metrics: which build it is, what its schedule went through, and how its process does."""

from __future__ import annotations

import platform
import re

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter import __version__
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.self_metrics import SelfMetrics


def read(ourselves: SelfMetrics, form: Format) -> dict[str, Metric]:
    text = (ourselves.page(form) + form.end).decode()
    return {family.name: family for family in (read_openmetrics if form.end else read_text)(text)}


def value(ourselves: SelfMetrics, name: str) -> float:
    """The value of a series without labels."""
    [found] = re.findall(rf"^{name} (\S+)$", ourselves.page(Format.TEXT).decode(), re.MULTILINE)
    return float(found)


def test_the_build_is_told() -> None:
    line = f'nomad_exporter_build_info{{version="{__version__}",pythonversion="{platform.python_version()}"}} 1.0'

    assert line in SelfMetrics().page(Format.TEXT).decode().splitlines()


def test_rounds_that_were_left_out_are_counted_from_zero() -> None:
    ourselves = SelfMetrics()
    before = value(ourselves, "nomad_exporter_polls_skipped_total")
    ourselves.count_skipped_poll()
    ourselves.count_skipped_poll()

    assert (before, value(ourselves, "nomad_exporter_polls_skipped_total")) == (0, 2)


def test_steps_of_the_clock_are_counted_from_zero() -> None:
    ourselves = SelfMetrics()
    before = value(ourselves, "nomad_exporter_clock_steps_total")
    ourselves.count_clock_step()

    assert (before, value(ourselves, "nomad_exporter_clock_steps_total")) == (0, 1)


def test_each_exporter_counts_for_itself() -> None:
    SelfMetrics().count_skipped_poll()

    assert value(SelfMetrics(), "nomad_exporter_polls_skipped_total") == 0


@pytest.mark.parametrize("form", Format)
def test_the_process_is_watched(form: Format) -> None:
    families = read(SelfMetrics(), form)

    assert {"process_cpu_seconds", "process_open_fds", "python_info", "python_gc_collections"} <= families.keys()
    assert families["process_resident_memory_bytes"].samples[0].value > 0


@pytest.mark.parametrize("form", Format)
def test_when_a_counter_was_made_is_not_told(form: Format) -> None:
    assert b"_created" not in SelfMetrics().page(form)


def test_both_formats_are_read_as_the_same_families() -> None:
    ourselves = SelfMetrics()
    text, openmetrics = (
        {
            (name, family.type, family.documentation, found.name, *found.labels.items())
            for name, family in read(ourselves, form).items()
            for found in family.samples
        }
        for form in Format
    )

    assert text == openmetrics
