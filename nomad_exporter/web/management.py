"""The exporter's own probes: whether it lives, and whether it is ready to be scraped."""

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.polling.store import Store
from nomad_exporter.web.http import Response, text

STALL_SECONDS = 10.0
"""A schedule that beats every second and was silent for so long has stopped."""


def healthy(store: Store[Rendered], at: Instant) -> Response:
    """200 while the schedule beats; that we answer proves the rest. Nothing that an agent does turns it red."""
    beat = store.last_heartbeat
    if beat is None or at.since(beat) > STALL_SECONDS:
        return text(503, "the schedule does not run")
    return text(200, "healthy")


def ready(store: Store[Rendered]) -> Response:
    """200 once every agent of the start was asked for health and self, successfully or not; never red again."""
    return text(503, f"{store.pending} agents have not been asked yet") if store.pending else text(200, "ready")
