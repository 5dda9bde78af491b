"""The management API: whether the exporter itself is healthy and ready."""

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.polling.store import Store
from nomad_exporter.web.http import Response, text

STALL_SECONDS = 10.0
"""Maximum age of the last heartbeat of the scheduler, which sends one every second."""


def healthy(store: Store[Rendered], now: Instant) -> Response:
    """Return 200 while the scheduler sends heartbeats, else 503; the state of the agents does not matter."""
    heartbeat = store.last_heartbeat
    if heartbeat is None or now.since(heartbeat) > STALL_SECONDS:
        return text(503, "scheduler is not running")
    return text(200, "healthy")


def ready(store: Store[Rendered]) -> Response:
    """Return 200 once health and self of every agent have been polled, successfully or not; until then 503.

    Only the agents configured at start count, so the exporter stays ready after a reload.
    """
    return text(503, f"agents not polled yet: {store.pending}") if store.pending else text(200, "ready")
