"""The reasons of verdicts: a closed list, with the meaning and the remedy of each reason.

The texts are plain, without markup: they appear in JSON, in logs and on the status page. The documentation's table of
reasons is generated from ``VERDICT_REASONS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from nomad_exporter.polling.identity import RECOVERY_ANSWERS


class Question(StrEnum):
    """A question about an agent: the ``verdict`` label, and the last part of the path."""

    LIVE = "live"
    READY = "ready"
    QUORUM = "quorum"


class VerdictReason(StrEnum):
    """The reason of a verdict: the ``reason`` label of ``nomad_agent_verdict_reason``."""

    OK = "ok"
    STARTING = "starting"
    EXPORTER_STALLED = "exporter_stalled"
    UNRESPONSIVE = "unresponsive"
    POLL_ERROR = "poll_error"
    SEVERAL_AGENTS = "several_agents"
    NO_LEADER = "no_leader"
    LEADER_UNREACHABLE = "leader_unreachable"
    SERVERS_UNREACHABLE = "servers_unreachable"
    UNHEALTHY = "unhealthy"
    NOT_YET_VOTER = "not_yet_voter"
    LEADER_CONTACT_LOST = "leader_contact_lost"
    RAFT_APPLY_LAG = "raft_apply_lag"
    NOT_REGISTERED = "not_registered"
    NOT_A_VOTER = "not_a_voter"
    UNKNOWN = "unknown"
    CONFLICTING_VIEWS = "conflicting_views"
    QUORUM_LOST = "quorum_lost"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"
    WOULD_LOSE_QUORUM = "would_lose_quorum"


@dataclass(frozen=True, slots=True)
class Remedy:
    """The meaning of a reason and what to do about it, in plain sentences.

    ``questions`` are those that the reason may answer, ``yes`` those of them that it answers with yes. A reason that is
    not ``conclusive`` proves no fault of the agent: too little is known of the agent.
    """

    questions: tuple[Question, ...]
    meaning: str
    remedy: str
    _: KW_ONLY
    yes: tuple[Question, ...] = ()
    conclusive: bool = True


_LIVE, _READY, _QUORUM = (Question.LIVE,), (Question.READY,), (Question.QUORUM,)
_ALL = tuple(Question)

VERDICT_REASONS: Mapping[VerdictReason, Remedy] = {
    VerdictReason.OK: Remedy(_ALL, "No problem was found.", "None.", yes=_ALL),
    VerdictReason.NOT_A_VOTER: Remedy(
        _QUORUM,
        "The agent is a client, and no quorum depends on it.",
        "None for the servers. If allocations must move first, drain the node (nomad node drain -enable).",
        yes=_QUORUM,
    ),
    VerdictReason.STARTING: Remedy(
        _ALL,
        "The exporter or the agent has just started, and not every poll that the verdict needs has ended. Nothing "
        "proves that the agent is dead, so the agent counts as live; nothing else is known about it.",
        "Wait a few seconds. If the reason persists, check the exporter's log for failed polls.",
        yes=_LIVE,
    ),
    VerdictReason.EXPORTER_STALLED: Remedy(
        _ALL,
        "The exporter has stopped polling the agent. The fault is the exporter's, so the agent counts as live; nothing "
        "else is known about it.",
        "Check /-/healthy and the log of the exporter, then restart the exporter, not the agent.",
        yes=_LIVE,
    ),
    VerdictReason.UNRESPONSIVE: Remedy(
        (Question.LIVE, Question.READY),
        "The agent refuses or closes connections, or its polls time out. One failed poll makes the agent not ready; "
        "--verdict.failure-threshold failed polls in a row make it not live.",
        "Check the agent's process (systemctl status nomad) and log, then start or restart the agent. If the process "
        "is healthy, check the network between the exporter and the agent.",
    ),
    VerdictReason.POLL_ERROR: Remedy(
        (Question.LIVE, Question.READY),
        "A poll that the verdict needs failed, although the agent may be healthy: for example, a certificate or the "
        "token was rejected, a host name was not resolved, or the response was not Nomad's. The agent is not live only "
        "if a gateway responded in its place to --verdict.failure-threshold polls in a row.",
        "Look up the poll failure named in the message in docs/troubleshooting.md. Restarting the agent does not help, "
        "unless the failure is gateway and the agent is down.",
        conclusive=False,
    ),
    VerdictReason.SEVERAL_AGENTS: Remedy(
        (Question.READY, Question.QUORUM),
        "Different agents answer at the agent's address, as behind a load balancer or a DNS name of several agents: "
        "the ID of an earlier agent has returned. The answers are not from one agent, so they cannot be evaluated.",
        "Check what the agent's address refers to. Then set the address of one agent, not of a load balancer, and list "
        "every other agent with an address of its own. The reason ends with a reload that changes the address, or "
        f"after {RECOVERY_ANSWERS} answers to self in a row from one agent.",
        conclusive=False,
    ),
    VerdictReason.NO_LEADER: Remedy(
        (Question.READY, Question.QUORUM),
        "The server knows no leader, or the leader that it knows is not healthy.",
        "Wait a few seconds for an election. If the reason persists, check which servers are down or cut off (nomad "
        "server members) and bring them back. Do not restart servers that are running.",
    ),
    VerdictReason.LEADER_UNREACHABLE: Remedy(
        _READY,
        "The server knows a leader but cannot reach it.",
        "Wait a few seconds for an election. If the reason persists, check the leader (nomad server members), then the "
        "network from this server to the leader's RPC port (4647).",
    ),
    VerdictReason.SERVERS_UNREACHABLE: Remedy(
        _READY,
        "The client cannot reach a server: it knows none, it cannot validate a token, or its last heartbeat is older "
        "than its TTL plus --verdict.heartbeat-grace.",
        "Check that the servers are up (nomad server members), then the network from the client to their RPC port "
        "(4647). Nomad's own health check may still report the client as healthy.",
    ),
    VerdictReason.UNHEALTHY: Remedy(
        _READY,
        "The agent reports itself as unhealthy, for the cause quoted in the message.",
        "Check the agent's log (nomad monitor) for the cause quoted in the message.",
    ),
    VerdictReason.NOT_YET_VOTER: Remedy(
        _READY,
        "The server is not a voter in its own Raft configuration, although it should be. After a restart, this is "
        "normal for about 15 seconds. During an upgrade migration of Nomad Enterprise it is normal for longer: new "
        "servers of a newer version (or ap_version tag) wait as non-voters until there are enough of them.",
        "Wait 15 seconds, or for the end of an upgrade migration. If the reason persists, check whether autopilot "
        "considers the server stable (nomad operator autopilot health) and whether it is a peer (nomad operator raft "
        "list-peers), then the leader's log.",
    ),
    VerdictReason.LEADER_CONTACT_LOST: Remedy(
        _READY,
        "The server has not heard from its leader within --verdict.max-leader-contact.",
        "Find the leader (nomad server members). Check the network between it and this server, and the load of both.",
    ),
    VerdictReason.RAFT_APPLY_LAG: Remedy(
        _READY,
        "More than --verdict.max-apply-lag committed Raft entries are not yet applied on the server.",
        "Wait if the server has just started. If the reason persists, check the server's disk and CPU load.",
    ),
    VerdictReason.NOT_REGISTERED: Remedy(
        _READY,
        "The client has not registered with a server since it started.",
        "Wait a few seconds. If the reason persists, check the client's server addresses (nomad node config -servers) "
        "and the network to them.",
    ),
    VerdictReason.UNKNOWN: Remedy(
        _QUORUM,
        "No server of the agent's cluster has recently reported its Raft configuration.",
        "Check on the exporter's status page why polls of self and members fail, and look up the poll failure in "
        "docs/troubleshooting.md. Do not stop the server meanwhile.",
        conclusive=False,
    ),
    VerdictReason.CONFLICTING_VIEWS: Remedy(
        _QUORUM,
        "Healthy servers reported different leaders or voters in two polls in a row.",
        "If the servers belong to several Nomad clusters, set the key cluster of each agent in --config.file. "
        "Otherwise compare the peers on each server (nomad operator raft list-peers -stale). If they differ, the "
        "cluster may have split in two: stop no server until the servers agree.",
    ),
    VerdictReason.QUORUM_LOST: Remedy(
        _QUORUM,
        "Too few voters are responding for a quorum. The cluster has no working leader until more voters return.",
        "Stop no server. Check which voters are down (nomad server members) and bring them back. If they are lost for "
        "good, follow Nomad's outage recovery guide (raft/peers.json).",
    ),
    VerdictReason.INSUFFICIENT_EVIDENCE: Remedy(
        _QUORUM,
        "No voter is known to be unhealthy, but some are not proven healthy: a source of evidence has no answer, or "
        "gossip is the only one, which detects a failure after about 30 seconds.",
        "Check the voters (nomad operator autopilot health) before stopping the server. For a lasting fix, monitor "
        "every server with a token for node:read, or set --poll.autopilot; or accept gossip as the only evidence with "
        "--verdict.trust-gossip.",
        conclusive=False,
    ),
    VerdictReason.WOULD_LOSE_QUORUM: Remedy(
        _QUORUM,
        "Without the server, too few healthy voters would remain. One or two voters are never enough.",
        "Do not stop the server. Check which voters are unhealthy (nomad operator autopilot health) and bring them "
        "back first, or add servers.",
    ),
}
