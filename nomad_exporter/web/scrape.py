"""``/metrics``: the series of all or of some agents, in the format that the scraper prefers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.render import render_page
from nomad_exporter.server.http import Request, Response
from nomad_exporter.web.site import Site, evaluate_agents, evaluate_clusters, select_agents

MAX_CHOICES = 50
"""How many choices of a header are read, and how many parameters of a choice; Prometheus sends about five."""


def scrape(site: Site, request: Request, now: Instant) -> Response:
    """Return the series of all agents, of their clusters and of the exporter; with ``?agent=NAME`` of those agents."""
    entries = select_agents(site, request)
    preferred = preferred_format(request.headers.get("accept", ""))
    evaluations = evaluate_agents(site, entries, now)
    is_whole = not request.query_params.get("agent")
    clusters = [each for each in evaluate_clusters(site, evaluations, now) if each.is_polled] if is_whole else []
    agents = render_page(entries, evaluations, clusters, now, site.thresholds.max_age, preferred)
    exporter = site.self_metrics.page(preferred) if is_whole else b""
    body = agents + exporter + preferred.trailer
    response = Response(200, body, preferred.value, {"Vary": "Accept, Accept-Encoding"})
    return _compressed(response) if accepts_gzip(request.headers.get("accept-encoding", "")) else response


def _compressed(response: Response) -> Response:
    # Level 1 already shrinks an exposition to a tenth, in a fifth of the time of level 9.
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return replace(response, body=body).with_header("Content-Encoding", "gzip")


def preferred_format(accept: str) -> Format:
    """Return OpenMetrics 1.0.0 if the ``Accept`` header ranks it at least as high as text 0.0.4, else text."""
    openmetrics, plain = 0.0, 0.0
    for kind, parameters, quality in _preferences(accept):
        if kind == "application/openmetrics-text" and parameters.get("version") == "1.0.0":
            openmetrics = max(openmetrics, quality)
        elif kind == "text/plain" and parameters.get("version", "0.0.4") == "0.0.4":
            plain = max(plain, quality)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= plain else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the ``Accept-Encoding`` header allows gzip."""
    qualities = {kind: quality for kind, _, quality in _preferences(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _preferences(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield name, parameters and quality (0 to 1) of each choice in an ``Accept`` or ``Accept-Encoding`` header."""
    for choice in header.lower().split(",", MAX_CHOICES)[:MAX_CHOICES]:
        kind, *rest = (part.strip() for part in choice.split(";", MAX_CHOICES)[:MAX_CHOICES])
        parameters = {name.strip(): value.strip('" ') for name, _, value in (part.partition("=") for part in rest)}
        yield kind, parameters, _quality(parameters.pop("q", "1"))


def _quality(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
