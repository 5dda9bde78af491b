"""The history of one agent: counted transitions, and the little state that counting needs beside the newest answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import permutations, product

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import MEMBER_STATUSES, AgentSelf, Health, Members, Role
from nomad_exporter.nomad.sources.members import MEMBERS_LIMIT


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
"""What identifies a counter: the kind of transition and its label values, such as from and to."""

Counts = Mapping[Transition, Mapping[tuple[str, ...], int]]
"""The number of transitions by kind and label values."""

_INVALID_MEMBER = "Members[]"
"""The invalid field of an answer to ``members`` in which an entire member could not be decoded."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The last leader that a server reported, and whether the server has reported no leader since then."""

    address: str = ""
    lost: bool = False

    def after(self, reported: str | None, restarted: bool) -> Leader:
        """Return the state after the next answer.

        ``reported`` is the leader's address, empty if the server reported no leader, None if the answer lacks the
        field. A server that was ``restarted`` does not know a leader yet, so no loss is recorded.
        """
        if reported is None:
            return self
        if reported:
            return Leader(reported)
        return replace(self, lost=bool(self.address) and (self.lost or not restarted))


@dataclass(frozen=True, slots=True)
class Gossip:
    """The status of every known member, by name; ``missing`` are the known members that the newest answer lacks."""

    members: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def after(self, answer: Members) -> Gossip:
        """Return the state after the next answer. A member that two answers in a row lack has vanished.

        A member whose status could not be decoded keeps its previous status.
        """
        reported = {member.name: member.status or self.members.get(member.name, "") for member in answer.members}
        absent = self.members.keys() - reported.keys()
        # One answer is not enough: a server that has just started knows no members for a moment. An answer without some
        # of its members, such as one that could not be decoded, does not show which members are absent.
        is_partial = _INVALID_MEMBER in answer.invalid_fields or "members" in answer.omitted
        missing = sorted(absent)[:MEMBERS_LIMIT] if is_partial else absent - self.missing
        if reported == self.members and not self.missing:
            return self
        return Gossip({**{name: self.members[name] for name in missing}, **reported}, frozenset(missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The counts since the first answers.

    ``changed`` is the Unix time of the newest transition of each kind. ``refused`` is when a poll of any source was
    last refused, ``down`` when it was last refused by the agent or by a gateway in its place; None if that was not
    since the newest answer to ``self``.
    """

    counts: Counts = field(default_factory=dict)
    changed: Mapping[Transition, float] = field(default_factory=dict)
    leader: Leader = Leader()
    refused: Instant | None = None
    down: Instant | None = None
    gossip: Gossip = Gossip()

    def after_failure(self, failure: Failure, at: Instant) -> History:
        """Return the history after a failed poll that ended at this instant."""
        refused = at if failure.reason is FailureReason.REFUSED else self.refused
        return replace(self, refused=refused, down=at) if failure.is_refused else self

    def after_self(self, began: Instant) -> History:
        """Return the history after an answer to ``self`` whose poll began at this instant."""
        return replace(self, refused=_not_before(began, self.refused), down=_not_before(began, self.down))

    def with_zeros(self, zeros: Counts) -> History:
        """Return the history with a zero for each key of ``zeros`` that is not counted yet."""
        new = {kind: counts for kind, counts in zeros.items() if not counts.keys() <= self.counts.get(kind, {}).keys()}
        if not new:
            return self
        merged = {kind: {**counts, **self.counts.get(kind, {})} for kind, counts in new.items()}
        return replace(self, counts={**self.counts, **merged})

    def with_transitions(self, transitions: Collection[TransitionKey], at: Instant) -> History:
        """Return the history with ``transitions``, observed at this instant, counted."""
        if not transitions:
            return self
        counts, changed = dict(self.counts), dict(self.changed)
        for kind, labels in transitions:
            counts_of_kind = counts.get(kind, {})
            counts[kind] = {**counts_of_kind, labels: counts_of_kind.get(labels, 0) + 1}
            changed[kind] = at.wall
        return replace(self, counts=counts, changed=changed)


def _not_before(began: Instant, at: Instant | None) -> Instant | None:
    return at if at and at.since(began) > 0 else None


def zeros(answer: object) -> Counts:
    """Return the counters that start at zero with the first answer of this kind; empty for anything else."""
    if isinstance(answer, AgentSelf):
        return _SERVER_ZEROS if Role.SERVER in answer.roles else _AGENT_ZEROS
    if isinstance(answer, Members):
        return _MEMBER_ZEROS
    if isinstance(answer, Health):
        return {Transition.HEALTH_TRANSITIONS: _zeros(*product(sorted(answer.roles), ("healthy", "unhealthy")))}
    return {}


def _zeros(*labels: tuple[str, ...]) -> Mapping[tuple[str, ...], int]:
    return dict.fromkeys(labels, 0)


_NO_LABELS = _zeros(())
_AGENT_ZEROS: Counts = {Transition.RESTARTS: _NO_LABELS, Transition.VERSION_CHANGES: _NO_LABELS}
_SERVER_ZEROS: Counts = {
    **_AGENT_ZEROS,
    Transition.LEADER_CHANGES: _NO_LABELS,
    Transition.LEADER_LOSSES: _NO_LABELS,
    Transition.RAFT_STATE_TRANSITIONS: _zeros(*permutations(("Follower", "Candidate", "Leader"), 2)),
    Transition.RAFT_TERM_INCREASES: _NO_LABELS,
}
_MEMBER_ZEROS: Counts = {
    Transition.MEMBER_TRANSITIONS: _zeros(*permutations(MEMBER_STATUSES, 2)),
    Transition.MEMBERS_APPEARED: _NO_LABELS,
    Transition.MEMBERS_VANISHED: _NO_LABELS,
}
