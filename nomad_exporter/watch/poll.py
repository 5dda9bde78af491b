"""Asks one agent for one source: no threads, no schedule, no sleeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from nomad_exporter.clock import Clock
from nomad_exporter.nomad import durations, sources
from nomad_exporter.nomad.answers import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.watch.snapshot import A, AnyReading, Reading


class Wire(Protocol):
    """What a poll needs of a transport."""

    @property
    def certificates(self) -> Certificates: ...

    def get(self, path: str, seconds: float) -> Reply | Failure: ...


def ask(source: Source, wire: Wire, clock: Clock, seconds: float, lateness: float = 0.0) -> AnyReading:
    """One attempt at ``source``, over within ``seconds``; ``lateness`` is noted in the reading."""
    began = clock()
    outcome: Any = _ASKED[source](wire, clock, seconds)
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
        silent = plain.reason is Reason.TIMEOUT and fair
        return _without_leader(stale, seconds) if silent else replace(plain, answered=True)
    answered = plain.checks.get(Role.SERVER)
    return Health(plain=plain, stale=stale, leader_reachable=answered.ok if answered else None)


def _health_answer(wire: Wire, path: str, seconds: float) -> HealthAnswer | Failure:
    if seconds <= 0:
        return Failure(Reason.TIMEOUT, "no time was left for the leader")
    return _question(wire, path, seconds, sources.health)


def _without_leader(stale: HealthAnswer, seconds: float) -> Health:
    """The health of a server whose leader, in whom it believes, did not answer in time."""
    silent = Check(ok=False, message=f"leader did not answer within {durations.text(seconds)}")
    return Health(HealthAnswer(500, {**stale.checks, Role.SERVER: silent}), stale, leader_reachable=False)


_ASKED: Mapping[Source, Callable[[Wire, Clock, float], Any]] = {
    Source.SELF: lambda wire, _, seconds: _question(wire, SELF_PATH, seconds, sources.agent_self),
    Source.MEMBERS: lambda wire, _, seconds: _question(wire, MEMBERS_PATH, seconds, sources.members),
    Source.HEALTH: _health,
    Source.AUTOPILOT: lambda wire, _, seconds: _question(wire, AUTOPILOT_PATH, seconds, sources.autopilot),
}
