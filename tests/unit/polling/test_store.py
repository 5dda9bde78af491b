"""The store: the newest snapshot of every configured agent with its rendering, and no other agent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, SELF, Source
from nomad_exporter.polling.history import Transition
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Event
from tests.support.answers import AGENT, REFUSED, START, self_answer
from tests.support.waiting import PATIENCE

OTHER = replace(AGENT, name="s2", address=Address("http", "127.0.0.1", 4647))

Rendered = tuple[Snapshot, Source[Any] | None, Any]


def render(snapshot: Snapshot, source: Source[Any] | None, previous: Rendered | None) -> Rendered:
    """Return a rendering that shows the arguments it was made from."""
    return snapshot, source, previous


@pytest.fixture
def store() -> Store[Rendered]:
    return Store([AGENT, OTHER], render)


def reading(outcome: Any = REFUSED) -> Reading[Any]:
    return Reading(SELF, outcome, START, 0.1)


def test_new_store_has_all_agents_in_configured_order(store: Store[Rendered]) -> None:
    assert [entry.snapshot for entry in store.entries()] == [Snapshot(AGENT), Snapshot(OTHER)]


def test_new_store_renders_every_agent(store: Store[Rendered]) -> None:
    assert [entry.rendered for entry in store.entries()] == [
        (Snapshot(AGENT), None, None),
        (Snapshot(OTHER), None, None),
    ]


def test_record_returns_the_changes(store: Store[Rendered]) -> None:
    first, second = (store.record(AGENT, reading()) for _ in range(2))

    assert [change.event for change in first] == [Event.POLL_FAILED]
    assert second == ()


def test_transitions_are_counted_before_rendering(store: Store[Rendered]) -> None:
    for version in ("2.0.4", "2.0.5"):
        store.record(AGENT, reading(self_answer(version=version)))
    entry = store.get("s1")

    assert entry
    assert entry.rendered[0] is entry.snapshot
    assert entry.snapshot.history.counts[Transition.VERSION_CHANGES] == {(): 1}


def test_reading_changes_no_other_agent(store: Store[Rendered]) -> None:
    store.record(OTHER, reading())

    assert [entry.snapshot[SELF].polls for entry in store.entries()] == [0, 1]


def test_render_gets_source_and_previous_rendering(store: Store[Rendered]) -> None:
    store.record(AGENT, reading())
    entry = store.get("s1")

    assert entry
    assert entry.rendered == (entry.snapshot, SELF, (Snapshot(AGENT), None, None))


def test_source_that_is_not_kept_has_only_the_numbers_of_polls(store: Store[Rendered]) -> None:
    store.record(AGENT, Reading(AUTOPILOT, REFUSED, START, 0.1))
    polled, never_polled = store.entries()
    store.keep([SELF])
    entry, other = store.entries()

    assert (entry.snapshot[AUTOPILOT].last, entry.snapshot[AUTOPILOT].failures) == (None, 1)
    assert entry.rendered == (entry.snapshot, AUTOPILOT, polled.rendered)
    assert other is never_polled


def test_late_reading_of_a_source_that_is_not_kept_is_discarded(store: Store[Rendered]) -> None:
    late = Reading(AUTOPILOT, REFUSED, START, 0.1)
    store.keep([SELF])

    assert store.record(AGENT, late) == ()
    assert [entry.snapshot[AUTOPILOT].polls for entry in store.entries()] == [0, 0]
    store.keep([SELF, AUTOPILOT])
    assert [change.event for change in store.record(AGENT, late)] == [Event.POLL_FAILED]


def test_reading_keeps_the_order_of_agents(store: Store[Rendered]) -> None:
    store.record(AGENT, reading(self_answer()))

    assert [entry.snapshot.agent.name for entry in store.entries()] == ["s1", "s2"]


def test_get_returns_the_entry_of_the_agent(store: Store[Rendered]) -> None:
    entry = store.get("s2")

    assert entry
    assert entry.snapshot.agent == OTHER


def test_get_of_unknown_name_returns_none(store: Store[Rendered]) -> None:
    assert store.get("s3") is None


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(replace(AGENT, name="s3"), id="agent not configured"),
        pytest.param(replace(AGENT, address=OTHER.address), id="other address"),
        pytest.param(replace(AGENT, credentials=Credentials(token=Secret("old"))), id="other token"),
    ],
)
def test_reading_of_other_agent_is_discarded(store: Store[Rendered], agent: Any) -> None:
    before = store.entries()

    assert store.record(agent, reading()) == ()
    assert store.entries() == before


def test_last_activity_is_kept(store: Store[Rendered]) -> None:
    store.record_activity(START)
    store.record_activity(START + 1)

    assert store.last_activity == START + 1


def test_reading_after_stop_is_discarded(store: Store[Rendered]) -> None:
    store.stop()
    store.record(AGENT, Reading(HEALTH, REFUSED, START, 0.0))

    assert store.entries()[0].snapshot[HEALTH].last is None


@pytest.fixture
def frequent_thread_switches() -> Iterator[None]:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_thread_switches")
def test_concurrent_readings_are_all_recorded(store: Store[Rendered]) -> None:
    barrier = threading.Barrier(4)

    def record() -> None:
        barrier.wait(PATIENCE)
        for _ in range(250):
            store.record(AGENT, reading())

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = store.get("s1")

    assert entry
    assert entry.snapshot[SELF].polls == 1000


# Clusters.


def polled(store: Store[Rendered], *agents: Agent) -> frozenset[str]:
    """Record a poll of health and self of each agent, and return the polled clusters."""
    for agent in agents:
        for source in (HEALTH, SELF):
            store.record(agent, Reading(source, REFUSED, START, 0.1))
    return store.polled_clusters


EAST, WEST = replace(AGENT, name="e1", cluster="east"), replace(AGENT, name="w1", cluster="west")


def test_cluster_is_polled_when_its_last_agent_is() -> None:
    store = Store([AGENT, OTHER, EAST], render)

    assert polled(store) == frozenset()
    assert polled(store, AGENT) == frozenset()
    assert polled(store, EAST) == {"east"}
    assert polled(store, OTHER) == {"default", "east"}


def test_polled_cluster_stays_polled_until_its_last_agent_is_removed() -> None:
    store = Store([EAST, WEST], render)
    polled(store, EAST, WEST)
    store.replace([EAST, replace(EAST, name="e2")])

    assert store.polled_clusters == {"east"}
    store.replace([WEST])
    assert store.polled_clusters == frozenset()
