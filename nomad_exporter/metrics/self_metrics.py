"""The exporter's own metrics: its build, its process and what its schedule went through.

This is the only module that knows prometheus_client.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from nomad_exporter import __version__
from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format, format_header, format_samples
from nomad_exporter.metrics.family import Header


class SelfMetrics:
    """The exporter's own metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        build = Gauge(
            "nomad_exporter_build_info",
            "The exporter's version and the Python that runs it.",
            ("version", "pythonversion"),
            registry=self._registry,
        )
        build.labels(__version__, platform.python_version()).set(1)
        self._skipped = Counter(
            "nomad_exporter_polls_skipped",
            "Rounds that were left out because the one before had not ended.",
            registry=self._registry,
        )
        self._steps = Counter(
            "nomad_exporter_clock_steps", "Steps of the wall clock that were noticed.", registry=self._registry
        )
        self._reloaded = Gauge(
            "nomad_exporter_config_last_reload_successful",
            "Whether the configuration could be read when it was read last.",
            registry=self._registry,
        )
        self._reloaded_at = Gauge(
            "nomad_exporter_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read.",
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def count_skipped_poll(self) -> None:
        """A round was left out."""
        self._skipped.inc()

    def count_clock_step(self) -> None:
        """The wall clock stepped."""
        self._steps.inc()

    def record_reload(self, at: Instant | None) -> None:
        """The configuration was read at this instant; with None, it could not be read."""
        self._reloaded.set(at is not None)
        if at:
            self._reloaded_at.set(at.wall)

    def page(self, form: Format) -> bytes:
        """The series, without the end mark of a page."""
        return b"".join(chunk for metric in self._registry.collect() for chunk in _family(metric, form))


def _family(metric: Metric, form: Format) -> Iterator[bytes]:
    """A family of prometheus_client's; what it made of a counter's birth (``_created``) is left out, as by default."""
    counter = metric.type == "counter"
    kind: Literal["gauge", "counter"] = "counter" if counter else "gauge"
    yield format_header(Header(metric.name + ("_total" if counter else ""), kind, metric.documentation), form)
    for sample in metric.samples:
        if not sample.name.endswith("_created"):
            yield format_samples(sample.name, tuple(sample.labels), [(tuple(sample.labels.values()), sample.value)])
