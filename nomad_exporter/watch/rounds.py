"""A round asks one agent for the sources that go together, and records what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nomad_exporter.clock import Clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.answers import Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.changes import Change, changes
from nomad_exporter.watch.poll import Wire, ask
from nomad_exporter.watch.store import Store


class Rounds:
    """The rounds of every agent of a fleet; ``seconds`` is the time of one attempt, ``tell`` is told every change."""

    def __init__(
        self,
        store: Store[Any],
        wires: Mapping[str, Wire],
        clock: Clock,
        seconds: float,
        tell: Callable[[Agent, Change], None],
    ) -> None:
        self._store, self._wires, self._clock, self._seconds, self._tell = store, wires, clock, seconds, tell

    def health(self, agent: Agent, lateness: float = 0.0) -> None:
        """Asks for ``health``."""
        self._ask(agent, Source.HEALTH, lateness)

    def facts(self, agent: Agent, lateness: float = 0.0) -> None:
        """Asks for ``self``, and a server for ``members`` too.

        A client would pass ``members`` on to some server, and keeps the question for ever while it reaches none.
        """
        self._ask(agent, Source.SELF, lateness)
        kept = self._store.get(agent.name)
        if kept and Role.SERVER in kept.snapshot.roles:
            self._ask(agent, Source.MEMBERS, lateness)

    def _ask(self, agent: Agent, source: Source, lateness: float) -> None:
        reading = ask(source, self._wires[agent.name], self._clock, self._seconds, lateness)
        recorded = self._store.record(agent, reading)
        for change in changes(*recorded) if recorded else ():
            self._tell(agent, change)
