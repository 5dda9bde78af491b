"""Whether an agent was restarted between two answers: no agent says when it was started, so only traces tell.

A restart that leaves no trace between two polls is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf

Proof = Callable[[AgentSelf, AgentSelf], bool]


def proofs(before: AgentSelf, now: AgentSelf, asked: Instant, refused: Instant | None) -> tuple[str, ...]:
    """What proves that the agent was restarted between two answers to ``/v1/agent/self``; empty where nothing does.

    ``asked`` is when the second was asked for, ``refused`` when an attempt at any source was refused last, since the
    first answer. Then nobody listened, and an agent listens as long as it lives, but for the few milliseconds in which
    a reload with other certificates opens its listener anew.
    """
    found = [name for name, proof in PROOFS.items() if proof(before, now)]
    listened = refused is None or asked.since(refused) < 0
    return tuple(found if listened else [*found, "refused"])


def _changed(fact: Callable[[AgentSelf], object]) -> Proof:
    """A fact that is fixed while an agent lives; where one of the two answers lacks it, nothing is proved."""
    return lambda before, now: bool(fact(before) and fact(now)) and fact(before) != fact(now)


def _fell(path: str) -> Proof:
    return lambda before, now: now.numbers.get(path, 0) < before.numbers.get(path, 0) and path in now.numbers


def _shutdown_ended(before: AgentSelf, now: AgentSelf) -> bool:
    return before.texts.get("raft.state") == "Shutdown" and now.texts.get("raft.state", "Shutdown") != "Shutdown"


def _registration_forgotten(before: AgentSelf, now: AgentSelf) -> bool:
    return "client.heartbeat_ttl" in before.numbers and "client.heartbeat_ttl" in now.null_paths


def _came_back(before: AgentSelf, now: AgentSelf) -> bool:
    statuses = [answer.member.status if answer.member else "" for answer in (before, now)]
    return statuses[0] in ("leaving", "left") and statuses[1] == "alive"


PROOFS: Mapping[str, Proof] = {
    "version": _changed(lambda answer: answer.version),
    "roles": _changed(lambda answer: answer.roles),
    "member_id": _changed(lambda answer: answer.member and answer.member.id),
    "node_id": _changed(lambda answer: answer.texts.get("client.node_id")),
    "commit_index": _fell("raft.commit_index"),
    "applied_index": _fell("raft.applied_index"),
    "raft_state": _shutdown_ended,
    "member_status": _came_back,
    "heartbeat_ttl": _registration_forgotten,
}
"""What proves a restart, by the name that the log shows.

Neither index falls while a server lives: a snapshot that is restored into a running cluster gets an index above all
others, and an installed one is newer than what was applied. A raft that was shut down never runs again, and a server
that calls itself leaving never stays. A client keeps the TTL of its newest heartbeat until it ends.
"""
