"""Every path that is served, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.drawing import Drawing
from nomad_exporter.metrics.ourselves import Ourselves
from nomad_exporter.watch.store import Store
from nomad_exporter.web.bridge import bridge
from nomad_exporter.web.http import Request, Response, text
from nomad_exporter.web.ourselves import healthy, ready
from nomad_exporter.web.scrape import scrape
from nomad_exporter.web.status import status

METHODS = ("GET", "HEAD")

PARAMETERS = 1000
"""More are not read: nobody names so many agents."""

Page = Callable[["Site", Request, Instant], Response]


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made from. ``max_age`` and ``health_interval`` are in seconds."""

    store: Store[Drawing]
    ourselves: Ourselves
    max_age: float
    health_interval: float


def _bridge(site: Site, request: Request, at: Instant) -> Response:
    return bridge(site.store, request, at, site.health_interval)


ROUTES: Mapping[str, Page] = {
    "/": lambda site, _, at: status(site.store, at),
    "/metrics": lambda site, request, at: scrape(site.store, site.ourselves, request, at, site.max_age),
    "/health": _bridge,
    "/v1/agent/health": _bridge,
    "/-/healthy": lambda site, _, at: healthy(site.store, at),
    "/-/ready": lambda site, _, __: ready(site.store),
}


def answer(site: Site, request: Request, at: Instant) -> Response:
    """The response to ``request`` at this instant; to HEAD that of GET without its body."""
    page = ROUTES.get(request.path)
    if page is None:
        return text(404, "not found")
    if request.method not in METHODS:
        return text(405, "method not allowed").with_header("Allow", ", ".join(METHODS))
    if request.query.count("&") > PARAMETERS:
        return text(400, "the query has too many parameters")
    return page(site, request, at)
