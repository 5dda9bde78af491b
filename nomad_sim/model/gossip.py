"""Gossip in small: what one server knows of the others, and how that spreads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nomad_sim.model.messages import LogMessage
from nomad_sim.model.rng import Draw
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup

ALIVE, LEAVING, LEFT, FAILED = "alive", "leaving", "left", "failed"


@dataclass(frozen=True, slots=True)
class Member:
    """A member as one server knows it. ``lamport_time`` is the Lamport time of its status; the others are of the clock.

    ``suspicion_timeout`` is how long after ``unreachable_since`` it counts as failed.
    """

    setup: Setup
    status: str
    lamport_time: int
    since: float
    unreachable_since: float | None = None
    suspicion_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class Gossip:
    """All members that one server, ``local_name``, knows, itself included, by name."""

    local_name: str
    members: Mapping[str, Member]

    @property
    def lamport_time(self) -> int:
        return max(member.lamport_time for member in self.members.values())

    @property
    def local_member(self) -> Member:
        return self.members[self.local_name]

    @property
    def alive_addresses(self) -> tuple[str, ...]:
        """Where those are who are alive: a server that starts again tries to find them there."""
        return tuple(member.setup.serf_address for member in self.members.values() if member.status == ALIVE)

    def count(self, status: str) -> int:
        return sum(member.status == status for member in self.members.values())

    def alive(self, region: str) -> tuple[Member, ...]:
        """The members of ``region`` that are alive, by name."""
        return tuple(
            member
            for _, member in sorted(self.members.items())
            if member.status == ALIVE and member.setup.region == region
        )


def create(setup: Setup, now: float) -> Gossip:
    """What a server knows that starts for the first time."""
    return Gossip(setup.member, {setup.member: Member(setup, ALIVE, 1, now)})


def with_status(gossip: Gossip, name: str, status: str, now: float) -> Gossip:
    """``name`` with a status that will spread."""
    changed = replace(gossip.members[name], status=status, lamport_time=gossip.lamport_time + 1, since=now)
    return replace(gossip, members={**gossip.members, name: changed})


def restart(gossip: Gossip, setup: Setup, now: float) -> Gossip:
    """What a server knows that starts again: itself alone, at a time newer than all that it knew."""
    return replace(gossip, members={gossip.local_name: Member(setup, ALIVE, gossip.lamport_time + 1, now)})


def force_leave(gossip: Gossip, name: str, now: float) -> Gossip:
    """Tells that ``name`` has left; one that lives objects, itself at once, and counts as leaving until then."""
    member = gossip.members.get(name)
    if member is None or member.status == LEFT or name == gossip.local_name:
        return gossip
    return with_status(gossip, name, LEFT if member.status == FAILED else LEAVING, now)


def prune(gossip: Gossip, name: str) -> Gossip:
    """Forgets ``name`` where it has left."""
    member = gossip.members.get(name)
    if member is None or member.status != LEFT:
        return gossip
    return replace(gossip, members={other: member for other, member in gossip.members.items() if other != name})


def probe(gossip: Gossip, reachable: frozenset[str], now: float, timing: Timing, draw: Draw) -> Gossip:
    """After a round in which the members ``reachable`` were heard of, by whatever way."""
    fresh = {
        name: member if name == gossip.local_name else _probe_member(member, name in reachable, now, timing, draw)
        for name, member in gossip.members.items()
    }
    kept = {name: member for name, member in fresh.items() if not _is_reapable(member, now, timing)}
    return gossip if kept == gossip.members else replace(gossip, members=kept)


def _probe_member(member: Member, reachable: bool, now: float, timing: Timing, draw: Draw) -> Member:
    if reachable:
        back = member.status == FAILED
        return (
            replace(member, status=ALIVE, since=now, unreachable_since=None)
            if back
            else replace(member, unreachable_since=None)
        )
    if member.unreachable_since is None:
        return replace(member, unreachable_since=now, suspicion_timeout=draw(timing.suspicion_timeout))
    if member.status in (ALIVE, LEAVING) and now - member.unreachable_since >= member.suspicion_timeout:
        return replace(member, status=FAILED if member.status == ALIVE else LEFT, since=now)
    return member


def _is_reapable(member: Member, now: float, timing: Timing) -> bool:
    limits = {FAILED: timing.reap_failed, LEFT: timing.reap_left}
    return member.status in limits and now - member.since >= limits[member.status]


def merge(mine: Gossip, theirs: Gossip, now: float) -> Gossip:
    """After ``theirs`` came: who is new, whose status is newer, who has failed meanwhile."""
    if mine.members == theirs.members:
        return mine
    fresh = {
        name: replace(member, since=now, unreachable_since=None)
        for name, member in theirs.members.items()
        if name != mine.local_name and _is_newer(mine.members.get(name), member)
    }
    return replace(mine, members={**mine.members, **fresh, mine.local_name: _refute(mine, theirs)})


def _refute(mine: Gossip, theirs: Gossip) -> Member:
    """Itself as it is, and newer than a rumour that says otherwise."""
    own, rumour = mine.local_member, theirs.members.get(mine.local_name)
    if rumour is None or rumour.status == own.status or rumour.lamport_time < own.lamport_time:
        return own
    return replace(own, lamport_time=max(mine.lamport_time, theirs.lamport_time) + 1)


def _is_newer(member: Member | None, other: Member) -> bool:
    if member is None:
        return other.status in (ALIVE, LEAVING)
    suspected = member.unreachable_since is not None and member.status == ALIVE and other.status == FAILED
    return other.lamport_time > member.lamport_time or (other.lamport_time == member.lamport_time and suspected)


_EVENTS = {ALIVE: "serf: EventMemberJoin", FAILED: "serf: EventMemberFailed", LEFT: "serf: EventMemberLeave"}


def events(before: Gossip, after: Gossip) -> tuple[LogMessage, ...]:
    """The lines that a server writes into its log about what changed."""
    if before is after:
        return ()
    changed = [
        (name, member)
        for name, member in after.members.items()
        if name not in before.members or before.members[name].status != member.status
    ]
    return tuple(
        LogMessage("info", f"{_EVENTS[member.status]}: {name} {member.setup.host}")
        for name, member in changed
        if member.status in _EVENTS
    )
