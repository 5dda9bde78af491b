"""The store: the newest snapshot of every agent with its drawing, and nothing of an agent that is not watched."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Credentials, Secret
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.history import Transition
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from nomad_exporter.polling.store import Store
from tests.support.answers import AGENT, REFUSED, START, own
from tests.support.waiting import PATIENCE

OTHER = replace(AGENT, name="s2", address=Address("http", "127.0.0.1", 4647))

Drawn = tuple[Snapshot, Source | None, Any]


def draw(snapshot: Snapshot, source: Source | None, before: Drawn | None) -> Drawn:
    """A drawing that shows what it was made of."""
    return snapshot, source, before


@pytest.fixture
def store() -> Store[Drawn]:
    return Store([AGENT, OTHER], draw)


def reading(outcome: Any = REFUSED) -> AnyReading:
    return Reading(Source.SELF, outcome, START, 0.1)


def test_before_any_reading_every_agent_is_kept_in_the_order_of_the_fleet(store: Store[Drawn]) -> None:
    assert [kept.snapshot for kept in store.entries()] == [Snapshot(AGENT), Snapshot(OTHER)]


def test_before_any_reading_every_agent_is_drawn_whole(store: Store[Drawn]) -> None:
    assert [kept.rendered for kept in store.entries()] == [
        (Snapshot(AGENT), None, None),
        (Snapshot(OTHER), None, None),
    ]


def test_a_reading_gives_what_it_changed(store: Store[Drawn]) -> None:
    first, second = (store.record(AGENT, reading()) for _ in range(2))

    assert [change.message for change in first] == ["poll failed"]
    assert second == ()


def test_what_a_reading_changed_is_counted_before_it_is_drawn(store: Store[Drawn]) -> None:
    for version in ("2.0.4", "2.0.5"):
        store.record(AGENT, reading(own(version=version)))
    kept = store.get("s1")

    assert kept
    assert kept.rendered[0] is kept.snapshot
    assert kept.snapshot.history.counts[Transition.VERSION_CHANGES] == {(): 1}


def test_a_reading_is_kept_and_changes_no_other_agent(store: Store[Drawn]) -> None:
    store.record(OTHER, reading())

    assert [kept.snapshot.agent_self.polls for kept in store.entries()] == [0, 1]


def test_what_a_reading_changed_is_drawn_upon_the_drawing_before(store: Store[Drawn]) -> None:
    store.record(AGENT, reading())
    kept = store.get("s1")

    assert kept
    assert kept.rendered == (kept.snapshot, Source.SELF, (Snapshot(AGENT), None, None))


def test_a_source_that_is_not_asked_for_any_more_is_forgotten_but_for_its_counts(store: Store[Drawn]) -> None:
    store.record(AGENT, Reading(Source.AUTOPILOT, REFUSED, START, 0.1))
    asked, never_asked = store.entries()
    store.clear(Source.AUTOPILOT)
    kept, other = store.entries()

    assert (kept.snapshot.autopilot.last, kept.snapshot.autopilot.failures) == (None, 1)
    assert kept.rendered == (kept.snapshot, Source.AUTOPILOT, asked.rendered)
    assert other is never_asked


def test_an_agent_keeps_its_place_when_it_answers(store: Store[Drawn]) -> None:
    store.record(AGENT, reading(own()))

    assert [kept.snapshot.agent.name for kept in store.entries()] == ["s1", "s2"]


def test_an_agent_is_found_by_its_name(store: Store[Drawn]) -> None:
    kept = store.get("s2")

    assert kept
    assert kept.snapshot.agent == OTHER


def test_a_name_that_no_agent_has_finds_nothing(store: Store[Drawn]) -> None:
    assert store.get("s3") is None


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(replace(AGENT, name="s3"), id="one that is not watched"),
        pytest.param(replace(AGENT, address=OTHER.address), id="one that has another address now"),
        pytest.param(replace(AGENT, credentials=Credentials(token=Secret("old"))), id="one that has another token now"),
    ],
)
def test_a_reading_of_an_agent_that_is_not_watched_so_is_discarded(store: Store[Drawn], agent: Any) -> None:
    before = store.entries()

    assert store.record(agent, reading()) == ()
    assert store.entries() == before


def test_before_the_first_beat_there_is_none(store: Store[Drawn]) -> None:
    assert store.last_heartbeat is None


def test_the_last_beat_is_kept(store: Store[Drawn]) -> None:
    store.record_heartbeat(START)
    store.record_heartbeat(START + 1)

    assert store.last_heartbeat == START + 1


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_of_readings_that_come_at_the_same_time_none_is_lost(store: Store[Drawn]) -> None:
    together = threading.Barrier(4)

    def record() -> None:
        together.wait(PATIENCE)
        for _ in range(250):
            store.record(AGENT, reading())

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = store.get("s1")

    assert kept
    assert kept.snapshot.agent_self.polls == 1000
