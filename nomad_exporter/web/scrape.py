"""``/metrics``: the page of all agents, or of those named, in the format that the scraper prefers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import Rendered, render_page
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Request, Response
from nomad_exporter.web.selection import evaluate_agents, select_agents


def scrape(
    store: Store[Rendered], ourselves: SelfMetrics, request: Request, at: Instant, thresholds: Thresholds
) -> Response:
    """The metrics; with ``?agent=`` the series of those agents only, without the exporter's own."""
    agents = select_agents(store, request)
    if isinstance(agents, Response):
        return agents
    form = preferred_format(request.headers.get("accept", ""))
    own = b"" if request.parameters.get("agent") else ourselves.page(form)
    body = (
        render_page(agents, evaluate_agents(store, agents, at, thresholds), at, thresholds.max_age, form)
        + own
        + form.end
    )
    response = Response(200, body, form.value, {"Vary": "Accept, Accept-Encoding"})
    return _compressed(response) if accepts_gzip(request.headers.get("accept-encoding", "")) else response


def _compressed(response: Response) -> Response:
    """Level 1: a tenth of the size already, for a fifth of the time of level 9."""
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return Response(response.status, body, response.content_type, {**response.headers, "Content-Encoding": "gzip"})


def preferred_format(accept: str) -> Format:
    """OpenMetrics 1.0.0 where the scraper likes it at least as well as plain text; else text 0.0.4, which all read."""
    best, likes_text = 0.0, 0.0
    for kind, parameters, quality in _preferences(accept):
        if kind == "application/openmetrics-text" and parameters.get("version") == "1.0.0":
            best = max(best, quality)
        elif kind == "text/plain" and parameters.get("version", "0.0.4") == "0.0.4":
            likes_text = max(likes_text, quality)
    return Format.OPENMETRICS if best > 0 and best >= likes_text else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a gzip body may be sent."""
    qualities = {kind: quality for kind, _, quality in _preferences(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _preferences(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each choice of an ``Accept`` header: its name, its parameters, and how well it is liked, from 0 to 1."""
    for choice in header.lower().split(","):
        kind, *rest = (part.strip() for part in choice.split(";"))
        parameters = {name.strip(): value.strip('" ') for name, _, value in (part.partition("=") for part in rest)}
        yield kind, parameters, _quality(parameters.pop("q", "1"))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
