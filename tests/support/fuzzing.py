"""The property that fuzzing checks: any response of an agent results in a valid page or in a classified failure."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Reply, Source
from nomad_exporter.nomad.sources.health import STALE_PATH
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.site import Site
from tests.support.answers import AGENT, FakeWire, self_body
from tests.support.pages import get, handle, page_of
from tests.support.polls import poll_wanted
from tests.support.recordings import situations
from tests.support.replay import ADDRESS, AT, MAX_AGE, TIMEOUT

PATHS = {source: (source.path,) for source in SOURCES} | {HEALTH: (HEALTH.path, STALE_PATH)}

STATUSES = (200, 500, 204, 301, 400, 401, 403, 404, 429, 501)

_DEFAULT = {
    **{source.path: Reply(404, b"") for source in SOURCES},
    SELF.path: Reply(200, self_body({"nomad": {"leader": "true"}, "raft": {"term": "7", "new": "1"}, "client": {}})),
    MEMBERS.path: Reply(200, b'{"Members":[{"Name":"m","Status":"alive"}]}'),
    **dict.fromkeys(
        PATHS[HEALTH], Reply(200, b'{"server":{"ok":true,"message":"ok"},"client":{"ok":true,"message":"ok"}}')
    ),
    AUTOPILOT.path: Reply(200, b'{"Healthy":true,"Servers":[{"ID":"i","Name":"m","Healthy":true}]}'),
}
"""Minimal replies of a leader with both roles and one unknown stat. Small pages allow more inputs per second."""

_SELF_METRICS = SelfMetrics()

Series = Counter[tuple[str, frozenset[tuple[str, str]], str]]


@cache
def bodies(source: Source[Any]) -> tuple[bytes, ...]:
    """Return all recorded bodies of ``source`` and some minimal ones."""
    recorded = {
        situation.answers[path].body
        for situation in situations()
        for path in PATHS[source]
        if path in situation.answers
    }
    return tuple(
        sorted(
            {
                b"",
                b"{}",
                b"null",
                b"[]",
                b'{"stats":{"nomad":{},"client":{}}}',
                b'{"Members":[]}',
                b'{"Healthy":true}',
                *recorded,
            }
        )
    )


def outcome(source: Source[Any], reply: Reply) -> FailureReason | None:
    """Return the reason why ``reply`` is a failed poll of ``source``; None if it can be decoded.

    Raise AssertionError, or any other exception, if the property is violated. The agent is polled once, with healthy
    replies to its other sources, and is rendered beside a healthy agent on every page.
    """
    store = _poll(AGENT, {**_DEFAULT, **dict.fromkeys(PATHS[source], reply)})
    entries = store.entries()
    _check_page(lambda form: page_of((*_other_entries(), *entries), AT, MAX_AGE, form) + form.trailer)
    site = Site(store, _SELF_METRICS, Thresholds(TIMEOUT, MAX_AGE))
    assert handle(site, get("/"), AT).status_code == 200
    assert handle(site, get("/health"), AT).status_code in (200, 500, 503)
    state = entries[0].snapshot[source]
    assert state.failure or state.answer, "the source was not polled"
    return state.failure.reason if state.failure else None


def _poll(agent: Agent, replies: Mapping[str, Reply]) -> Store[Rendered]:
    store = Store((agent,), render_agent)
    poller = Poller(
        store=store,
        wires={agent.name: FakeWire(defaultdict(lambda: Reply(404, b""), replies))},
        clock=lambda: AT,
        seconds=TIMEOUT,
        sources=SOURCES,
        on_changes=lambda *_: None,
    )
    poll_wanted(poller, agent)
    return store


@cache
def _other_entries() -> tuple[Entry[Rendered], ...]:
    return _poll(Agent("beside", ADDRESS), _DEFAULT).entries()


@cache
def _other_series() -> Series:
    return _parse(parse_text, page_of(_other_entries(), AT, MAX_AGE, Format.TEXT))


def _check_page(render: Callable[[Format], bytes]) -> None:
    """Check that both formats have the same series: unique, finite, and those of the other agent unchanged."""
    text = _parse(parse_text, render(Format.TEXT))
    assert text == _parse(parse_openmetrics, render(Format.OPENMETRICS)), "the formats differ"
    counts = Counter((name, labels) for name, labels, _ in text.elements())
    assert set(counts.values()) == {1}, f"duplicate series: {counts.most_common(1)}"
    assert text >= _other_series(), "the series of another agent have changed"


def _parse(parser: Callable[[str], Iterable[Metric]], body: bytes) -> Series:
    return Counter(
        (sample.name, frozenset(sample.labels.items()), _format_finite(sample.value))
        for family in parser(body.decode())
        for sample in family.samples
    )


def _format_finite(value: float) -> str:
    assert abs(value) <= sys.float_info.max, "a value that Prometheus cannot parse, or that has no meaning"
    return repr(value)
