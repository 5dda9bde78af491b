"""The store on reload: which entries are entry, replaced and removed, and which readings are discarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.models import Member
from nomad_exporter.nomad.sources import HEALTH, SELF, Source
from nomad_exporter.polling.history import Transition
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.store import Store
from tests.support.answers import AGENT, REFUSED, START, self_answer

OTHER = replace(AGENT, name="s2")
NEW = replace(AGENT, name="s3")

CHANGES = [
    pytest.param({"address": Address("http", "127.0.0.1", 4647)}, id="other address"),
    pytest.param({"cluster": "west"}, id="other cluster"),
]
"""Changes after which the agent may be another one."""

SETTINGS = [
    pytest.param({"credentials": Credentials(token=Secret("new"))}, id="other token"),
    pytest.param({"tls": Tls(server_name="other")}, id="other server name"),
    pytest.param({"labels": (("rack", "b"),)}, id="other label"),
]
"""Changes of how the same agent is polled or labelled."""


@pytest.fixture
def store() -> Store[Snapshot]:
    """Return a store whose two agents were both polled."""
    store = Store([AGENT, OTHER], lambda snapshot, *_: snapshot)
    for agent in (AGENT, OTHER):
        record_polls(store, agent)
    return store


def reading(source: Source[Any], outcome: Any) -> Reading[Any]:
    return Reading(source, outcome, START, 0.1)


def record_polls(store: Store[Snapshot], agent: Agent) -> None:
    """Record a poll of health, which is refused, and a poll of self, which is answered."""
    store.record(agent, reading(HEALTH, REFUSED))
    store.record(agent, reading(SELF, self_answer()))


def names(store: Store[Snapshot]) -> list[str]:
    return [entry.snapshot.agent.name for entry in store.entries()]


def same(agent: Agent) -> Agent:
    """Return an equal agent, as after a reload of an unchanged file."""
    return replace(agent)


def test_unchanged_agent_keeps_its_entry(store: Store[Snapshot]) -> None:
    before = store.get("s1")
    store.replace([same(AGENT), NEW])

    assert store.get("s1") is before


def test_removed_agent_has_no_entry(store: Store[Snapshot]) -> None:
    store.replace([AGENT])

    assert names(store) == ["s1"]
    assert store.get("s2") is None


def test_agent_that_returns_starts_over(store: Store[Snapshot]) -> None:
    store.replace([AGENT])
    store.replace([AGENT, OTHER])
    entry = store.get("s2")

    assert entry
    assert entry.snapshot == Snapshot(OTHER)


def test_new_agent_is_rendered_before_its_first_poll(store: Store[Snapshot]) -> None:
    store.replace([AGENT, OTHER, NEW])
    entry = store.get("s3")

    assert entry
    assert entry.rendered == Snapshot(NEW)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_agent_starts_over(store: Store[Snapshot], change: dict[str, Any]) -> None:
    changed = replace(AGENT, **change)
    store.replace([changed, OTHER])
    entry = store.get("s1")

    assert entry
    assert entry.snapshot == Snapshot(changed)


@pytest.mark.parametrize("change", SETTINGS)
def test_agent_at_the_same_address_keeps_its_snapshot(store: Store[Snapshot], change: dict[str, Any]) -> None:
    before = store.get("s1")
    changed = replace(AGENT, **change)
    store.replace([changed, OTHER])
    entry = store.get("s1")

    assert before
    assert entry
    assert entry.snapshot == entry.rendered == replace(before.snapshot, agent=changed)


def test_order_is_that_of_the_new_configuration(store: Store[Snapshot]) -> None:
    store.replace([NEW, OTHER, AGENT])

    assert names(store) == ["s3", "s2", "s1"]


def test_empty_configuration_leaves_nothing(store: Store[Snapshot]) -> None:
    store.replace([])

    assert (store.entries(), store.pending) == ((), 0)


def test_reading_of_removed_agent_is_discarded(store: Store[Snapshot]) -> None:
    store.replace([AGENT])

    assert store.record(OTHER, reading(SELF, self_answer())) == ()
    assert names(store) == ["s1"]


@pytest.mark.parametrize("change", CHANGES)
def test_reading_of_agent_with_old_settings_is_discarded(store: Store[Snapshot], change: dict[str, Any]) -> None:
    store.replace([replace(AGENT, **change), OTHER])
    before = store.entries()

    assert store.record(AGENT, reading(SELF, self_answer())) == ()
    assert store.entries() == before


def test_numbers_of_polls_of_unchanged_agent_continue(store: Store[Snapshot]) -> None:
    store.replace([same(AGENT)])
    store.record(AGENT, reading(SELF, REFUSED))
    entry = store.get("s1")

    assert entry
    assert (entry.snapshot[SELF].polls, entry.snapshot[SELF].failures) == (2, 1)


def test_transition_counts_of_unchanged_agent_continue(store: Store[Snapshot]) -> None:
    for version in ("1", "2", "3"):
        store.replace([same(AGENT)])
        store.record(AGENT, reading(SELF, self_answer(version=version)))

    assert version_changes(store) == 2


@pytest.mark.parametrize("change", CHANGES)
def test_transition_counts_of_changed_agent_start_over(store: Store[Snapshot], change: dict[str, Any]) -> None:
    for version in ("1", "2"):
        store.record(AGENT, reading(SELF, self_answer(version=version)))
    changed = replace(AGENT, **change)
    store.replace([changed])
    store.record(changed, reading(SELF, self_answer(version="3")))

    assert version_changes(store) == 0


@pytest.mark.parametrize("change", CHANGES)
def test_several_agents_are_forgotten_with_the_old_settings(store: Store[Snapshot], change: dict[str, Any]) -> None:
    for name in ("id-1", "id-2", "id-1"):
        store.record(AGENT, reading(SELF, self_answer(member=Member("s1.global", id=name))))
    assert has_several(store)

    changed = replace(AGENT, **change)
    store.replace([changed])
    assert not has_several(store)


def has_several(store: Store[Snapshot]) -> bool:
    entry = store.get("s1")
    assert entry
    return entry.snapshot.identity.has_several


def version_changes(store: Store[Snapshot]) -> int:
    entry = store.get("s1")
    assert entry
    return entry.snapshot.history.counts[Transition.VERSION_CHANGES][()]


def test_replace_keeps_the_last_activity(store: Store[Snapshot]) -> None:
    store.record_activity(START)
    store.replace([NEW])

    assert store.last_activity == START


# Pending agents.


@pytest.fixture
def new_store() -> Store[Snapshot]:
    """Return a store whose two agents were never polled."""
    return Store([AGENT, OTHER], lambda snapshot, *_: snapshot)


def test_all_agents_are_pending_at_the_start(new_store: Store[Snapshot]) -> None:
    assert new_store.pending == 2


def test_agent_is_pending_until_health_and_self_are_polled(new_store: Store[Snapshot]) -> None:
    new_store.record(AGENT, reading(HEALTH, REFUSED))
    before = new_store.pending
    new_store.record(AGENT, reading(SELF, REFUSED))

    assert (before, new_store.pending) == (2, 1)


def test_removed_agent_is_not_pending(new_store: Store[Snapshot]) -> None:
    new_store.replace([AGENT])

    assert new_store.pending == 1


def test_agents_added_by_a_reload_are_not_pending(store: Store[Snapshot]) -> None:
    store.replace([replace(AGENT, cluster="west"), NEW])

    assert store.pending == 0


def test_agent_that_returns_is_not_pending(new_store: Store[Snapshot]) -> None:
    new_store.replace([AGENT])
    new_store.replace([AGENT, OTHER])

    assert new_store.pending == 1


def test_agent_changed_before_its_first_poll_stays_pending(new_store: Store[Snapshot]) -> None:
    changed = replace(AGENT, cluster="west")
    new_store.replace([changed, OTHER])
    record_polls(new_store, AGENT)
    before = new_store.pending
    record_polls(new_store, changed)

    assert (before, new_store.pending) == (2, 1)
