"""The one thing that changes: the newest snapshot of every agent, and what was drawn of it for the pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Snapshot
from nomad_exporter.polling.transitions import Change, apply

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Entry(Generic[D]):
    """A snapshot and its drawing, which were made from each other."""

    snapshot: Snapshot
    rendered: D


Render = Callable[[Snapshot, Source | None, D | None], D]
"""Draws a snapshot, of which only ``source`` changed since the drawing given; all of it where none is given."""


class Store(Generic[D]):
    """The newest snapshot of every agent of the fleet, in the fleet's order.

    ``draw`` is called once for each reading, so that a scrape only puts together what is drawn already. Reading needs
    no lock: a page sees each agent as it was at one moment.
    """

    def __init__(self, agents: Iterable[Agent], render: Render[D]) -> None:
        self._lock = threading.Lock()
        self._render = render
        self._entries = {agent.name: self._fresh(agent) for agent in agents}
        self._pending = frozenset(self._entries)
        self._heartbeat: Instant | None = None

    def record(self, agent: Agent, reading: AnyReading) -> tuple[Change, ...]:
        """Takes in ``reading``; gives what it changed.

        Where ``agent`` is not watched any more, or not with these settings, its reading is discarded.
        """
        with self._lock:
            kept = self._entries.get(agent.name)
            if kept is None or kept.snapshot.agent != agent:
                return ()
            after, changes = apply(kept.snapshot, reading)
            self._entries[agent.name] = Entry(after, self._render(after, reading.source, kept.rendered))
            if after.is_polled and agent.name in self._pending:
                self._pending -= {agent.name}
            return changes

    def replace(self, agents: Iterable[Agent]) -> None:
        """Watches ``agents`` from now on; what is known of one that was watched with the same settings is kept."""
        with self._lock:
            before = self._entries
            self._entries = {
                agent.name: kept
                if (kept := before.get(agent.name)) and kept.snapshot.agent == agent
                else self._fresh(agent)
                for agent in agents
            }
            self._pending &= frozenset(self._entries)

    def clear(self, source: Source) -> None:
        """Forgets what is known of a ``source`` that is not asked for any more, but for its counts."""
        with self._lock:
            for name, kept in self._entries.items():
                if kept.snapshot.of(source).last:
                    without = kept.snapshot.cleared(source)
                    self._entries[name] = Entry(without, self._render(without, source, kept.rendered))

    @property
    def pending(self) -> int:
        """How many agents of the start are still watched and have never been asked."""
        return len(self._pending)

    def record_heartbeat(self, at: Instant) -> None:
        """The schedule was alive at this instant."""
        self._heartbeat = at

    @property
    def last_heartbeat(self) -> Instant | None:
        return self._heartbeat

    def entries(self) -> tuple[Entry[D], ...]:
        """What is known of every agent, in the fleet's order."""
        return tuple(self._entries.values())

    def get(self, name: str) -> Entry[D] | None:
        """What is known of the agent ``name``; None where no agent has that name."""
        return self._entries.get(name)

    def _fresh(self, agent: Agent) -> Entry[D]:
        snapshot = Snapshot(agent)
        return Entry(snapshot, self._render(snapshot, None, None))
