"""The one thing that changes: the newest snapshot of every agent, and what was drawn of it for the pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.changes import Change, follow
from nomad_exporter.watch.snapshot import AnyReading, Snapshot

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Kept(Generic[D]):
    """A snapshot and its drawing, which were made from each other."""

    snapshot: Snapshot
    drawing: D


Draw = Callable[[Snapshot, Source | None, D | None], D]
"""Draws a snapshot, of which only ``source`` changed since the drawing given; all of it where none is given."""


class Store(Generic[D]):
    """The newest snapshot of every agent of the fleet, in the fleet's order.

    ``draw`` is called once for each reading, so that a scrape only puts together what is drawn already. Reading needs
    no lock: a page sees each agent as it was at one moment.
    """

    def __init__(self, agents: Iterable[Agent], draw: Draw[D]) -> None:
        self._lock = threading.Lock()
        self._draw = draw
        self._kept = {agent.name: self._fresh(agent) for agent in agents}
        self._waiting = frozenset(self._kept)
        self._beat: Instant | None = None

    def record(self, agent: Agent, reading: AnyReading) -> tuple[Change, ...]:
        """Takes in ``reading``; gives what it changed.

        Where ``agent`` is not watched any more, or not with these settings, its reading is discarded.
        """
        with self._lock:
            kept = self._kept.get(agent.name)
            if kept is None or kept.snapshot.agent != agent:
                return ()
            after, changes = follow(kept.snapshot, reading)
            self._kept[agent.name] = Kept(after, self._draw(after, reading.source, kept.drawing))
            if after.attempted and agent.name in self._waiting:
                self._waiting -= {agent.name}
            return changes

    def replace(self, agents: Iterable[Agent]) -> None:
        """Watches ``agents`` from now on; what is known of one that was watched with the same settings is kept."""
        with self._lock:
            before = self._kept
            self._kept = {
                agent.name: kept
                if (kept := before.get(agent.name)) and kept.snapshot.agent == agent
                else self._fresh(agent)
                for agent in agents
            }
            self._waiting &= frozenset(self._kept)

    def forget(self, source: Source) -> None:
        """Forgets what is known of a ``source`` that is not asked for any more, but for its counts."""
        with self._lock:
            for name, kept in self._kept.items():
                if kept.snapshot.of(source).last:
                    without = kept.snapshot.without(source)
                    self._kept[name] = Kept(without, self._draw(without, source, kept.drawing))

    @property
    def waiting(self) -> int:
        """How many agents of the start are still watched and have never been asked."""
        return len(self._waiting)

    def beat(self, at: Instant) -> None:
        """The schedule was alive at this instant."""
        self._beat = at

    @property
    def last_beat(self) -> Instant | None:
        return self._beat

    def kept(self) -> tuple[Kept[D], ...]:
        """What is known of every agent, in the fleet's order."""
        return tuple(self._kept.values())

    def get(self, name: str) -> Kept[D] | None:
        """What is known of the agent ``name``; None where no agent has that name."""
        return self._kept.get(name)

    def _fresh(self, agent: Agent) -> Kept[D]:
        snapshot = Snapshot(agent)
        return Kept(snapshot, self._draw(snapshot, None, None))
