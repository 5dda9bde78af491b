"""Gossip in small: what one server knows of the others, and how that spreads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nomad_exporter.demo.model.chance import Draw
from nomad_exporter.demo.model.messages import Said
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.setup import Setup

ALIVE, LEAVING, LEFT, FAILED = "alive", "leaving", "left", "failed"


@dataclass(frozen=True, slots=True)
class Known:
    """A member as one server knows it. ``time`` is the Lamport time of its status; the others are of the clock.

    ``unheard`` is since when it is not heard; ``notice`` how long that may last before it counts as failed.
    """

    setup: Setup
    status: str
    time: int
    since: float
    unheard: float | None = None
    notice: float = 0.0


@dataclass(frozen=True, slots=True)
class Gossip:
    """All members that one server, ``me``, knows, itself included, by name."""

    me: str
    members: Mapping[str, Known]

    @property
    def time(self) -> int:
        return max(known.time for known in self.members.values())

    @property
    def own(self) -> Known:
        return self.members[self.me]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where those are who are alive: a server that starts again tries to find them there."""
        return tuple(known.setup.serf_address for known in self.members.values() if known.status == ALIVE)

    def count(self, status: str) -> int:
        return sum(known.status == status for known in self.members.values())

    def alive(self, region: str) -> tuple[Known, ...]:
        """The members of ``region`` that are alive, by name."""
        return tuple(
            known for _, known in sorted(self.members.items()) if known.status == ALIVE and known.setup.region == region
        )


def born(setup: Setup, now: float) -> Gossip:
    """What a server knows that starts for the first time."""
    return Gossip(setup.member, {setup.member: Known(setup, ALIVE, 1, now)})


def with_status(gossip: Gossip, name: str, status: str, now: float) -> Gossip:
    """``name`` with a status that will spread."""
    told = replace(gossip.members[name], status=status, time=gossip.time + 1, since=now)
    return replace(gossip, members={**gossip.members, name: told})


def reborn(gossip: Gossip, setup: Setup, now: float) -> Gossip:
    """What a server knows that starts again: itself alone, at a time newer than all that it knew."""
    return replace(gossip, members={gossip.me: Known(setup, ALIVE, gossip.time + 1, now)})


def force_left(gossip: Gossip, name: str, now: float) -> Gossip:
    """Tells that ``name`` has left; one that lives objects, itself at once, and counts as leaving until then."""
    known = gossip.members.get(name)
    if known is None or known.status == LEFT or name == gossip.me:
        return gossip
    return with_status(gossip, name, LEFT if known.status == FAILED else LEAVING, now)


def pruned(gossip: Gossip, name: str) -> Gossip:
    """Forgets ``name`` where it has left."""
    known = gossip.members.get(name)
    if known is None or known.status != LEFT:
        return gossip
    return replace(gossip, members={other: member for other, member in gossip.members.items() if other != name})


def listened(gossip: Gossip, heard: frozenset[str], now: float, timing: Timing, draw: Draw) -> Gossip:
    """After a round in which the members ``heard`` were heard of, by whatever way."""
    fresh = {
        name: member if name == gossip.me else _listened(member, name in heard, now, timing, draw)
        for name, member in gossip.members.items()
    }
    kept = {name: member for name, member in fresh.items() if not _is_over(member, now, timing)}
    return gossip if kept == gossip.members else replace(gossip, members=kept)


def _listened(known: Known, heard: bool, now: float, timing: Timing, draw: Draw) -> Known:
    if heard:
        back = known.status == FAILED
        return replace(known, status=ALIVE, since=now, unheard=None) if back else replace(known, unheard=None)
    if known.unheard is None:
        return replace(known, unheard=now, notice=draw(timing.notice))
    if known.status in (ALIVE, LEAVING) and now - known.unheard >= known.notice:
        return replace(known, status=FAILED if known.status == ALIVE else LEFT, since=now)
    return known


def _is_over(known: Known, now: float, timing: Timing) -> bool:
    limits = {FAILED: timing.reap_failed, LEFT: timing.reap_left}
    return known.status in limits and now - known.since >= limits[known.status]


def told(mine: Gossip, theirs: Gossip, now: float) -> Gossip:
    """After ``theirs`` came: who is new, whose status is newer, who has failed meanwhile."""
    if mine.members == theirs.members:
        return mine
    fresh = {
        name: replace(known, since=now, unheard=None)
        for name, known in theirs.members.items()
        if name != mine.me and _is_news(mine.members.get(name), known)
    }
    return replace(mine, members={**mine.members, **fresh, mine.me: _objecting(mine, theirs)})


def _objecting(mine: Gossip, theirs: Gossip) -> Known:
    """Itself as it is, and newer than a rumour that says otherwise."""
    own, rumour = mine.own, theirs.members.get(mine.me)
    if rumour is None or rumour.status == own.status or rumour.time < own.time:
        return own
    return replace(own, time=max(mine.time, theirs.time) + 1)


def _is_news(known: Known | None, other: Known) -> bool:
    if known is None:
        return other.status in (ALIVE, LEAVING)
    suspected = known.unheard is not None and known.status == ALIVE and other.status == FAILED
    return other.time > known.time or (other.time == known.time and suspected)


_EVENTS = {ALIVE: "serf: EventMemberJoin", FAILED: "serf: EventMemberFailed", LEFT: "serf: EventMemberLeave"}


def events(before: Gossip, after: Gossip) -> tuple[Said, ...]:
    """The lines that a server writes into its log about what changed."""
    if before is after:
        return ()
    changed = [
        (name, known)
        for name, known in after.members.items()
        if name not in before.members or before.members[name].status != known.status
    ]
    return tuple(
        Said("info", f"{_EVENTS[known.status]}: {name} {known.setup.host}")
        for name, known in changed
        if known.status in _EVENTS
    )
