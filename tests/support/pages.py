"""Stores with the readings that a test needs, and requests to the pages made from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.render import Rendered, render_agent, render_page
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Health
from nomad_exporter.nomad.sources import HEALTH, Source
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.snapshot import Reading
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.server.http import Request, Response
from nomad_exporter.verdicts.evaluate import evaluate
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web import routes
from nomad_exporter.web.site import Site
from tests.support.recordings import situation
from tests.support.replay import RecordedWire

NOW = Instant(wall=1_795_500_000.0, monotonic=5_000.0)
"""The instant at which every reading of these helpers begins and ends."""


def handle(site: Site, request: Request, now: Instant) -> Response:
    """Return the response to ``request``."""
    return asyncio.run(routes.handle(site, request, now))


def agent(name: str = "a1") -> Agent:
    return Agent(name, Address("http", f"{name}.example.org", 4646))


def store_of(*readings: Reading[Any], name: str = "a1") -> Store[Rendered]:
    """Return a store that monitors one agent and has recorded ``readings`` of it."""
    monitored = agent(name)
    store = Store((monitored,), render_agent)
    for reading in readings:
        store.record(monitored, reading)
    return store


def fleet(*names: str) -> Store[Rendered]:
    """Return a store that monitors an agent of each name, none of which has been polled."""
    return Store(map(agent, names), render_agent)


def site_of(store: Store[Rendered], thresholds: Thresholds | None = None) -> Site:
    """Return a site of ``store``, by default with the default thresholds."""
    return Site(store, SelfMetrics(), thresholds or Thresholds())


def recorded(source: Source[Any], name: str, seconds: float = 4.0) -> Reading[Any]:
    """Return the reading of ``source`` in the recorded situation ``name``, with a timeout in seconds."""
    return poll(source, RecordedWire(situation(name)), lambda: NOW, seconds)


def health(answer: Health) -> Reading[Any]:
    """Return a reading of ``health`` with this answer."""
    return Reading(HEALTH, answer, NOW, 0.0)


def failed(
    source: Source[Any], reason: FailureReason = FailureReason.REFUSED, detail: str = "connection refused"
) -> Reading[Any]:
    """Return a failed reading of ``source``."""
    outcome: Any = Failure(reason, detail)
    return Reading(source, outcome, NOW, 0.0)


def get(target: str, **headers: str) -> Request:
    """Return a GET request for a path and query; ``_`` in the name of a header means ``-``."""
    path, _, query = target.partition("?")
    return Request("GET", path, query, {name.replace("_", "-"): value for name, value in headers.items()})


def page_of(entries: Sequence[Entry[Rendered]], at: Instant, max_age: float, format: Format) -> bytes:
    """Return the page of a fleet of exactly these agents, without clusters, evaluated with the default thresholds."""
    fleet = [entry.snapshot for entry in entries]
    return render_page(entries, evaluate(fleet, fleet, at, Thresholds(max_age=max_age)), [], at, max_age, format)
