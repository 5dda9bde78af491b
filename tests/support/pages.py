"""What the pages are made from: stores with the readings that a test wants, and requests to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.judge.judging import judge_all
from nomad_exporter.judge.limits import Limits
from nomad_exporter.metrics.drawing import Drawing, draw
from nomad_exporter.metrics.lines import Format
from nomad_exporter.metrics.page import page
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.answers import Health
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.poll import ask
from nomad_exporter.watch.snapshot import AnyReading, Reading
from nomad_exporter.watch.store import Kept, Store
from nomad_exporter.web.http import Request
from tests.support.playback import RecordedWire
from tests.support.recordings import situation

NOW = Instant(wall=1_795_500_000.0, monotonic=5_000.0)
"""When every reading of these helpers begins and, as it takes no time, ends."""


def agent(name: str = "a1") -> Agent:
    return Agent(name, Address("http", f"{name}.example.org", 4646))


def store_of(*readings: AnyReading, name: str = "a1") -> Store[Drawing]:
    """A store that watches one agent and has taken in ``readings`` of it."""
    watched = agent(name)
    store = Store((watched,), draw)
    for reading in readings:
        store.record(watched, reading)
    return store


def fleet(*names: str) -> Store[Drawing]:
    """A store that watches an agent of each name, none of which was asked yet."""
    return Store(map(agent, names), draw)


def told(source: Source, name: str, seconds: float = 4.0) -> AnyReading:
    """The reading of ``source`` that the recorded situation ``name`` gives to one who waits ``seconds``."""
    return ask(source, RecordedWire(situation(name)), lambda: NOW, seconds)


def health(outcome: Health) -> AnyReading:
    """A reading of ``health`` made by hand."""
    return Reading(Source.HEALTH, outcome, NOW, 0.0)


def failed(source: Source, reason: Reason = Reason.REFUSED, detail: str = "connection refused") -> AnyReading:
    """A reading of ``source`` that is no answer."""
    outcome: Any = Failure(reason, detail)
    return Reading(source, outcome, NOW, 0.0)


def get(target: str, **headers: str) -> Request:
    """A GET of a path and query; ``_`` in the name of a header stands for ``-``."""
    path, _, query = target.partition("?")
    return Request("GET", path, query, {name.replace("_", "-"): value for name, value in headers.items()})


def page_of(agents: Sequence[Kept[Drawing]], at: Instant, max_age: float, form: Format) -> bytes:
    """The page of agents that are the whole fleet, judged by the usual limits."""
    fleet = [kept.snapshot for kept in agents]
    return page(agents, judge_all(fleet, fleet, at, Limits(max_age=max_age)), at, max_age, form)
