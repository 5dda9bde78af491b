"""Transitions of one agent since monitoring began, counted: a value that each snapshot carries to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import permutations, product

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import MEMBER_STATUSES, AgentSelf, Health, Members, Role


class Transition(StrEnum):
    """A kind of change that is counted; the value is the middle of the metric's name."""

    LEADER_CHANGES = "leader_changes"
    LEADER_LOSSES = "leader_losses"
    RAFT_STATE_TRANSITIONS = "raft_state_transitions"
    RAFT_TERM_INCREASES = "raft_term_increases"
    MEMBER_TRANSITIONS = "member_transitions"
    MEMBERS_APPEARED = "members_appeared"
    MEMBERS_VANISHED = "members_vanished"
    RESTARTS = "restarts"
    HEALTH_TRANSITIONS = "health_transitions"
    VERSION_CHANGES = "version_changes"


TransitionKey = tuple[Transition, tuple[str, ...]]
"""A change as it is counted: its kind and the values of its labels, such as from and to."""

Counts = Mapping[Transition, Mapping[tuple[str, ...], int]]

_LEFT_OUT = "Members[]"
"""The flaw of an answer that lacks a member because it could not be read."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader that a server told last, and whether it told since then that there is none."""

    address: str = ""
    lost: bool = False

    def after(self, told: str | None, restarted: bool) -> Leader:
        """With the leader told next; empty where there is none, None where nothing was told.

        A server that was just restarted has heard of no leader yet, and has lost none.
        """
        if told is None:
            return self
        if told:
            return Leader(told)
        return replace(self, lost=bool(self.address) and (self.lost or not restarted))


@dataclass(frozen=True, slots=True)
class Gossip:
    """The statuses of the members that a server knows, by name; ``missing`` are those that its newest answer lacks."""

    members: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def after(self, told: Members) -> Gossip:
        """With the members told next. One that two answers in a row lack has vanished, and is known no more.

        The first of them says too little: a server that was just started knows nobody for a moment. Nor does an answer
        of which a member could not be read say who is not there. Where a status could not be read, it is as before.
        """
        now = {member.name: member.status or self.members.get(member.name, "") for member in told.members}
        lacking = self.members.keys() - now.keys()
        missing = lacking if _LEFT_OUT in told.invalid_fields else lacking - self.missing
        if now == self.members and not self.missing:
            return self
        return Gossip({**{name: self.members[name] for name in missing}, **now}, frozenset(missing))


@dataclass(frozen=True, slots=True)
class History:
    """The counts since the first answers, and the wall time of the newest change of each kind.

    The rest is what counting must remember beside the newest answers; ``refused`` is when an attempt was refused since
    the newest answer to ``self``.
    """

    counts: Counts = field(default_factory=dict)
    changed: Mapping[Transition, float] = field(default_factory=dict)
    leader: Leader = Leader()
    refused: Instant | None = None
    gossip: Gossip = Gossip()

    def with_zeros(self, zeros: Counts) -> History:
        """Counting also what ``zeros`` holds; what is counted already stays."""
        new = {kind: found for kind, found in zeros.items() if not found.keys() <= self.counts.get(kind, {}).keys()}
        if not new:
            return self
        begun = {kind: {**found, **self.counts.get(kind, {})} for kind, found in new.items()}
        return replace(self, counts={**self.counts, **begun})

    def with_transitions(self, changes: Iterable[TransitionKey], at: Instant) -> History:
        """With ``changes`` counted, which were seen at this instant."""
        counts, changed = dict(self.counts), dict(self.changed)
        for kind, labels in changes:
            found = counts.get(kind, {})
            counts[kind] = {**found, labels: found.get(labels, 0) + 1}
            changed[kind] = at.wall
        return replace(self, counts=counts, changed=changed)


def zeros(answer: object) -> Counts:
    """The counts that begin at zero with the first such answer: those of all changes that the next one can show."""
    if isinstance(answer, AgentSelf):
        return _OF_SERVER if Role.SERVER in answer.roles else _OF_AGENT
    if isinstance(answer, Members):
        return _OF_MEMBERS
    if isinstance(answer, Health):
        return {Transition.HEALTH_TRANSITIONS: _each(*product(sorted(answer.roles), ("healthy", "unhealthy")))}
    return {}


def _each(*labels: tuple[str, ...]) -> Mapping[tuple[str, ...], int]:
    return dict.fromkeys(labels, 0)


_ONE = _each(())
_OF_AGENT: Counts = {Transition.RESTARTS: _ONE, Transition.VERSION_CHANGES: _ONE}
_OF_SERVER: Counts = {
    **_OF_AGENT,
    Transition.LEADER_CHANGES: _ONE,
    Transition.LEADER_LOSSES: _ONE,
    Transition.RAFT_STATE_TRANSITIONS: _each(*permutations(("Follower", "Candidate", "Leader"), 2)),
    Transition.RAFT_TERM_INCREASES: _ONE,
}
_OF_MEMBERS: Counts = {
    Transition.MEMBER_TRANSITIONS: _each(*permutations(MEMBER_STATUSES, 2)),
    Transition.MEMBERS_APPEARED: _ONE,
    Transition.MEMBERS_VANISHED: _ONE,
}
