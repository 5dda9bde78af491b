"""Autopilot: add new servers, remove dead servers and promote stable servers; pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nomad_sim.model.gossip import ALIVE, FAILED, LEFT, Gossip, Member
from nomad_sim.model.raft import Raft
from nomad_sim.model.raft_log import NONVOTER, VOTER, Peer
from nomad_sim.model.timing import Timing

MAX_TRAILING_LOGS = 250
"""Maximum number of entries that a healthy server's log may be behind; Nomad's ``max_trailing_logs``."""


@dataclass(frozen=True, slots=True)
class Autopilot:
    """Autopilot's state on a leader: since when each server, by ID, is healthy, and since when the leader leads."""

    healthy_since: Mapping[str, float] = field(default_factory=dict)
    leader_since: float = math.inf


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration change: the new peers, the reason, and the member to force-leave, if any."""

    peers: tuple[Peer, ...]
    reason: str
    left_member: str | None = None


def member_of(gossip: Gossip, peer: Peer) -> Member | None:
    """Return the gossip member of a Raft peer, or None."""
    return next((member for member in gossip.members.values() if member.setup.raft_id == peer.id), None)


def is_healthy(raft: Raft, gossip: Gossip, peer: Peer) -> bool:
    """Return whether a server is healthy for the leader: alive in gossip, and its log not far behind."""
    # Autopilot relies on a server's last response: a dead server is healthy until gossip marks it as failed.
    member = member_of(gossip, peer)
    if member is None or member.status != ALIVE:
        return False
    progress = raft.peers.get(peer.id)
    return peer.id == raft.local_id or (
        progress is not None and raft.log.last - progress.match_index <= MAX_TRAILING_LOGS
    )


def observe(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float) -> Autopilot:
    """Return autopilot's state after a health check of all servers at ``now``."""
    healthy = [peer.id for peer in raft.log.configuration.peers if is_healthy(raft, gossip, peer)]
    return Autopilot(
        {name: autopilot.healthy_since.get(name, now) for name in healthy}, min(autopilot.leader_since, now)
    )


def reconcile(raft: Raft, gossip: Gossip) -> Change | None:
    """Return the change that gossip requires at once: remove a server that left, or add a new server."""
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
    """Return the change of one autopilot run: remove a dead server unless too many are dead, or promote a non-voter."""
    return _remove_dead_server(raft, gossip) or _promote_server(autopilot, raft, gossip, now, timing)


def _remove_dead_server(raft: Raft, gossip: Gossip) -> Change | None:
    configuration = raft.log.configuration
    dead = [peer for peer in configuration.peers if _is_dead(member_of(gossip, peer))]
    dead_voters = [peer for peer in dead if peer.suffrage == VOTER]
    if not dead or len(configuration.voters) - len(dead_voters) < configuration.majority:
        return None
    member = member_of(gossip, dead[0])
    name = member.setup.member if member else None
    left = name if gossip.local_member.setup.version.members_left_by_autopilot else None
    return Change(configuration.without(dead[0].id), f"removing dead server: {name or dead[0].id}", left)


def _is_dead(member: Member | None) -> bool:
    """Return whether a peer is dead: its member has failed, or gossip has forgotten it."""
    return member is None or member.status == FAILED


def _promote_server(autopilot: Autopilot, raft: Raft, gossip: Gossip, now: float, timing: Timing) -> Change | None:
    for peer in raft.log.configuration.peers:
        member = member_of(gossip, peer)
        is_stable = now - autopilot.healthy_since.get(peer.id, now) >= timing.server_stabilization_time
        if peer.suffrage == NONVOTER and member is not None and not member.setup.nonvoter and is_stable:
            return Change(
                raft.log.configuration.with_peer(replace(peer, suffrage=VOTER)),
                f"promoting server: {member.setup.member}",
            )
    return None
