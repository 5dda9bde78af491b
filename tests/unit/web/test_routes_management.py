"""The management API: whether the exporter itself is healthy and ready."""

from __future__ import annotations

from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.nomad.sources import HEALTH, SELF, Source
from nomad_exporter.polling.store import Store
from nomad_exporter.server.http import Response, text
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web import routes
from tests.support.pages import NOW, agent, failed, fleet, get, recorded, site_of, store_of


def healthy(store: Store[Rendered], now: Instant) -> Response:
    return routes.healthy(site_of(store), get("/-/healthy"), now)


def ready(store: Store[Rendered]) -> Response:
    return routes.ready(site_of(store), get("/-/ready"), NOW)


LIMIT = Thresholds().stall_timeout


@pytest.mark.parametrize(("seconds", "status"), [(0.0, 200), (LIMIT, 200), (LIMIT + 0.1, 503)])
def test_exporter_is_healthy_while_polls_start_or_end(seconds: float, status: int) -> None:
    store = fleet("a1")
    store.record_activity(NOW)

    assert healthy(store, NOW + seconds).status_code == status


def test_exporter_without_agents_is_healthy() -> None:
    assert healthy(fleet(), NOW + 10 * LIMIT) == text(200, "healthy")


def test_dead_agent_does_not_make_the_exporter_unhealthy() -> None:
    store = store_of(failed(HEALTH), failed(SELF))
    store.record_activity(NOW)

    assert healthy(store, NOW).status_code == 200


def test_exporter_is_not_ready_before_all_agents_are_polled() -> None:
    store = fleet("a1", "a2", "a3")
    store.record(agent("a2"), failed(HEALTH))
    store.record(agent("a2"), failed(SELF))

    assert ready(store) == text(503, "agents not polled yet: 2")


@pytest.mark.parametrize("source", [HEALTH, SELF])
def test_agent_with_one_polled_source_is_still_pending(source: Source[Any]) -> None:
    assert ready(store_of(failed(source))).status_code == 503


def test_exporter_is_ready_even_if_all_polls_failed() -> None:
    assert ready(store_of(failed(HEALTH), failed(SELF))) == text(200, "ready")


def test_exporter_stays_ready_when_an_agent_dies() -> None:
    polled = [recorded(source, "2.0.5/healthy/s1-follower") for source in (HEALTH, SELF)]

    assert ready(store_of(*polled, failed(HEALTH), failed(SELF))).status_code == 200


def test_exporter_without_agents_is_ready() -> None:
    assert ready(fleet()).status_code == 200
