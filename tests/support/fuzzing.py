"""The promise under fuzz: any bytes of an agent give a page that all can read, or a failure with a name."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.routes import handle
from nomad_exporter.web.site import Site
from tests.support.answers import AGENT, FakeWire, self_body
from tests.support.pages import get, page_of
from tests.support.recordings import situations
from tests.support.replay import ADDRESS, AT, MAX_AGE, TIMEOUT

PATHS = {
    Source.SELF: (SELF_PATH,),
    Source.MEMBERS: (MEMBERS_PATH,),
    Source.HEALTH: (HEALTH_PATH, STALE_HEALTH_PATH),
    Source.AUTOPILOT: (AUTOPILOT_PATH,),
}

STATUSES = (200, 500, 204, 301, 400, 401, 403, 404, 429, 501)

_DEFAULT = {
    SELF_PATH: Reply(200, self_body({"nomad": {"leader": "true"}, "raft": {"term": "7", "new": "1"}})),
    MEMBERS_PATH: Reply(200, b'{"Members":[{"Name":"m","Status":"alive"}]}'),
    **dict.fromkeys(PATHS[Source.HEALTH], Reply(200, b'{"server":{"ok":true,"message":"ok"}}')),
    AUTOPILOT_PATH: Reply(200, b'{"Healthy":true,"Servers":[{"ID":"i","Name":"m","Healthy":true}]}'),
}
"""The least that a well leader says, with a stat that is unknown to us: small pages make many inputs."""

_OURSELVES = SelfMetrics()

Series = Counter[tuple[str, frozenset[tuple[str, str]], str]]


@cache
def bodies(source: Source) -> tuple[bytes, ...]:
    """Every body that was recorded of ``source``, and the least ones."""
    told = {of.answers[path].body for of in situations() for path in PATHS[source] if path in of.answers}
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
                *told,
            }
        )
    )


def outcome(source: Source, reply: Reply) -> FailureReason | None:
    """The reason why ``reply`` is no answer to ``source``, None where it is one.

    Raises, AssertionError or whatever else, where the promise is broken: the agent is asked once, with well answers to
    its other sources, and shown beside a well agent on every page.
    """
    store = _asked(AGENT, {**_DEFAULT, **dict.fromkeys(PATHS[source], reply)})
    kept = store.entries()
    _check_page(lambda form: page_of((*_beside(), *kept), AT, MAX_AGE, form) + form.trailer)
    site = Site(store, _OURSELVES, Thresholds(TIMEOUT, MAX_AGE))
    assert handle(site, get("/"), AT).status_code == 200
    assert handle(site, get("/health"), AT).status_code in (200, 500, 503)
    seen = kept[0].snapshot.of(source)
    assert seen.failure or seen.answer, "the source was not asked"
    return seen.failure.reason if seen.failure else None


def _asked(agent: Agent, replies: Mapping[str, Reply]) -> Store[Rendered]:
    store = Store((agent,), render_agent)
    rounds = Poller(store, {agent.name: FakeWire(replies)}, lambda: AT, TIMEOUT, lambda *_: None, autopilot=True)
    rounds.poll_health(agent)
    rounds.poll_state(agent)
    return store


@cache
def _beside() -> tuple[Entry[Rendered], ...]:
    return _asked(Agent("beside", ADDRESS), _DEFAULT).entries()


@cache
def _series_beside() -> Series:
    return _read(read_text, page_of(_beside(), AT, MAX_AGE, Format.TEXT))


def _check_page(drawn: Callable[[Format], bytes]) -> None:
    """Both formats are read as the same series, each once and finite, and those of the agent beside are among them."""
    text = _read(read_text, drawn(Format.TEXT))
    assert text == _read(read_openmetrics, drawn(Format.OPENMETRICS)), "the formats differ"
    times = Counter((name, labels) for name, labels, _ in text.elements())
    assert set(times.values()) == {1}, f"doubled: {times.most_common(1)}"
    assert text >= _series_beside(), "the series of another agent have changed"


def _read(reader: Callable[[str], Iterable[Metric]], body: bytes) -> Series:
    return Counter(
        (sample.name, frozenset(sample.labels.items()), _finite(sample.value))
        for family in reader(body.decode())
        for sample in family.samples
    )


def _finite(value: float) -> str:
    assert abs(value) <= sys.float_info.max, "a number that Prometheus cannot read, or nobody can use"
    return repr(value)
