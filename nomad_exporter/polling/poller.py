"""Polls: which requests are sent to an agent, and what their responses become. No threads, no schedule, no sleeping."""

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


class Poller:
    """The polls of all agents: records every reading in ``store`` and passes every change to ``on_change``.

    ``seconds`` is the timeout of one poll. With ``autopilot``, servers that reach their leader are polled for it too.
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
        """Poll ``health``; return whether the poll hung, that is, occupied a thread for long and then failed."""
        return self._poll(agent, Source.HEALTH, lateness)

    def poll_state(self, agent: Agent, lateness: float = 0.0) -> bool:
        """Poll ``self``, of a server also ``members`` and, if enabled, ``autopilot``; return whether any poll hung."""
        hung = self._poll(agent, Source.SELF, lateness)
        for source in self._server_sources(agent):
            hung = self._poll(agent, source, lateness) or hung
        return hung

    def _server_sources(self, agent: Agent) -> Iterator[Source]:
        """Yield the sources to poll after ``self``; none unless the agent is known to be a server."""
        # A client forwards members to a server, and does not respond while it reaches none. A server forwards
        # autopilot to the leader, and responds only after seconds while there is none.
        entry = self._store.get(agent.name)
        if entry and Role.SERVER in entry.snapshot.roles:
            yield Source.MEMBERS
            if self._autopilot and entry.snapshot.reaches_leader:
                yield Source.AUTOPILOT

    def _poll(self, agent: Agent, source: Source, lateness: float) -> bool:
        wire = self._wires.get(agent.name)
        if wire is None:  # The agent was removed by a reload.
            return False
        reading = poll(source, wire, self._clock, self._seconds, lateness)
        for change in truncate(self._store.record(agent, reading)):
            self._on_change(agent, change)
        return isinstance(reading.outcome, Failure) and self._hung(reading.outcome, reading.seconds)

    def _hung(self, failure: Failure, seconds: float) -> bool:
        """Return whether a failed poll timed out, or took half of the timeout, as slow name resolution can."""
        return failure.reason is FailureReason.TIMEOUT or seconds >= self._seconds / 2
