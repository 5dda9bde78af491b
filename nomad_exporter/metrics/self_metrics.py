"""The exporter's own metrics: its build, configuration, schedule and process.

This is the only module that imports prometheus_client.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from nomad_exporter import __version__
from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Format, Header, format_header, format_samples


class SelfMetrics:
    """The exporter's own metrics; each instance has its own registry.

    ``dropped_lines`` returns the number of lines of the log that were dropped.
    """

    def __init__(self, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_DroppedLines(dropped_lines))
        build = Gauge(
            "nomad_exporter_build_info",
            "Version of the exporter and of the Python that runs it.",
            ("version", "pythonversion"),
            registry=self._registry,
        )
        build.labels(__version__, platform.python_version()).set(1)
        self._skipped = Counter(
            "nomad_exporter_polls_skipped",
            "Polls skipped because the previous poll was late or had not ended.",
            registry=self._registry,
        )
        self._steps = Counter(
            "nomad_exporter_clock_steps", "Detected steps of the wall clock.", registry=self._registry
        )
        self._reload_successful = Gauge(
            "nomad_exporter_config_last_reload_successful",
            "Whether the last configuration reload succeeded.",
            registry=self._registry,
        )
        self._reload_time = Gauge(
            "nomad_exporter_config_last_reload_success_timestamp_seconds",
            "Time of the last successful configuration reload.",
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def count_skipped_polls(self, number: int) -> None:
        """Count polls that were skipped because the previous one was late or had not ended."""
        self._skipped.inc(number)

    def count_clock_step(self) -> None:
        """Count a step of the wall clock."""
        self._steps.inc()

    def record_reload(self, at: Instant | None) -> None:
        """Record a successful reload at this instant; None records a failed reload."""
        self._reload_successful.set(at is not None)
        if at:
            self._reload_time.set(at.wall)

    def page(self, format: Format) -> bytes:
        """Render all families, without the trailer of the format."""
        return b"".join(part for metric in self._registry.collect() for part in _family_parts(metric, format))


class _DroppedLines(Collector):
    """The number of dropped log lines, which the log counts itself."""

    def __init__(self, dropped_lines: Callable[[], int]) -> None:
        self._dropped_lines = dropped_lines

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "nomad_exporter_log_lines_dropped",
            "Log lines dropped because standard error could not be written.",
            value=self._dropped_lines(),
        )


def _family_parts(metric: Metric, format: Format) -> Iterator[bytes]:
    is_counter = metric.type == "counter"
    kind: Literal["gauge", "counter"] = "counter" if is_counter else "gauge"
    yield format_header(Header(metric.name + ("_total" if is_counter else ""), kind, metric.documentation), format)
    for sample in metric.samples:
        # Creation times of counters are not exported.
        if not sample.name.endswith("_created"):
            yield format_samples(sample.name, tuple(sample.labels), [(tuple(sample.labels.values()), sample.value)])
