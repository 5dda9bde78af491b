"""The exporter's own probes."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.sources import Source
from nomad_exporter.web.http import text
from nomad_exporter.web.management import healthy, ready
from tests.support.pages import NOW, agent, failed, fleet, store_of, told


@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0])
def test_the_exporter_is_healthy_while_its_schedule_beats(seconds: float) -> None:
    store = fleet("a1")
    store.record_heartbeat(NOW)

    assert healthy(store, NOW + seconds) == text(200, "healthy")


def test_the_exporter_is_sick_once_its_schedule_is_silent() -> None:
    store = fleet("a1")
    store.record_heartbeat(NOW)

    assert healthy(store, NOW + 10.1) == text(503, "the schedule does not run")


def test_the_exporter_is_sick_before_its_schedule_began() -> None:
    assert healthy(fleet("a1"), NOW) == text(503, "the schedule does not run")


def test_a_dead_agent_does_not_make_the_exporter_sick() -> None:
    store = store_of(failed(Source.HEALTH), failed(Source.SELF))
    store.record_heartbeat(NOW)

    assert healthy(store, NOW).status == 200


def test_the_exporter_is_not_ready_before_every_agent_was_asked() -> None:
    store = fleet("a1", "a2", "a3")
    store.record(agent("a2"), failed(Source.HEALTH))
    store.record(agent("a2"), failed(Source.SELF))

    assert ready(store) == text(503, "2 agents have not been asked yet")


@pytest.mark.parametrize("source", [Source.HEALTH, Source.SELF])
def test_an_agent_that_was_asked_for_one_thing_alone_is_waited_for(source: Source) -> None:
    assert ready(store_of(failed(source))).status == 503


def test_the_exporter_is_ready_whatever_its_agents_answered() -> None:
    assert ready(store_of(failed(Source.HEALTH), failed(Source.SELF))) == text(200, "ready")


def test_the_exporter_stays_ready_when_an_agent_dies() -> None:
    well = (told(Source.HEALTH, "2.0.5/healthy/s1-follower"), told(Source.SELF, "2.0.5/healthy/s1-follower"))

    assert ready(store_of(*well, failed(Source.HEALTH), failed(Source.SELF))).status == 200


def test_an_exporter_without_agents_is_ready() -> None:
    assert ready(fleet()).status == 200
