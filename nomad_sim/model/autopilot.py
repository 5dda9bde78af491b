"""What the leader does about the servers of its region: takes in new ones, drops dead ones, gives votes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nomad_exporter.demo.model.gossip import ALIVE, FAILED, LEFT, Gossip, Known
from nomad_exporter.demo.model.log import NONVOTER, VOTER, Peer
from nomad_exporter.demo.model.raft import Raft
from nomad_exporter.demo.model.timing import Timing

TRAILING = 250
"""A server whose log is more entries behind is not healthy; Nomad's ``max_trailing_logs``."""


@dataclass(frozen=True, slots=True)
class Autopilot:
    """What a leader remembers: since when each server is healthy, by ID, and since when itself leads."""

    well_since: Mapping[str, float] = field(default_factory=dict)
    led: float = math.inf


@dataclass(frozen=True, slots=True)
class Change:
    """The next peers of the configuration, why, and the member that is told to have left, if one is."""

    peers: tuple[Peer, ...]
    why: str
    left: str | None = None


def member_of(gossip: Gossip, peer: Peer) -> Known | None:
    """The member that a peer is."""
    return next((known for known in gossip.members.values() if known.setup.raft_id == peer.id), None)


def is_well(raft: Raft, gossip: Gossip, peer: Peer) -> bool:
    """Whether the leader finds a server healthy: alive, and not far behind.

    One that has just died is so until gossip notices it: autopilot goes by what the server said last of itself.
    """
    known = member_of(gossip, peer)
    if known is None or known.status != ALIVE:
        return False
    heard = raft.peers.get(peer.id)
    return peer.id == raft.me or (heard is not None and raft.log.last - heard.match <= TRAILING)


def looked(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float) -> Autopilot:
    """After a look at all servers."""
    well = [peer.id for peer in raft.log.configuration.peers if is_well(raft, gossip, peer)]
    return Autopilot({name: autopilot.well_since.get(name, now) for name in well}, min(autopilot.led, now))


def reconciled(raft: Raft, gossip: Gossip) -> Change | None:
    """What gossip asks for at once: a server that has left is dropped, one that is new is taken in."""
    configuration = raft.log.configuration
    region = gossip.own.setup.region
    for peer in configuration.peers:
        known = member_of(gossip, peer)
        if known is not None and known.status == LEFT:
            return Change(configuration.without(peer.id), f"removed server that left: {known.setup.member}")
    for known in gossip.alive(region):
        if configuration.peer(known.setup.raft_id) is None:
            suffrage = NONVOTER if known.setup.version.raft_protocol >= 3 else VOTER
            new = Peer(known.setup.raft_id, known.setup.rpc_address, suffrage)
            return Change(configuration.having(new), f"added new server: {known.setup.member}")
    return None


def tended(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float, timing: Timing) -> Change | None:
    """What autopilot does when it looks: drops a dead server unless too many are dead, or promotes a stable one."""
    return _cleaned(raft, gossip) or _promoted(autopilot, raft, gossip, now, timing)


def _cleaned(raft: Raft, gossip: Gossip) -> Change | None:
    """A server that gossip has forgotten counts as dead."""
    configuration = raft.log.configuration
    dead = [peer for peer in configuration.peers if _is_dead(member_of(gossip, peer))]
    voting = [peer for peer in dead if peer.suffrage == VOTER]
    if not dead or len(configuration.voters) - len(voting) < configuration.majority:
        return None
    known = member_of(gossip, dead[0])
    member = known.setup.member if known else None
    left = member if gossip.own.setup.version.members_left_by_autopilot else None
    return Change(configuration.without(dead[0].id), f"removing dead server: {member or dead[0].id}", left)


def _is_dead(known: Known | None) -> bool:
    return known is None or known.status == FAILED


def _promoted(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float, timing: Timing) -> Change | None:
    for peer in raft.log.configuration.peers:
        known = member_of(gossip, peer)
        stable = now - autopilot.well_since.get(peer.id, now) >= timing.stable
        if peer.suffrage == NONVOTER and known is not None and not known.setup.nonvoter and stable:
            return Change(
                raft.log.configuration.having(replace(peer, suffrage=VOTER)), f"promoting server: {known.setup.member}"
            )
    return None
