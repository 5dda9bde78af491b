"""Why a verdict is as it is: one closed list of reasons, what each means and what to do about it.

The table of reasons in the README is made from ``VERDICT_REASONS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Question(StrEnum):
    """What is judged; the ``verdict`` label, and the last part of the path."""

    LIVE = "live"
    READY = "ready"
    QUORUM = "quorum"


class VerdictReason(StrEnum):
    """The ``reason`` label of ``nomad_agent_verdict_reason``."""

    OK = "ok"
    STARTING = "starting"
    EXPORTER_STALLED = "exporter_stalled"
    UNRESPONSIVE = "unresponsive"
    POLL_ERROR = "poll_error"
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
    """The ``questions`` that a reason answers, and to which of them with ``yes``.

    ``meaning`` is a sentence, ``remedy`` says what to do.
    """

    questions: tuple[Question, ...]
    meaning: str
    remedy: str
    yes: tuple[Question, ...] = ()


_LIVE, _READY, _QUORUM = (Question.LIVE,), (Question.READY,), (Question.QUORUM,)
_ALL = tuple(Question)

VERDICT_REASONS: Mapping[VerdictReason, Remedy] = {
    VerdictReason.OK: Remedy(_ALL, "All is well.", "Nothing.", yes=_ALL),
    VerdictReason.NOT_A_VOTER: Remedy(
        _QUORUM,
        "The agent is a client, and no quorum rests on it.",
        "Nothing: it may be stopped, as far as the servers are concerned.",
        yes=_QUORUM,
    ),
    VerdictReason.STARTING: Remedy(
        _ALL,
        "The exporter has not asked the agent yet for all that it must know, at its own start or the agent's.",
        "Wait some seconds; if it stays, read the exporter's log.",
    ),
    VerdictReason.EXPORTER_STALLED: Remedy(
        _ALL,
        "The exporter has not asked the agent lately: that is the exporter's fault, so the agent counts as live, but "
        "nothing else is known of it.",
        "Look at `/-/healthy` and the log of the exporter, and restart it.",
        yes=_LIVE,
    ),
    VerdictReason.UNRESPONSIVE: Remedy(
        (Question.LIVE, Question.READY),
        "The agent does not answer: it refuses connections, breaks them off, or keeps silent. It is not live after "
        "`--verdict.failure-threshold` such attempts in a row, and not ready after one.",
        "See whether its process is there and not stopped; then restart it.",
    ),
    VerdictReason.POLL_ERROR: Remedy(
        _READY,
        "What the verdict needs cannot be read: a certificate or the token is refused, a credential file cannot be "
        "read, a name not be resolved, or something else than Nomad answers.",
        "See [When a poll fails](#when-a-poll-fails). A restart of the agent will not help.",
    ),
    VerdictReason.NO_LEADER: Remedy(
        (Question.READY, Question.QUORUM),
        "The server knows no leader, or the leader that is known is not well.",
        "Wait for the election, some seconds. If it stays, see what `/health/quorum` says: a majority of the voters "
        "may be cut off. Bring servers back, and restart none of those that run.",
    ),
    VerdictReason.LEADER_UNREACHABLE: Remedy(
        _READY,
        "The server believes in a leader whom it does not reach.",
        "Wait for the election. If it stays, look at the network between this server and the leader.",
    ),
    VerdictReason.SERVERS_UNREACHABLE: Remedy(
        _READY,
        "The client reaches none of its servers: its heartbeat is older than its TTL and `--verdict.heartbeat-grace`, "
        "or it cannot have a token judged.",
        "Look at the servers and at the network between. Nomad itself calls such a client healthy.",
    ),
    VerdictReason.UNHEALTHY: Remedy(
        _READY, "The agent calls itself unhealthy, in its own words.", "Read its words, and its log."
    ),
    VerdictReason.NOT_YET_VOTER: Remedy(
        _READY,
        "The server is no voter in its own raft configuration, though it is meant to be one. A server that came back "
        "is so for some 15 seconds.",
        "Wait. If it stays, look at autopilot: `nomad operator autopilot health`.",
    ),
    VerdictReason.LEADER_CONTACT_LOST: Remedy(
        _READY,
        "The server has not heard from its leader within `--verdict.max-leader-contact`.",
        "Look at the network between them and at the load of both.",
    ),
    VerdictReason.RAFT_APPLY_LAG: Remedy(
        _READY,
        "The server has more than `--verdict.max-apply-lag` committed entries still to apply.",
        "Wait after a restart. If it stays, look at its disk and its load.",
    ),
    VerdictReason.NOT_REGISTERED: Remedy(
        _READY,
        "The client has not registered with any server since it started.",
        "Wait some seconds. If it stays, look at the addresses of the servers that it was given.",
    ),
    VerdictReason.UNKNOWN: Remedy(
        _QUORUM,
        "No server of its cluster has told anything lately that could be judged.",
        "See why `self` and `members` cannot be read: [When a poll fails](#when-a-poll-fails).",
    ),
    VerdictReason.CONFLICTING_VIEWS: Remedy(
        _QUORUM,
        "Servers that are well name different leaders or voters, in two polls in a row.",
        "Compare `nomad operator raft list-peers -stale` on each of them: two clusters may have been made of one.",
    ),
    VerdictReason.QUORUM_LOST: Remedy(
        _QUORUM,
        "Fewer voters give a sign of life than are needed: until more come back, the cluster does nothing.",
        "Bring voters back before anything else. Stop nothing.",
    ),
    VerdictReason.INSUFFICIENT_EVIDENCE: Remedy(
        _QUORUM,
        "Nothing speaks against it, but too little is known of some voters: gossip alone tells of them, which notices "
        "a death after half a minute, or a witness that was asked is silent.",
        "Let the exporter watch every server, with a token for `node:read`, or turn on `--poll.autopilot`; or accept "
        "it with `--verdict.trust-gossip`.",
    ),
    VerdictReason.WOULD_LOSE_QUORUM: Remedy(
        _QUORUM,
        "Without this server, too few well voters would be left. One or two voters never have a margin.",
        "Do not stop it now. Wait until all voters are well, or add servers.",
    ),
}
