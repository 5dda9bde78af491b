"""The management API: whether the exporter itself is healthy and ready, and its reload."""

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.server.http import HTTPError, Request, Response, text
from nomad_exporter.web.site import ReloadError, Site

STALL_SECONDS = 10.0
"""Maximum age of the last heartbeat of the scheduler, which sends one every second."""


def healthy(site: Site, _: Request, now: Instant) -> Response:
    """Return 200 while the scheduler sends heartbeats, else 503; the state of the agents does not matter."""
    heartbeat = site.store.last_heartbeat
    if heartbeat is None or now.since(heartbeat) > STALL_SECONDS:
        return text(503, "scheduler is not running")
    return text(200, "healthy")


def ready(site: Site, _: Request, __: Instant) -> Response:
    """Return 200 once health and self of every agent have been polled, successfully or not; until then 503.

    Only the agents configured at start count, so the exporter stays ready after a reload.
    """
    pending = site.store.pending
    return text(503, f"agents not polled yet: {pending}") if pending else text(200, "ready")


def reload(site: Site, _: Request, __: Instant) -> Response:
    """Reload the configuration. Raises HTTPError: 500 if that fails, 403 if it is disabled."""
    if site.reload is None:
        raise HTTPError(403, "reload over HTTP is disabled: start with --web.enable-lifecycle or send SIGHUP")
    try:
        site.reload()
    except ReloadError as error:
        raise HTTPError(500, f"reload failed, configuration unchanged: {error}") from None
    return text(200, "reloaded")
