"""Snapshots: immutable values with all that is known of one agent. A failed poll discards nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Generic

from nomad_exporter.clock import Instant
from nomad_exporter.nomad import stats
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import AgentSelf, Role
from nomad_exporter.nomad.sources import HEALTH, SELF, SOURCES, A, Source
from nomad_exporter.nomad.stats import Kind
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.budget import Budget
from nomad_exporter.polling.history import History
from nomad_exporter.polling.identity import Identity

REGIONS_PER_HOUR = 16
"""Maximum number of regions of one agent in an hour: each is another cluster. A region changes only with a restart."""

_NO_CERTIFICATES = Certificates()
_NO_HISTORY = History()
_NO_IDENTITY = Identity()
_REGIONS: Budget[str] = Budget(REGIONS_PER_HOUR, 3600.0)


@dataclass(frozen=True, slots=True)
class NodeName:
    """The result of a request for the name of a client's node; ``name`` is empty if the request failed."""

    node_id: str
    name: str
    requested: Instant


@dataclass(frozen=True, slots=True)
class Reading(Generic[A]):
    """The outcome of one poll of one source: an answer or a failure.

    ``seconds`` is the duration of the poll, ``lateness`` the seconds from when the poll was due until it began.
    ``size`` is the number of bytes of the response bodies. ``node_name`` is the newest result of a request for the node
    name, if the agent does not report its name.
    """

    source: Source[A]
    outcome: A | Failure
    began: Instant
    seconds: float
    _: KW_ONLY
    lateness: float = 0.0
    certificates: Certificates = _NO_CERTIFICATES
    node_name: NodeName | None = None
    size: int = 0

    @property
    def ended(self) -> Instant:
        """When the poll ended."""
        return self.began + self.seconds


@dataclass(frozen=True, slots=True)
class SourceState(Generic[A]):
    """The polls of one source: the newest reading, the newest answer and its arrival, and the numbers of polls."""

    source: Source[A]
    _: KW_ONLY
    last: Reading[A] | None = None
    answer: A | None = None
    answered: Instant | None = None
    polls: int = 0
    failures: int = 0

    def after(self, reading: Reading[A]) -> SourceState[A]:
        """Return the state with ``reading`` added; a reading that began before the newest one is only counted."""
        if self.last and reading.began.monotonic < self.last.began.monotonic:
            return replace(self, polls=self.polls + 1, failures=self.failures + isinstance(reading.outcome, Failure))
        counted = replace(self, last=reading, polls=self.polls + 1)
        if isinstance(reading.outcome, Failure):
            return replace(counted, failures=self.failures + 1)
        return replace(counted, answer=reading.outcome, answered=reading.ended)

    def cleared(self) -> SourceState[A]:
        """Return the state of a source that is no longer polled: only the numbers of polls."""
        return replace(self, last=None, answer=None, answered=None)

    @property
    def failure(self) -> Failure | None:
        """The failure of the newest poll; None if the newest poll succeeded, or if there was no poll."""
        return self.last.outcome if self.last and isinstance(self.last.outcome, Failure) else None

    def age(self, at: Instant) -> float:
        """Return the seconds since the newest answer arrived; infinite if there is no answer."""
        return at.since(self.answered) if self.answered else float("inf")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of one agent: ``snapshot[SELF]`` is the state of the source ``self``.

    ``states`` are the states of the sources that were polled. ``kinds`` are the kinds of unknown stats, as inferred
    from their values so far. ``last_poll_ended`` is the latest end of a poll of any source. ``consecutive_failures``
    counts polls of ``health`` in a row without any response, of which the newest ended at ``unresponsive_at``.
    ``stable_since`` is when an answer to ``self`` first repeated the leader and the raft configuration of the answer
    before; None if the newest one changed them. ``identity`` is who answers ``self``. ``region`` is the agent's region
    as answered, and ``regions`` the budget of its changes. ``node_name`` is the newest one of a reading. ``history`` is
    updated by ``transitions.apply``; ``after`` leaves ``history`` unchanged.
    """

    agent: Agent
    _: KW_ONLY
    states: Mapping[Source[Any], SourceState[Any]] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    certificates: Certificates = _NO_CERTIFICATES
    last_poll_ended: Instant | None = None
    consecutive_failures: int = 0
    unresponsive_at: Instant | None = None
    stable_since: Instant | None = None
    identity: Identity = _NO_IDENTITY
    region: str = ""
    regions: Budget[str] = _REGIONS
    node_name: NodeName | None = None
    history: History = _NO_HISTORY

    def __getitem__(self, source: Source[A]) -> SourceState[A]:
        """Return the state of ``source``."""
        return self.states.get(source) or SourceState(source)

    def after(self, reading: Reading[A]) -> Snapshot:
        """Return the snapshot with ``reading`` added."""
        failures = self._count_failures(reading)
        snapshot = replace(
            self,
            states={**self.states, reading.source: self[reading.source].after(reading)},
            certificates=reading.certificates,
            last_poll_ended=_later(self.last_poll_ended, reading.ended),
            consecutive_failures=failures,
            unresponsive_at=reading.ended if failures > self.consecutive_failures else self.unresponsive_at,
            node_name=reading.node_name or self.node_name,
        )
        if isinstance(reading.outcome, AgentSelf):
            snapshot = snapshot._learn(self[SELF].answer, reading.outcome, reading.ended)
        roles = snapshot.roles
        return snapshot.cleared(*(source for source in snapshot.states if roles and not source.applies_to(roles)))

    def cleared(self, *sources: Source[Any]) -> Snapshot:
        """Return the snapshot of an agent whose ``sources`` are not polled: only the numbers of polls are kept."""
        cleared = {source: self[source].cleared() for source in sources}
        return replace(self, states={**self.states, **cleared}) if cleared else self

    def _learn(self, before: AgentSelf | None, answer: AgentSelf, at: Instant) -> Snapshot:
        """Return the snapshot with what follows from a new answer to ``self``; ``before`` is the answer before."""
        is_unchanged = before is not None and (before.leader_address, before.configuration) == (
            answer.leader_address,
            answer.configuration,
        )
        regions = self.regions.admit([answer.region] if answer.region else [], at)
        return replace(
            self,
            region=answer.region if answer.region in regions.admitted else self.region,
            regions=regions,
            kinds=stats.learn(self.kinds, answer.unknown),
            stable_since=(self.stable_since or at) if is_unchanged else None,
            # An answer that a newer one has overtaken shows nothing about the order of the IDs.
            identity=self.identity.after(answer) if self[SELF].answer is answer else self.identity,
        )

    def _count_failures(self, reading: Reading[Any]) -> int:
        """Return the number of polls of ``health`` in a row without any response."""
        failure = reading.outcome if isinstance(reading.outcome, Failure) else None
        if failure is None or failure.is_responsive:
            return 0
        # A dead agent fails several sources at once. Only health is polled at an even interval, so only health counts.
        # Other failures, for example of DNS or of a token file, say nothing about the agent.
        is_counted = reading.source is HEALTH and failure.is_unresponsive
        return self.consecutive_failures + is_counted

    @property
    def source_states(self) -> tuple[SourceState[Any], ...]:
        """The states of all sources, in the order of ``SOURCES``; of an optional source only if it was ever polled."""
        return tuple(self[source] for source in SOURCES if self[source].polls or not source.optional)

    @property
    def roles(self) -> frozenset[Role]:
        """The agent's roles, from the newest answer to ``health`` or ``self``; empty if there is no answer."""
        health, agent_self = self[HEALTH], self[SELF]
        if health.answer and (not agent_self.answered or _answered(health) >= _answered(agent_self)):
            return health.answer.roles
        return agent_self.answer.roles if agent_self.answer else frozenset()

    @property
    def known_roles(self) -> frozenset[Role]:
        """The agent's roles as answered, else as configured, for labels and counts only; empty if neither is known."""
        # No verdict may depend on a configured role: it is no evidence.
        return self.roles or self.agent.roles

    @property
    def known_region(self) -> str:
        """The agent's region as answered, however long ago, else as configured; empty if neither is known."""
        return self.region or self.agent.region

    @property
    def reaches_leader(self) -> bool:
        """Whether the newest poll of ``health`` found a healthy server that reaches its leader."""
        health = self[HEALTH]
        check = health.answer.plain.checks.get(Role.SERVER) if health.answer and not health.failure else None
        return check is not None and check.ok

    def is_silent_since(self, source: Source[Any]) -> bool:
        """Return whether the newest poll of ``health`` or ``self`` had no response, after ``source`` was answered."""
        answered = self[source].answered
        return any(
            state.failure.is_silent and (answered is None or state.last.ended.since(answered) >= 0)
            for state in (self[HEALTH], self[SELF])
            if state.failure and state.last
        )

    @property
    def is_polled(self) -> bool:
        """Whether ``health`` and ``self`` were both polled, successfully or not."""
        return self[HEALTH].last is not None and self[SELF].last is not None


def _later(one: Instant | None, other: Instant) -> Instant:
    return one if one and one.monotonic > other.monotonic else other


def _answered(state: SourceState[Any]) -> float:
    return state.answered.monotonic if state.answered else float("-inf")
