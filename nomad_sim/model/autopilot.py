"""What the leader does about the servers of its region: takes in new ones, drops dead ones, gives votes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nomad_sim.model.gossip import ALIVE, FAILED, LEFT, Gossip, Member
from nomad_sim.model.raft import Raft
from nomad_sim.model.raft_log import NONVOTER, VOTER, Peer
from nomad_sim.model.timing import Timing

MAX_TRAILING_LOGS = 250
"""A server whose log is more entries behind is not healthy; Nomad's ``max_trailing_logs``."""


@dataclass(frozen=True, slots=True)
class Autopilot:
    """What a leader remembers: since when each server is healthy, by ID, and since when itself leads."""

    healthy_since: Mapping[str, float] = field(default_factory=dict)
    leader_since: float = math.inf


@dataclass(frozen=True, slots=True)
class Change:
    """The next peers of the configuration, why, and the member that is told to have left, if one is."""

    peers: tuple[Peer, ...]
    reason: str
    left_member: str | None = None


def member_of(gossip: Gossip, peer: Peer) -> Member | None:
    """The member that a peer is."""
    return next((member for member in gossip.members.values() if member.setup.raft_id == peer.id), None)


def is_healthy(raft: Raft, gossip: Gossip, peer: Peer) -> bool:
    """Whether the leader finds a server healthy: alive, and not far behind.

    One that has just died is so until gossip notices it: autopilot goes by what the server said last of itself.
    """
    member = member_of(gossip, peer)
    if member is None or member.status != ALIVE:
        return False
    progress = raft.peers.get(peer.id)
    return peer.id == raft.local_id or (
        progress is not None and raft.log.last - progress.match_index <= MAX_TRAILING_LOGS
    )


def observe(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float) -> Autopilot:
    """After a look at all servers."""
    healthy = [peer.id for peer in raft.log.configuration.peers if is_healthy(raft, gossip, peer)]
    return Autopilot(
        {name: autopilot.healthy_since.get(name, now) for name in healthy}, min(autopilot.leader_since, now)
    )


def reconcile(raft: Raft, gossip: Gossip) -> Change | None:
    """What gossip asks for at once: a server that has left is dropped, one that is new is taken in."""
    configuration = raft.log.configuration
    region = gossip.local_member.setup.region
    for peer in configuration.peers:
        member = member_of(gossip, peer)
        if member is not None and member.status == LEFT:
            return Change(configuration.without(peer.id), f"removed server that left: {member.setup.member}")
    for member in gossip.alive(region):
        if configuration.peer(member.setup.raft_id) is None:
            suffrage = NONVOTER if member.setup.version.raft_protocol >= 3 else VOTER
            new = Peer(member.setup.raft_id, member.setup.rpc_address, suffrage)
            return Change(configuration.with_peer(new), f"added new server: {member.setup.member}")
    return None


def run(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float, timing: Timing) -> Change | None:
    """What autopilot does when it looks: drops a dead server unless too many are dead, or promotes a stable one."""
    return _remove_dead_server(raft, gossip) or _promote_server(autopilot, raft, gossip, now, timing)


def _remove_dead_server(raft: Raft, gossip: Gossip) -> Change | None:
    """A server that gossip has forgotten counts as dead."""
    configuration = raft.log.configuration
    dead = [peer for peer in configuration.peers if _is_dead(member_of(gossip, peer))]
    voting = [peer for peer in dead if peer.suffrage == VOTER]
    if not dead or len(configuration.voters) - len(voting) < configuration.majority:
        return None
    known = member_of(gossip, dead[0])
    member = known.setup.member if known else None
    left = member if gossip.local_member.setup.version.members_left_by_autopilot else None
    return Change(configuration.without(dead[0].id), f"removing dead server: {member or dead[0].id}", left)


def _is_dead(member: Member | None) -> bool:
    return member is None or member.status == FAILED


def _promote_server(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float, timing: Timing) -> Change | None:
    for peer in raft.log.configuration.peers:
        member = member_of(gossip, peer)
        stable = now - autopilot.healthy_since.get(peer.id, now) >= timing.server_stabilization_time
        if peer.suffrage == NONVOTER and member is not None and not member.setup.nonvoter and stable:
            return Change(
                raft.log.configuration.with_peer(replace(peer, suffrage=VOTER)),
                f"promoting server: {member.setup.member}",
            )
    return None
