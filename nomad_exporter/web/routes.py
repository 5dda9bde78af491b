"""Every path that is served, in one table."""

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

PARAMETERS = 1000
"""More are not read: nobody names so many agents."""

Page = Callable[["Site", Request, Instant], Response]


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made from.

    ``reload`` reads the configuration again and gives, in one line, what is wrong with it; None where that is not
    allowed from here.
    """

    store: Store[Rendered]
    self_metrics: SelfMetrics
    thresholds: Thresholds
    reload: Callable[[], str | None] | None = None


def _bridge(site: Site, request: Request, at: Instant) -> Response:
    return bridge(site.store, request, at, site.thresholds)


def _verdict(question: Question) -> Page:
    return lambda site, request, at: verdict(site.store, request, at, site.thresholds, question)


def _reload(site: Site, _: Request, __: Instant) -> Response:
    if site.reload is None:
        return text(403, "not allowed: start with --web.enable-lifecycle, or send SIGHUP")
    fault = site.reload()
    return text(500, f"nothing has changed: {fault}") if fault else text(200, "reloaded")


@dataclass(frozen=True, slots=True)
class Route:
    """A page, and the methods that it may be asked with."""

    page: Page
    methods: tuple[str, ...] = READ


ROUTES: Mapping[str, Route] = {
    "/": Route(lambda site, request, at: status(site.store, request, at, site.thresholds)),
    "/metrics": Route(lambda site, request, at: scrape(site.store, site.self_metrics, request, at, site.thresholds)),
    "/health": Route(_bridge),
    **{f"/health/{question}": Route(_verdict(question)) for question in Question},
    "/v1/agent/health": Route(_bridge),
    "/-/healthy": Route(lambda site, _, at: healthy(site.store, at)),
    "/-/ready": Route(lambda site, _, __: ready(site.store)),
    "/-/reload": Route(_reload, ("POST",)),
}


def handle(site: Site, request: Request, at: Instant) -> Response:
    """The response to ``request`` at this instant; to HEAD that of GET without its body."""
    route = ROUTES.get(request.path)
    if route is None:
        return text(404, "not found")
    if request.method not in route.methods:
        return text(405, "method not allowed").with_header("Allow", ", ".join(route.methods))
    if request.query.count("&") > PARAMETERS:
        return text(400, "the query has too many parameters")
    return route.page(site, request, at)
