"""What the pages are made from: stores with the readings that a test wants, and requests to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import Rendered, render_agent, render_page
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Health
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.snapshot import AnyReading, Reading
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.verdicts.evaluate import evaluate
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Request
from tests.support.playback import RecordedWire
from tests.support.recordings import situation

NOW = Instant(wall=1_795_500_000.0, monotonic=5_000.0)
"""When every reading of these helpers begins and, as it takes no time, ends."""


def agent(name: str = "a1") -> Agent:
    return Agent(name, Address("http", f"{name}.example.org", 4646))


def store_of(*readings: AnyReading, name: str = "a1") -> Store[Rendered]:
    """A store that watches one agent and has taken in ``readings`` of it."""
    watched = agent(name)
    store = Store((watched,), render_agent)
    for reading in readings:
        store.record(watched, reading)
    return store


def fleet(*names: str) -> Store[Rendered]:
    """A store that watches an agent of each name, none of which was asked yet."""
    return Store(map(agent, names), render_agent)


def told(source: Source, name: str, seconds: float = 4.0) -> AnyReading:
    """The reading of ``source`` that the recorded situation ``name`` gives to one who waits ``seconds``."""
    return poll(source, RecordedWire(situation(name)), lambda: NOW, seconds)


def health(outcome: Health) -> AnyReading:
    """A reading of ``health`` made by hand."""
    return Reading(Source.HEALTH, outcome, NOW, 0.0)


def failed(
    source: Source, reason: FailureReason = FailureReason.REFUSED, detail: str = "connection refused"
) -> AnyReading:
    """A reading of ``source`` that is no answer."""
    outcome: Any = Failure(reason, detail)
    return Reading(source, outcome, NOW, 0.0)


def get(target: str, **headers: str) -> Request:
    """A GET of a path and query; ``_`` in the name of a header stands for ``-``."""
    path, _, query = target.partition("?")
    return Request("GET", path, query, {name.replace("_", "-"): value for name, value in headers.items()})


def page_of(agents: Sequence[Entry[Rendered]], at: Instant, max_age: float, form: Format) -> bytes:
    """The page of agents that are the whole fleet, judged by the usual limits."""
    fleet = [kept.snapshot for kept in agents]
    return render_page(agents, evaluate(fleet, fleet, at, Thresholds(max_age=max_age)), at, max_age, form)
