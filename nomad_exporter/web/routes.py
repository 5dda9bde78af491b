"""The routing table: every path that is served, with the short handlers of the paths about the exporter itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from nomad_exporter.clock import Clock, Instant
from nomad_exporter.server.http import Application, HTTPError, Request, Response, request_response, text
from nomad_exporter.web.health import bridge, quorum, verdict
from nomad_exporter.web.scrape import scrape
from nomad_exporter.web.site import ReloadError, Route, Site
from nomad_exporter.web.status import status

MAX_PARAMETERS = 1001
"""Maximum number of parameters in a query."""

RELOAD_SECONDS = 10.0
"""How long a client waits for the end of a reload."""


def healthy(site: Site, _: Request, now: Instant) -> Response:
    """Return 200 while polls start or end as often as they are due, else 503; their outcome does not matter."""
    if site.store.entries() and now.since(site.store.last_activity) > site.thresholds.stall_timeout:
        return text(503, "no poll has started or ended for too long")
    return text(200, "healthy")


def ready(site: Site, _: Request, __: Instant) -> Response:
    """Return 200 once health and self of every agent have been polled, successfully or not; until then 503.

    Only the agents configured at start count, so the exporter stays ready after a reload.
    """
    pending = site.store.pending
    return text(503, f"agents not polled yet: {pending}") if pending else text(200, "ready")


async def reload(site: Site, _: Request, __: Instant) -> Response:
    """Reload the configuration. Raises HTTPError: 500 if that fails, 503 if it takes long, 403 if it is disabled."""
    if site.reload is None:
        raise HTTPError(403, "reload over HTTP is disabled: start with --web.enable-lifecycle or send SIGHUP")
    try:
        # The reload goes on without the client.
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(site.reload())), RELOAD_SECONDS)
    except TimeoutError:
        raise HTTPError(503, f"reload has not ended after {RELOAD_SECONDS:g}s, and goes on; see the log") from None
    except ReloadError as error:
        raise HTTPError(500, f"reload failed, configuration unchanged: {error}") from None
    return text(200, "reloaded")


_BRIDGE = "what Nomad would answer to its own health request, without delay"

_LINKED = (
    Route(
        path="/metrics",
        handler=scrape,
        summary="all metrics; with ?agent, those of the named agents",
        blocking=True,
        title="Metrics",
        per_agent=True,
    ),
    Route(path="/health", handler=bridge, summary=_BRIDGE, per_agent=True),
    Route(path="/health/live", handler=verdict, summary="the verdict live", per_agent=True),
    Route(path="/health/ready", handler=verdict, summary="the verdict ready", per_agent=True),
    Route(
        path="/health/quorum",
        handler=quorum,
        summary="the verdict quorum; without ?agent and with several agents, about each cluster or those of ?cluster",
        per_agent=True,
    ),
    Route(
        path="/-/healthy",
        handler=healthy,
        summary="200 while polls start and end, whatever their outcome; for the exporter's liveness probe",
        title="Exporter healthy",
    ),
    Route(
        path="/-/ready",
        handler=ready,
        summary="200 once every agent has been polled, successfully or not",
        title="Exporter ready",
    ),
)
"""The routes that the status page links."""

ROUTES = (
    Route(
        path="/",
        handler=partial(status, _LINKED),
        summary="the status page: HTML for browsers, text for curl",
        blocking=True,
    ),
    *_LINKED,
    Route(path="/v1/agent/health", handler=bridge, summary=_BRIDGE),
    Route(
        path="/-/reload",
        handler=reload,
        summary="reload the configuration, if --web.enable-lifecycle is set",
        methods=("POST",),
    ),
)


def application(site: Callable[[], Site], clock: Clock) -> Application:
    """Return the ASGI application; it calls ``site`` for each request, as a reload replaces the site."""

    async def respond(request: Request) -> Response:
        return await handle(site(), request, clock())

    return request_response(respond)


async def handle(site: Site, request: Request, now: Instant) -> Response:
    """Return the response to ``request``; a HEAD request gets the response to GET, body included."""
    try:
        route = _route(request)
        call = partial(route.handler, site, request, now)
        # A slow page on the event loop would delay health probes.
        response = await asyncio.to_thread(call) if route.blocking else call()
        return await response if isinstance(response, Awaitable) else response
    except HTTPError as error:
        return text(error.status_code, error.detail, error.headers)


def _route(request: Request) -> Route:
    """Return the route of a request. Raises HTTPError if there is none, or if it does not allow the request."""
    route = next((route for route in ROUTES if route.path == request.path), None)
    if route is None:
        raise HTTPError(404, f"not found; paths: {', '.join(route.path for route in ROUTES)}")
    if request.method not in route.methods:
        raise HTTPError(405, "method not allowed", {"Allow": ", ".join(route.methods)})
    parameters = request.query.count("&") + 1
    if parameters > MAX_PARAMETERS:
        raise HTTPError(400, f"query must have at most {MAX_PARAMETERS} parameters (got {parameters})")
    return route
