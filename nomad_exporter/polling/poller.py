"""Asks one agent for one source: no threads, no schedule, no sleeping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from nomad_exporter.clock import Clock
from nomad_exporter.nomad import durations, sources
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.polling.snapshot import A, AnyReading, Reading
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change, truncate


class Wire(Protocol):
    """What a poll needs of a transport."""

    @property
    def certificates(self) -> Certificates: ...

    def get(self, path: str, seconds: float) -> Reply | Failure: ...


def poll(source: Source, wire: Wire, clock: Clock, seconds: float, lateness: float = 0.0) -> AnyReading:
    """One attempt at ``source``, over within ``seconds``; ``lateness`` is noted in the reading."""
    began = clock()
    outcome: Any = _POLLS[source](wire, clock, seconds)
    return Reading(source, outcome, began, clock().since(began), lateness, wire.certificates)


def _question(wire: Wire, path: str, seconds: float, answer: Callable[[Reply], A | Failure]) -> A | Failure:
    reply = wire.get(path, seconds)
    return reply if isinstance(reply, Failure) else answer(reply)


def _health(wire: Wire, clock: Clock, seconds: float) -> Health | Failure:
    """Two questions under one deadline: first of the agent alone, then, where it knows a leader, through that leader.

    Nomad holds a plain question for five seconds where there is no leader, and answers ``?stale`` at once. A red
    ``?stale`` is therefore the answer; a well one only says that the agent believes in a leader, who may be dead.
    """
    began = clock()
    stale = _health_answer(wire, STALE_HEALTH_PATH, seconds)
    if isinstance(stale, Failure):
        return stale
    server = stale.checks.get(Role.SERVER)
    if server is None or not server.ok:
        return Health(plain=stale, stale=stale, leader_reachable=None if server is None else False)
    left = seconds - clock().since(began)
    plain = _health_answer(wire, HEALTH_PATH, left)
    if isinstance(plain, Failure):
        fair = left >= seconds / 2  # An agent that was slow itself has left its leader no time to answer.
        silent = plain.reason is FailureReason.TIMEOUT and fair
        return _without_leader(stale, seconds) if silent else replace(plain, has_partial_response=True)
    answered = plain.checks.get(Role.SERVER)
    return Health(plain=plain, stale=stale, leader_reachable=answered.ok if answered else None)


def _health_answer(wire: Wire, path: str, seconds: float) -> HealthAnswer | Failure:
    if seconds <= 0:
        return Failure(FailureReason.TIMEOUT, "no time was left for the leader")
    return _question(wire, path, seconds, sources.health)


def _without_leader(stale: HealthAnswer, seconds: float) -> Health:
    """The health of a server whose leader, in whom it believes, did not answer in time."""
    silent = Check(ok=False, message=f"leader did not answer within {durations.text(seconds)}")
    return Health(HealthAnswer(500, {**stale.checks, Role.SERVER: silent}), stale, leader_reachable=False)


_POLLS: Mapping[Source, Callable[[Wire, Clock, float], Any]] = {
    Source.SELF: lambda wire, _, seconds: _question(wire, SELF_PATH, seconds, sources.agent_self),
    Source.MEMBERS: lambda wire, _, seconds: _question(wire, MEMBERS_PATH, seconds, sources.members),
    Source.HEALTH: _health,
    Source.AUTOPILOT: lambda wire, _, seconds: _question(wire, AUTOPILOT_PATH, seconds, sources.autopilot),
}


class Poller:
    """The rounds of every agent of a fleet.

    ``seconds`` is the time of one attempt, ``on_change`` is told every change; with ``autopilot`` servers are asked for it.
    """

    def __init__(
        self,
        store: Store[Any],
        wires: Mapping[str, Wire],
        clock: Clock,
        seconds: float,
        on_change: Callable[[Agent, Change], None],
        *,
        autopilot: bool = False,
    ) -> None:
        self._store, self._wires, self._clock, self._seconds, self._on_change = store, wires, clock, seconds, on_change
        self._autopilot = autopilot

    def poll_health(self, agent: Agent, lateness: float = 0.0) -> bool:
        """Asks for ``health``; gives whether the agent kept us waiting until the time was over."""
        return self._poll(agent, Source.HEALTH, lateness)

    def poll_state(self, agent: Agent, lateness: float = 0.0) -> bool:
        """Asks for ``self``, a server for ``members`` too, and, where that is wanted, for what ``autopilot`` says.

        Gives whether one of them kept us waiting in vain. A client would pass ``members`` on to some server, and keeps
        the question for ever while it reaches none; a server passes ``autopilot`` on to its leader, and keeps the
        question for seconds while it has none.
        """
        hung = self._poll(agent, Source.SELF, lateness)
        for source in self._beside_self(agent):
            hung = self._poll(agent, source, lateness) or hung
        return hung

    def _beside_self(self, agent: Agent) -> Iterator[Source]:
        kept = self._store.get(agent.name)
        if kept and Role.SERVER in kept.snapshot.roles:
            yield Source.MEMBERS
            if self._autopilot and kept.snapshot.reaches_leader:
                yield Source.AUTOPILOT

    def _poll(self, agent: Agent, source: Source, lateness: float) -> bool:
        wire = self._wires.get(agent.name)
        if wire is None:
            return False
        reading = poll(source, wire, self._clock, self._seconds, lateness)
        for change in truncate(self._store.record(agent, reading)):
            self._on_change(agent, change)
        return isinstance(reading.outcome, Failure) and self._took_long(reading.outcome, reading.seconds)

    def _took_long(self, failure: Failure, seconds: float) -> bool:
        """Whether a thread was held up for nothing: by silence, or by a name that was resolved for ever."""
        return failure.reason is FailureReason.TIMEOUT or seconds >= self._seconds / 2
