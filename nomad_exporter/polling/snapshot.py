"""All we know of one agent, frozen. ``snapshot.after(reading)`` gives the next; a failure erases nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast

from nomad_exporter.clock import Instant
from nomad_exporter.nomad import stats
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Health, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.nomad.stats import Kind
from nomad_exporter.polling.history import History

A = TypeVar("A")

_NO_CERTIFICATES = Certificates()
_NO_HISTORY = History()


@dataclass(frozen=True, slots=True)
class Reading(Generic[A]):
    """The outcome of one attempt at one source.

    ``lateness`` is by how many seconds the attempt began after it was due; ``seconds`` how long it took.
    """

    source: Source
    outcome: A | Failure
    began: Instant
    seconds: float
    lateness: float = 0.0
    certificates: Certificates = _NO_CERTIFICATES

    @property
    def ended(self) -> Instant:
        return self.began + self.seconds


@dataclass(frozen=True, slots=True)
class SourceState(Generic[A]):
    """What we saw of one source: the newest reading, the newest answer and when it came, and the counts of attempts."""

    source: Source
    last: Reading[A] | None = None
    answer: A | None = None
    answered: Instant | None = None
    polls: int = 0
    failures: int = 0

    def after(self, reading: Reading[A]) -> SourceState[A]:
        """With ``reading`` seen too; one that began before the newest is counted and nothing else."""
        if self.last and reading.began.monotonic < self.last.began.monotonic:
            return replace(self, polls=self.polls + 1, failures=self.failures + isinstance(reading.outcome, Failure))
        counted = replace(self, last=reading, polls=self.polls + 1)
        if isinstance(reading.outcome, Failure):
            return replace(counted, failures=self.failures + 1)
        return replace(counted, answer=reading.outcome, answered=reading.ended)

    def cleared(self) -> SourceState[A]:
        """The counts alone: of an agent that is no server any more, nobody asks for members."""
        return replace(self, last=None, answer=None, answered=None)

    @property
    def failure(self) -> Failure | None:
        """Why the newest attempt failed; None where it did not, or where there was none yet."""
        return self.last.outcome if self.last and isinstance(self.last.outcome, Failure) else None

    def age(self, at: Instant) -> float:
        """The seconds since the newest answer came; infinite where none did."""
        return at.since(self.answered) if self.answered else float("inf")


AnySourceState = SourceState[Health] | SourceState[AgentSelf] | SourceState[Members] | SourceState[Autopilot]
AnyReading = Reading[Health] | Reading[AgentSelf] | Reading[Members] | Reading[Autopilot]

_FIELDS = {
    Source.HEALTH: "health",
    Source.SELF: "agent_self",
    Source.MEMBERS: "members",
    Source.AUTOPILOT: "autopilot",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One agent and what we saw of its sources; ``agent_self`` is what it said of itself.

    ``kinds`` is what the values of stats unknown to us have proved so far. ``consecutive_failures`` counts the attempts at health
    in a row without any sign of life, ``unchanged_answers`` the answers in a row that told the same leader and configuration.
    ``last_poll_ended`` is when the newest attempt at any source ended.
    ``history`` is what changed so far; ``changes.follow`` goes on with it, ``after`` leaves it as it is.
    """

    agent: Agent
    health: SourceState[Health] = SourceState(Source.HEALTH)
    agent_self: SourceState[AgentSelf] = SourceState(Source.SELF)
    members: SourceState[Members] = SourceState(Source.MEMBERS)
    autopilot: SourceState[Autopilot] = SourceState(Source.AUTOPILOT)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    certificates: Certificates = _NO_CERTIFICATES
    last_poll_ended: Instant | None = None
    consecutive_failures: int = 0
    unchanged_answers: int = 0
    history: History = _NO_HISTORY

    def after(self, reading: AnyReading) -> Snapshot:
        """What we know once ``reading`` is known too."""
        seen: Any = self.of(reading.source).after(cast(Any, reading))
        following = replace(
            self,
            certificates=reading.certificates,
            last_poll_ended=_later(self.last_poll_ended, reading.ended),
            consecutive_failures=self._count_failures(reading),
            **{_FIELDS[reading.source]: seen},
        )
        if isinstance(reading.outcome, AgentSelf):
            following = following._learn(self.agent_self.answer, reading.outcome)
        if following.roles and Role.SERVER not in following.roles:
            return following.cleared(Source.MEMBERS).cleared(Source.AUTOPILOT)
        return following

    def cleared(self, source: Source) -> Snapshot:
        """What is known where ``source`` is not asked for any more: of it the counts alone."""
        forgotten: Any = self.of(source).cleared()
        return replace(self, **{_FIELDS[source]: forgotten})

    def _learn(self, before: AgentSelf | None, now: AgentSelf) -> Snapshot:
        """With what an answer to ``self`` proves beside itself."""
        same = before is not None and (before.leader_address, before.configuration) == (
            now.leader_address,
            now.configuration,
        )
        return replace(
            self,
            kinds=stats.learn(self.kinds, now.unknown),
            unchanged_answers=self.unchanged_answers + 1 if same else 1,
        )

    def _count_failures(self, reading: AnyReading) -> int:
        """A dead agent fails several sources at once; only the attempts at health, which come evenly, are counted."""
        failure = reading.outcome if isinstance(reading.outcome, Failure) else None
        if failure is None or failure.is_responsive:
            return 0
        if reading.source is not Source.HEALTH:
            return self.consecutive_failures
        return self.consecutive_failures + 1 if failure.is_unresponsive else 0

    def of(self, source: Source) -> AnySourceState:
        """What we saw of ``source``."""
        return cast(AnySourceState, getattr(self, _FIELDS[source]))

    @property
    def source_states(self) -> tuple[AnySourceState, ...]:
        """What we saw of every source, in the order in which they are asked; of autopilot only where it ever was."""
        return tuple(self.of(source) for source in Source if source is not Source.AUTOPILOT or self.autopilot.polls)

    @property
    def roles(self) -> frozenset[Role]:
        """The roles of the agent by its newest answer to ``health`` or ``self``; empty while there is none."""
        health, own = self.health, self.agent_self
        if health.answer and (not own.answered or _ended(health) >= _ended(own)):
            return health.answer.roles
        return own.answer.roles if own.answer else frozenset()

    @property
    def reaches_leader(self) -> bool:
        """Whether the agent is a server that was well, through its leader, when it was asked for its health last."""
        if self.health.failure or self.health.answer is None:
            return False
        check = self.health.answer.plain.checks.get(Role.SERVER)
        return check is not None and check.ok

    @property
    def is_polled(self) -> bool:
        """Whether ``health`` and ``self`` were both tried, successfully or not."""
        return self.health.last is not None and self.agent_self.last is not None


def _later(before: Instant | None, now: Instant) -> Instant:
    return before if before and before.monotonic > now.monotonic else now


def _ended(seen: AnySourceState) -> float:
    return seen.answered.monotonic if seen.answered else float("-inf")
