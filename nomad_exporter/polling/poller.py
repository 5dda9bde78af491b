"""Polls: which requests are sent to an agent, and what their responses become. No threads, no schedule, no sleeping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
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
from nomad_exporter.polling.transitions import Change


class Wire(Protocol):
    """What a poll needs of a transport: a GET request with a timeout in seconds, and the certificates in use."""

    @property
    def certificates(self) -> Certificates: ...

    def get(self, path: str, seconds: float) -> Reply | Failure: ...


def poll(source: Source, wire: Wire, clock: Clock, seconds: float, lateness: float = 0.0) -> AnyReading:
    """Poll ``source`` once, with a timeout of ``seconds`` for all its requests together, and return the reading.

    ``lateness`` is the seconds since the poll was due; the reading includes it.
    """
    began = clock()
    outcome: Any = _POLLS[source](wire, clock, seconds)
    return Reading(source, outcome, began, clock().since(began), lateness, wire.certificates)


def _request(wire: Wire, path: str, seconds: float, decode: Callable[[Reply], A | Failure]) -> A | Failure:
    reply = wire.get(path, seconds)
    return reply if isinstance(reply, Failure) else decode(reply)


def _poll_health(wire: Wire, clock: Clock, seconds: float) -> Health | Failure:
    """Poll the agent with ``?stale``, then, if the agent knows a leader, through the leader, under one deadline."""
    # Nomad holds a plain request for five seconds if there is no leader, but responds to ?stale at once. So an
    # unhealthy ?stale is the result. A healthy ?stale only shows that the agent knows a leader, which may be dead.
    began = clock()
    stale = _request_health(wire, STALE_HEALTH_PATH, seconds)
    if isinstance(stale, Failure):
        return stale
    server = stale.checks.get(Role.SERVER)
    if server is None or not server.ok:
        return Health(plain=stale, stale=stale, leader_reachable=None if server is None else False)
    remaining = seconds - clock().since(began)
    plain = _request_health(wire, HEALTH_PATH, remaining)
    if isinstance(plain, Failure):
        # If the agent itself was slow, the leader had too little time to respond.
        is_leader_at_fault = plain.reason is FailureReason.TIMEOUT and remaining >= seconds / 2
        return _without_leader(stale, seconds) if is_leader_at_fault else replace(plain, has_partial_response=True)
    check = plain.checks.get(Role.SERVER)
    return Health(plain=plain, stale=stale, leader_reachable=check.ok if check else None)


def _request_health(wire: Wire, path: str, seconds: float) -> HealthAnswer | Failure:
    if seconds <= 0:
        return Failure(FailureReason.TIMEOUT, "no time left to reach the leader")
    return _request(wire, path, seconds, sources.health)


def _without_leader(stale: HealthAnswer, seconds: float) -> Health:
    """Return the health of a server that knows a leader which did not respond in time."""
    check = Check(ok=False, message=f"leader did not respond within {durations.text(seconds)}")
    return Health(HealthAnswer(500, {**stale.checks, Role.SERVER: check}), stale, leader_reachable=False)


_POLLS: Mapping[Source, Callable[[Wire, Clock, float], Any]] = {
    Source.SELF: lambda wire, _, seconds: _request(wire, SELF_PATH, seconds, sources.agent_self),
    Source.MEMBERS: lambda wire, _, seconds: _request(wire, MEMBERS_PATH, seconds, sources.members),
    Source.HEALTH: _poll_health,
    Source.AUTOPILOT: lambda wire, _, seconds: _request(wire, AUTOPILOT_PATH, seconds, sources.autopilot),
}


class JobOutcome(Enum):
    """The outcome of one run of a poll job. A run has hung if a poll occupied a thread for long and then failed."""

    COMPLETED = "completed"
    HUNG = "hung"


class Poller:
    """The polls of all agents: records every reading in ``store``, and passes its changes to ``on_changes``.

    ``seconds`` is the timeout of one poll. With ``autopilot``, servers that reach their leader are polled for it too.
    """

    def __init__(
        self,
        *,
        store: Store[Any],
        wires: Mapping[str, Wire],
        clock: Clock,
        seconds: float,
        on_changes: Callable[[Agent, Sequence[Change]], None],
        autopilot: bool = False,
    ) -> None:
        self._store, self._wires, self._clock = store, wires, clock
        self._seconds, self._on_changes, self._autopilot = seconds, on_changes, autopilot

    def poll_health(self, agent: Agent, lateness: float = 0.0) -> JobOutcome:
        """Poll ``health``."""
        return self._poll(agent, Source.HEALTH, lateness)

    def poll_state(self, agent: Agent, lateness: float = 0.0) -> JobOutcome:
        """Poll ``self``, of a server also ``members`` and, if enabled, ``autopilot``; HUNG if any of the polls hung."""
        outcomes = [self._poll(agent, Source.SELF, lateness)]
        outcomes += (self._poll(agent, source, lateness) for source in self._server_sources(agent))
        return JobOutcome.HUNG if JobOutcome.HUNG in outcomes else JobOutcome.COMPLETED

    def _server_sources(self, agent: Agent) -> Iterator[Source]:
        """Yield the sources to poll after ``self``; none unless the agent is known to be a server."""
        # A client forwards members to a server, and does not respond while it reaches none. A server forwards
        # autopilot to the leader, and responds only after seconds while there is none.
        entry = self._store.get(agent.name)
        if entry and Role.SERVER in entry.snapshot.roles:
            yield Source.MEMBERS
            if self._autopilot and entry.snapshot.reaches_leader:
                yield Source.AUTOPILOT

    def _poll(self, agent: Agent, source: Source, lateness: float) -> JobOutcome:
        wire = self._wires.get(agent.name)
        if wire is None:  # The agent was removed by a reload.
            return JobOutcome.COMPLETED
        reading = poll(source, wire, self._clock, self._seconds, lateness)
        self._on_changes(agent, self._store.record(agent, reading))
        return JobOutcome.HUNG if self._has_hung(reading) else JobOutcome.COMPLETED

    def _has_hung(self, reading: AnyReading) -> bool:
        """Return whether the poll failed by timeout, or after half of the timeout, as slow name resolution can."""
        is_slow = reading.seconds >= self._seconds / 2
        return isinstance(reading.outcome, Failure) and (is_slow or reading.outcome.reason is FailureReason.TIMEOUT)
