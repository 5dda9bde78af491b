"""The routing table: every path that is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.bridge import bridge
from nomad_exporter.web.http import Request, Response, text
from nomad_exporter.web.management import healthy, ready
from nomad_exporter.web.scrape import scrape
from nomad_exporter.web.status import status
from nomad_exporter.web.verdicts import verdict

READ = ("GET", "HEAD")

MAX_PARAMETERS = 1001
"""Maximum number of parameters in a query."""

Page = Callable[["Site", Request, Instant], Response]


class ReloadError(Exception):
    """A failed reload; the message is one line, and the configuration is unchanged."""


@dataclass(frozen=True, slots=True)
class Site:
    """The data that the pages are built from.

    ``reload`` reloads the configuration, or raises ReloadError; it is None if reloading over HTTP is disabled.
    """

    store: Store[Rendered]
    self_metrics: SelfMetrics
    thresholds: Thresholds
    reload: Callable[[], None] | None = None


def _bridge(site: Site, request: Request, now: Instant) -> Response:
    return bridge(site.store, request, now, site.thresholds)


def _verdict(question: Question) -> Page:
    return lambda site, request, now: verdict(site.store, request, now, site.thresholds, question)


def _reload(site: Site, _: Request, __: Instant) -> Response:
    if site.reload is None:
        return text(403, "reload over HTTP is disabled: start with --web.enable-lifecycle or send SIGHUP")
    try:
        site.reload()
    except ReloadError as error:
        return text(500, f"reload failed, configuration unchanged: {error}")
    return text(200, "reloaded")


@dataclass(frozen=True, slots=True)
class Route:
    """A page and the HTTP methods that it allows."""

    page: Page
    methods: tuple[str, ...] = READ


ROUTES: Mapping[str, Route] = {
    "/": Route(lambda site, request, now: status(site.store, request, now, site.thresholds)),
    "/metrics": Route(lambda site, request, now: scrape(site.store, site.self_metrics, request, now, site.thresholds)),
    "/health": Route(_bridge),
    **{f"/health/{question}": Route(_verdict(question)) for question in Question},
    "/v1/agent/health": Route(_bridge),
    "/-/healthy": Route(lambda site, _, now: healthy(site.store, now)),
    "/-/ready": Route(lambda site, _, __: ready(site.store)),
    "/-/reload": Route(_reload, ("POST",)),
}


def handle(site: Site, request: Request, now: Instant) -> Response:
    """Return the response to ``request``; a HEAD request gets the response to GET, body included."""
    route = ROUTES.get(request.path)
    if route is None:
        return text(404, "not found")
    if request.method not in route.methods:
        return text(405, "method not allowed").with_header("Allow", ", ".join(route.methods))
    parameters = request.query.count("&") + 1
    if parameters > MAX_PARAMETERS:
        return text(400, f"query must have at most {MAX_PARAMETERS} parameters (got {parameters})")
    return route.page(site, request, now)
