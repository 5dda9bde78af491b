"""A round asks one agent for the sources that go together, and records what came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nomad_exporter.clock import Clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.answers import Role
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.changes import Change, shortened
from nomad_exporter.watch.poll import Wire, ask
from nomad_exporter.watch.store import Store


class Rounds:
    """The rounds of every agent of a fleet.

    ``seconds`` is the time of one attempt, ``tell`` is told every change; with ``autopilot`` servers are asked for it.
    """

    def __init__(
        self,
        store: Store[Any],
        wires: Mapping[str, Wire],
        clock: Clock,
        seconds: float,
        tell: Callable[[Agent, Change], None],
        *,
        autopilot: bool = False,
    ) -> None:
        self._store, self._wires, self._clock, self._seconds, self._tell = store, wires, clock, seconds, tell
        self._autopilot = autopilot

    def health(self, agent: Agent, lateness: float = 0.0) -> bool:
        """Asks for ``health``; gives whether the agent kept us waiting until the time was over."""
        return self._ask(agent, Source.HEALTH, lateness)

    def facts(self, agent: Agent, lateness: float = 0.0) -> bool:
        """Asks for ``self``, a server for ``members`` too, and, where that is wanted, for what ``autopilot`` says.

        Gives whether one of them kept us waiting in vain. A client would pass ``members`` on to some server, and keeps
        the question for ever while it reaches none; a server passes ``autopilot`` on to its leader, and keeps the
        question for seconds while it has none.
        """
        hung = self._ask(agent, Source.SELF, lateness)
        for source in self._beside_self(agent):
            hung = self._ask(agent, source, lateness) or hung
        return hung

    def _beside_self(self, agent: Agent) -> Iterator[Source]:
        kept = self._store.get(agent.name)
        if kept and Role.SERVER in kept.snapshot.roles:
            yield Source.MEMBERS
            if self._autopilot and kept.snapshot.reaches_leader:
                yield Source.AUTOPILOT

    def _ask(self, agent: Agent, source: Source, lateness: float) -> bool:
        wire = self._wires.get(agent.name)
        if wire is None:
            return False
        reading = ask(source, wire, self._clock, self._seconds, lateness)
        for change in shortened(self._store.record(agent, reading)):
            self._tell(agent, change)
        return isinstance(reading.outcome, Failure) and self._took_long(reading.outcome, reading.seconds)

    def _took_long(self, failure: Failure, seconds: float) -> bool:
        """Whether a thread was held up for nothing: by silence, or by a name that was resolved for ever."""
        return failure.reason is Reason.TIMEOUT or seconds >= self._seconds / 2
