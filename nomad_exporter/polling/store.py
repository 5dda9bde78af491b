"""The store: the only state that changes. It keeps the newest snapshot of every agent and the snapshot's rendering."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.sources import SOURCES, Source
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.transitions import Change, apply

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """A snapshot, and what was rendered from it."""

    snapshot: Snapshot
    rendered: R


Render = Callable[[Snapshot, Source[Any] | None, R | None], R]
"""Renders a snapshot, given the one source that changed and the previous rendering; both are None the first time."""


class Store(Generic[R]):
    """The newest snapshot of every configured agent, in the order of the configuration.

    ``render`` is called once per reading, so a scrape only joins what is already rendered. Reading needs no lock:
    an entry is replaced as a whole.
    """

    def __init__(self, agents: Iterable[Agent], render: Render[R]) -> None:
        self._lock = threading.Lock()
        self._render = render
        self._sources = frozenset[Source[Any]](SOURCES)
        self._entries = {agent.name: self._new_entry(agent) for agent in agents}
        self._pending = frozenset(self._entries)
        self._unpolled = self._count_unpolled()
        self._polled_clusters: frozenset[str] = frozenset()
        self._last_activity = Instant(0.0, float("-inf"))
        self._is_stopped = False

    def record(self, agent: Agent, reading: Reading[Any]) -> tuple[Change, ...]:
        """Record a reading and return the changes it caused.

        The reading is discarded if ``agent`` is no longer configured, or is configured with other settings, or if its
        source is no longer polled, or after ``stop``.
        """
        with self._lock:
            entry = self._entries.get(agent.name)
            if self._is_stopped or reading.source not in self._sources:
                return ()
            if entry is None or entry.snapshot.agent != agent:
                return ()
            snapshot, changes = apply(entry.snapshot, reading)
            self._entries[agent.name] = Entry(snapshot, self._render(snapshot, reading.source, entry.rendered))
            if snapshot.is_polled and agent.name in self._pending:
                self._pending -= {agent.name}
            if snapshot.is_polled and not entry.snapshot.is_polled:
                self._unpolled[agent.cluster] -= 1
                self._update_polled_clusters()
            return changes

    def replace(self, agents: Iterable[Agent]) -> None:
        """Replace the configured agents; an agent at the same address keeps its snapshot."""
        with self._lock:
            before = self._entries
            self._entries = {agent.name: self._entry_after(before.get(agent.name), agent) for agent in agents}
            self._pending &= frozenset(self._entries)
            self._unpolled = self._count_unpolled()
            self._update_polled_clusters()

    def _count_unpolled(self) -> Counter[str]:
        """Return the number of agents that have not been polled yet, by the name of their cluster, zeros included."""
        unpolled: Counter[str] = Counter()
        for entry in self._entries.values():
            unpolled[entry.snapshot.agent.cluster] += not entry.snapshot.is_polled
        return unpolled

    def _update_polled_clusters(self) -> None:
        # A cluster that was polled once stays in the set when agents are added.
        polled = {cluster for cluster, number in self._unpolled.items() if number == 0}
        self._polled_clusters = frozenset(polled | (self._unpolled.keys() & self._polled_clusters))

    @property
    def polled_clusters(self) -> frozenset[str]:
        """The names of the clusters of which every agent has been polled at some time, successfully or not."""
        return self._polled_clusters

    def keep(self, sources: Collection[Source[Any]]) -> None:
        """Keep only these ``sources``: discard what is known of the others, except for the numbers of polls."""
        with self._lock:
            self._sources = frozenset(sources)
            for source in set(SOURCES) - self._sources:
                self._clear(source)

    def _clear(self, source: Source[Any]) -> None:
        for name, entry in self._entries.items():
            if entry.snapshot[source].last:
                snapshot = entry.snapshot.cleared(source)
                self._entries[name] = Entry(snapshot, self._render(snapshot, source, entry.rendered))

    @property
    def pending(self) -> int:
        """The number of agents, of those configured at the start, whose first polls have not ended."""
        return len(self._pending)

    def stop(self) -> None:
        """Discard all further readings: the end of the exporter closes connections, which is no fault of an agent."""
        self._is_stopped = True

    def record_activity(self, at: Instant) -> None:
        """Record that polling was started, or that a poll started or ended, at this instant."""
        self._last_activity = at

    @property
    def last_activity(self) -> Instant:
        """When a poll last started or ended; the start of polling if that is later."""
        return self._last_activity

    def entries(self) -> tuple[Entry[R], ...]:
        """Return the entries of all agents, in the order of the configuration."""
        return tuple(self._entries.values())

    def get(self, name: str) -> Entry[R] | None:
        """Return the entry of the agent ``name``; None if no agent has that name."""
        return self._entries.get(name)

    def _entry_after(self, before: Entry[R] | None, agent: Agent) -> Entry[R]:
        """Return the entry of ``agent`` after a reload; what is known of it is kept at the same address and cluster."""
        if before is None or _place(before.snapshot.agent) != _place(agent):
            return self._new_entry(agent)
        if before.snapshot.agent == agent:
            return before
        snapshot = replace(before.snapshot, agent=agent)
        return Entry(snapshot, self._render(snapshot, None, None))

    def _new_entry(self, agent: Agent) -> Entry[R]:
        snapshot = Snapshot(agent)
        return Entry(snapshot, self._render(snapshot, None, None))


def _place(agent: Agent) -> tuple[Address, str]:
    """Return where an agent is: settings of another place may belong to another agent."""
    return agent.address, agent.cluster
