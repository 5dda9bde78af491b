"""The store when other agents are to be watched: what is kept, what is forgotten and what is discarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.history import Transition
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from nomad_exporter.polling.store import Store
from tests.support.answers import AGENT, REFUSED, START, own

OTHER = replace(AGENT, name="s2")
NEW = replace(AGENT, name="s3")

CHANGES = [
    pytest.param({"address": Address("http", "127.0.0.1", 4647)}, id="another address"),
    pytest.param({"credentials": Credentials(token=Secret("new"))}, id="another token"),
    pytest.param({"tls": Tls(server_name="other")}, id="another name in the certificate"),
    pytest.param({"group": "west"}, id="another cluster"),
    pytest.param({"labels": (("rack", "b"),)}, id="another label"),
]


@pytest.fixture
def store() -> Store[Snapshot]:
    """A store whose two agents were both asked for everything."""
    store = Store([AGENT, OTHER], lambda snapshot, *_: snapshot)
    for agent in (AGENT, OTHER):
        ask(store, agent)
    return store


def reading(source: Source, outcome: Any) -> AnyReading:
    return Reading(source, outcome, START, 0.1)


def ask(store: Store[Snapshot], agent: Agent) -> None:
    """A round of health, which is refused, and one of facts, which is answered."""
    store.record(agent, reading(Source.HEALTH, REFUSED))
    store.record(agent, reading(Source.SELF, own()))


def names(store: Store[Snapshot]) -> list[str]:
    return [kept.snapshot.agent.name for kept in store.entries()]


def same(agent: Agent) -> Agent:
    """An equal agent, as it is read anew from a file."""
    return replace(agent)


def test_what_is_known_of_an_equal_agent_is_kept(store: Store[Snapshot]) -> None:
    before = store.get("s1")
    store.replace([same(AGENT), NEW])

    assert store.get("s1") is before


def test_an_agent_that_is_left_out_is_forgotten(store: Store[Snapshot]) -> None:
    store.replace([AGENT])

    assert names(store) == ["s1"]
    assert store.get("s2") is None


def test_an_agent_that_comes_back_is_not_known_any_more(store: Store[Snapshot]) -> None:
    store.replace([AGENT])
    store.replace([AGENT, OTHER])
    kept = store.get("s2")

    assert kept
    assert kept.snapshot == Snapshot(OTHER)


def test_a_new_agent_is_drawn_before_it_was_asked(store: Store[Snapshot]) -> None:
    store.replace([AGENT, OTHER, NEW])
    kept = store.get("s3")

    assert kept
    assert kept.rendered == Snapshot(NEW)


@pytest.mark.parametrize("change", CHANGES)
def test_an_agent_of_other_settings_begins_anew(store: Store[Snapshot], change: dict[str, Any]) -> None:
    changed = replace(AGENT, **change)
    store.replace([changed, OTHER])
    kept = store.get("s1")

    assert kept
    assert kept.snapshot == Snapshot(changed)


def test_the_order_is_that_of_the_new_fleet(store: Store[Snapshot]) -> None:
    store.replace([NEW, OTHER, AGENT])

    assert names(store) == ["s3", "s2", "s1"]


def test_a_fleet_of_none_leaves_nothing(store: Store[Snapshot]) -> None:
    store.replace([])

    assert (store.entries(), store.pending) == ((), 0)


def test_a_reading_of_an_agent_that_was_left_out_is_discarded(store: Store[Snapshot]) -> None:
    store.replace([AGENT])

    assert store.record(OTHER, reading(Source.SELF, own())) == ()
    assert names(store) == ["s1"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_reading_of_an_agent_as_it_was_before_is_discarded(store: Store[Snapshot], change: dict[str, Any]) -> None:
    store.replace([replace(AGENT, **change), OTHER])
    before = store.entries()

    assert store.record(AGENT, reading(Source.SELF, own())) == ()
    assert store.entries() == before


def test_a_reading_of_an_equal_agent_is_counted_on(store: Store[Snapshot]) -> None:
    store.replace([same(AGENT)])
    store.record(AGENT, reading(Source.SELF, REFUSED))
    kept = store.get("s1")

    assert kept
    assert (kept.snapshot.agent_self.polls, kept.snapshot.agent_self.failures) == (2, 1)


def test_what_changed_of_an_equal_agent_is_counted_on(store: Store[Snapshot]) -> None:
    for version in ("1", "2", "3"):
        store.replace([same(AGENT)])
        store.record(AGENT, reading(Source.SELF, own(version=version)))

    assert version_changes(store) == 2


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_of_an_agent_of_other_settings_is_counted_anew(
    store: Store[Snapshot], change: dict[str, Any]
) -> None:
    for version in ("1", "2"):
        store.record(AGENT, reading(Source.SELF, own(version=version)))
    changed = replace(AGENT, **change)
    store.replace([changed])
    store.record(changed, reading(Source.SELF, own(version="3")))

    assert version_changes(store) == 0


def version_changes(store: Store[Snapshot]) -> int:
    kept = store.get("s1")
    assert kept
    return kept.snapshot.history.counts[Transition.VERSION_CHANGES][()]


def test_the_last_beat_outlives_the_fleet(store: Store[Snapshot]) -> None:
    store.record_heartbeat(START)
    store.replace([NEW])

    assert store.last_heartbeat == START


# Those of the start that were never asked.


@pytest.fixture
def waiting() -> Store[Snapshot]:
    """A store whose two agents were never asked."""
    return Store([AGENT, OTHER], lambda snapshot, *_: snapshot)


def test_at_the_start_all_are_waited_for(waiting: Store[Snapshot]) -> None:
    assert waiting.pending == 2


def test_an_agent_is_waited_for_until_both_rounds_have_asked_it(waiting: Store[Snapshot]) -> None:
    waiting.record(AGENT, reading(Source.HEALTH, REFUSED))
    before = waiting.pending
    waiting.record(AGENT, reading(Source.SELF, REFUSED))

    assert (before, waiting.pending) == (2, 1)


def test_an_agent_that_is_left_out_is_not_waited_for(waiting: Store[Snapshot]) -> None:
    waiting.replace([AGENT])

    assert waiting.pending == 1


def test_new_agents_and_changed_ones_are_not_waited_for_where_none_was_any_more(store: Store[Snapshot]) -> None:
    store.replace([replace(AGENT, cluster="west"), NEW])

    assert store.pending == 0


def test_an_agent_that_comes_back_is_not_waited_for_again(waiting: Store[Snapshot]) -> None:
    waiting.replace([AGENT])
    waiting.replace([AGENT, OTHER])

    assert waiting.pending == 1


def test_an_agent_that_changes_before_it_was_asked_is_waited_for_still(waiting: Store[Snapshot]) -> None:
    changed = replace(AGENT, cluster="west")
    waiting.replace([changed, OTHER])
    ask(waiting, AGENT)
    before = waiting.pending
    ask(waiting, changed)

    assert (before, waiting.pending) == (2, 1)
