"""The gossip pool as each server sees it: probing, suspicion and status updates as in serf and memberlist; pure."""

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
    """A member of the gossip pool as one server sees it.

    ``lamport_time`` is the Lamport time of the status; every ``…_since`` is a time on the cluster's clock.
    ``suspicion_timeout`` is the time in seconds from ``unreachable_since`` until the member is failed.
    """

    setup: Setup
    status: str
    lamport_time: int
    status_since: float
    unreachable_since: float | None = None
    suspicion_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class Gossip:
    """All members that the server ``local_name`` knows, by name, including the server itself."""

    local_name: str
    members: Mapping[str, Member]

    @property
    def lamport_time(self) -> int:
        """Return the latest Lamport time of any member."""
        return max(member.lamport_time for member in self.members.values())

    @property
    def local_member(self) -> Member:
        """Return the server's own member."""
        return self.members[self.local_name]

    @property
    def alive_addresses(self) -> tuple[str, ...]:
        """Return the serf addresses of the members that are alive; a restarted server tries to rejoin them."""
        return tuple(member.setup.serf_address for member in self.members.values() if member.status == ALIVE)

    def count(self, status: str) -> int:
        """Return the number of members with this status."""
        return sum(member.status == status for member in self.members.values())

    def alive(self, region: str) -> tuple[Member, ...]:
        """Return the members of ``region`` that are alive, sorted by name."""
        return tuple(
            member
            for _, member in sorted(self.members.items())
            if member.status == ALIVE and member.setup.region == region
        )


def create(setup: Setup, now: float) -> Gossip:
    """Return the gossip state of a server that starts for the first time."""
    return Gossip(setup.member, {setup.member: Member(setup, ALIVE, 1, now)})


def with_status(gossip: Gossip, name: str, status: str, now: float) -> Gossip:
    """Return the gossip state with a new status of ``name``, at a Lamport time that supersedes every other status."""
    changed = replace(gossip.members[name], status=status, lamport_time=gossip.lamport_time + 1, status_since=now)
    return replace(gossip, members={**gossip.members, name: changed})


def restart(gossip: Gossip, setup: Setup, now: float) -> Gossip:
    """Return the gossip state of a restarted server: only its own member, at a later Lamport time than any before."""
    return replace(gossip, members={gossip.local_name: Member(setup, ALIVE, gossip.lamport_time + 1, now)})


def force_leave(gossip: Gossip, name: str, now: float) -> Gossip:
    """Mark a failed member as left and any other member as leaving; ignore unknown, left and own members."""
    # A member that is still running refutes the status in the next exchange.
    member = gossip.members.get(name)
    if member is None or member.status == LEFT or name == gossip.local_name:
        return gossip
    return with_status(gossip, name, LEFT if member.status == FAILED else LEAVING, now)


def prune(gossip: Gossip, name: str) -> Gossip:
    """Remove the member ``name`` if it has left."""
    member = gossip.members.get(name)
    if member is None or member.status != LEFT:
        return gossip
    return replace(gossip, members={other: member for other, member in gossip.members.items() if other != name})


def probe(gossip: Gossip, reachable: frozenset[str], now: float, timing: Timing, draw: Draw) -> Gossip:
    """Return the gossip state after one probe round, in which the members ``reachable`` responded."""
    probed = {
        name: member if name == gossip.local_name else _probe_member(member, name in reachable, now, timing, draw)
        for name, member in gossip.members.items()
    }
    members = {name: member for name, member in probed.items() if not _is_reapable(member, now, timing)}
    return gossip if members == gossip.members else replace(gossip, members=members)


def _probe_member(member: Member, reachable: bool, now: float, timing: Timing, draw: Draw) -> Member:
    if reachable and member.status == FAILED:
        return replace(member, status=ALIVE, status_since=now, unreachable_since=None)
    if reachable:
        return member if member.unreachable_since is None else replace(member, unreachable_since=None)
    if member.unreachable_since is None:
        return replace(member, unreachable_since=now, suspicion_timeout=draw(timing.suspicion_timeout))
    if member.status in (ALIVE, LEAVING) and now - member.unreachable_since >= member.suspicion_timeout:
        return replace(member, status=FAILED if member.status == ALIVE else LEFT, status_since=now)
    return member


def _is_reapable(member: Member, now: float, timing: Timing) -> bool:
    timeouts = {FAILED: timing.reap_failed, LEFT: timing.reap_left}
    return member.status in timeouts and now - member.status_since >= timeouts[member.status]


def merge(mine: Gossip, theirs: Gossip, now: float) -> Gossip:
    """Merge the state ``theirs`` of another server into ``mine``: add new members, take over newer statuses."""
    updates = {
        name: replace(member, status_since=now, unreachable_since=None)
        for name, member in theirs.members.items()
        if name != mine.local_name and _is_newer(mine.members.get(name), member)
    }
    own = _refute(mine, theirs)
    if not updates and own is mine.local_member:
        return mine
    return replace(mine, members={**mine.members, **updates, mine.local_name: own})


def _refute(mine: Gossip, theirs: Gossip) -> Member:
    """Return the server's own member, at a later Lamport time if the other server claims a different status."""
    own, claim = mine.local_member, theirs.members.get(mine.local_name)
    if claim is None or claim.status == own.status or claim.lamport_time < own.lamport_time:
        return own
    return replace(own, lamport_time=max(mine.lamport_time, theirs.lamport_time) + 1)


def _is_newer(member: Member | None, other: Member) -> bool:
    if member is None:
        return other.status in (ALIVE, LEAVING)
    suspected = member.unreachable_since is not None and member.status == ALIVE and other.status == FAILED
    return other.lamport_time > member.lamport_time or (other.lamport_time == member.lamport_time and suspected)


_EVENTS = {ALIVE: "serf: EventMemberJoin", FAILED: "serf: EventMemberFailed", LEFT: "serf: EventMemberLeave"}


def events(before: Gossip, after: Gossip) -> tuple[LogMessage, ...]:
    """Return the log messages of a server for members that joined, failed or left."""
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
