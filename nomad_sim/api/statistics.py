"""The ``stats`` of ``GET /v1/agent/self``; every value is a string, as in Nomad."""

from __future__ import annotations

from collections.abc import Iterable

from nomad_sim import go
from nomad_sim.model.agents import Agent, Server
from nomad_sim.model.clients import Client
from nomad_sim.model.gossip import FAILED, LEFT, Gossip
from nomad_sim.model.raft import FOLLOWER, LEADER, Raft
from nomad_sim.model.raft_log import Peer
from nomad_sim.model.world import World
from nomad_sim.setup import Setup

CPUS = "8"

Group = dict[str, str]

_NO_VAULT: Group = {"tracked_for_revoked": "0", "token_ttl": "0s", "token_expire_time": ""}
_NO_RENEWALS: Group = {"token_last_renewal_time": "", "token_next_renewal_time": ""}


def stats(world: World, agent: Agent) -> dict[str, Group]:
    """Return the groups of the agent's roles and version."""
    groups: dict[str, Group] = {"runtime": _runtime(world, agent)}
    if agent.server:
        groups |= {
            "nomad": _nomad(world, agent, agent.server),
            "raft": _raft(world, agent.setup, agent.server.raft),
            "serf": _serf(agent.setup, agent.server.gossip),
        }
    if agent.server and agent.setup.version.vault:
        groups["vault"] = {**_NO_VAULT, **(_NO_RENEWALS if agent.setup.version.vault_renewals else {})}
    if agent.client:
        groups["client"] = _client(world, agent.setup, agent.client)
    return groups


def _format_bool(value: bool) -> str:
    return "true" if value else "false"


def _nomad(world: World, agent: Agent, server: Server) -> Group:
    leader = world.leader_of(agent.name)
    regions = {known.setup.region for known in server.gossip.members.values() if known.status == "alive"}
    return {
        "server": "true",
        "leader": _format_bool(server.raft.state == LEADER),
        "leader_addr": leader.setup.rpc_address if leader else "",
        "bootstrap": _format_bool(agent.setup.bootstrap_expect == 1),
        "known_regions": str(len(regions)),
    }


def _raft(world: World, setup: Setup, raft: Raft) -> Group:
    configuration = raft.log.configuration
    group = {
        "state": raft.state,
        "term": str(raft.term),
        "last_log_index": str(raft.log.last),
        "last_log_term": str(raft.log.last_term),
        "commit_index": str(raft.commit_index),
        "applied_index": str(raft.commit_index),
        "fsm_pending": "0",
        "last_snapshot_index": str(raft.snapshot[0]),
        "last_snapshot_term": str(raft.snapshot[1]),
        "protocol_version": str(setup.version.raft_protocol),
        "protocol_version_min": "0",
        "protocol_version_max": "3",
        "snapshot_version_min": "0",
        "snapshot_version_max": "1",
        "latest_configuration_index": "0",
        "latest_configuration": _format_peers(configuration.peers),
        "num_peers": str(len(configuration.voters) - 1 if raft.is_voter else 0),
        "last_contact": _last_contact(world, raft),
    }
    return {**group, "logstore_backend": "boltdb"} if setup.version.log_store else group


def _format_peers(peers: Iterable[Peer]) -> str:
    """Format peers as Go prints a slice of structs."""
    return f"[{' '.join(f'{{Suffrage:{peer.suffrage} ID:{peer.id} Address:{peer.address}}}' for peer in peers)}]"


def _last_contact(world: World, raft: Raft) -> str:
    if raft.state == LEADER:
        return "0"
    return "never" if raft.last_contact is None else go.duration(world.now - raft.last_contact)


def _serf(setup: Setup, gossip: Gossip) -> Group:
    suspected = sum(
        known.unreachable_since is not None and known.status == "alive" for known in gossip.members.values()
    )
    return {
        "members": str(len(gossip.members)),
        "failed": str(gossip.count(FAILED)),
        "left": str(gossip.count(LEFT)),
        "health_score": str(min(suspected, 7)),
        "member_time": str(gossip.lamport_time),
        "event_time": "1",
        "query_time": "1",
        "intent_queue": "0",
        "event_queue": "0",
        "query_queue": "0",
        "encrypted": _format_bool(setup.encrypted),
        "coordinate_resets": "0",
    }


def _client(world: World, setup: Setup, client: Client) -> Group:
    return {
        "node_id": setup.id,
        "known_servers": ",".join(sorted(client.servers)),
        "num_allocations": str(client.allocations),
        "last_heartbeat": go.duration(world.now - client.last_heartbeat),
        "heartbeat_ttl": go.duration(client.ttl),
    }


def _runtime(world: World, agent: Agent) -> Group:
    is_leading = agent.server is not None and agent.server.raft.state != FOLLOWER
    for_allocations = agent.client.allocations * 15 if agent.client else 0
    return {
        "kernel.name": "linux",
        "arch": "amd64",
        "version": agent.setup.version.go,
        "max_procs": CPUS,
        "cpu_count": CPUS,
        "goroutines": str(60 + 60 * is_leading + for_allocations + world.rng.randrange(8)),
    }
