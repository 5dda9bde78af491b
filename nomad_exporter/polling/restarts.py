"""Restart detection. Nomad does not report when an agent was started, so two answers are compared for proofs.

A restart that leaves no proof between two polls is not detected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf

Proof = Callable[[AgentSelf, AgentSelf], bool]


def proofs(before: AgentSelf, after: AgentSelf, requested: Instant, refused: Instant | None) -> tuple[str, ...]:
    """Return the names of all proofs that the agent was restarted between two answers to ``self``; empty if none.

    ``requested`` is when the poll for the second answer began. ``refused`` is when a poll of any source was last
    refused since the first answer, or None.
    """
    names = [name for name, proof in PROOFS.items() if proof(before, after)]
    # An agent listens for as long as it runs, except for a few milliseconds while a reload with new certificates
    # reopens the listener. So after a refused poll, the next answer comes from another process.
    was_refused = refused is not None and requested.since(refused) >= 0
    return tuple([*names, "refused"] if was_refused else names)


def _changed(value: Callable[[AgentSelf], object]) -> Proof:
    """Return the proof for a value that is constant while an agent runs; an answer without the value proves nothing."""
    return lambda before, after: bool(value(before) and value(after)) and value(before) != value(after)


def _decreased(path: str) -> Proof:
    return lambda before, after: path in after.numbers and after.numbers[path] < before.numbers.get(path, 0)


def _left_shutdown(before: AgentSelf, after: AgentSelf) -> bool:
    return before.texts.get("raft.state") == "Shutdown" and after.texts.get("raft.state", "Shutdown") != "Shutdown"


def _lost_heartbeat_ttl(before: AgentSelf, after: AgentSelf) -> bool:
    return "client.heartbeat_ttl" in before.numbers and "client.heartbeat_ttl" in after.null_paths


def _rejoined(before: AgentSelf, after: AgentSelf) -> bool:
    statuses = [answer.member.status if answer.member else "" for answer in (before, after)]
    return statuses[0] in ("leaving", "left") and statuses[1] == "alive"


PROOFS: Mapping[str, Proof] = {
    "version": _changed(lambda answer: answer.version),
    "roles": _changed(lambda answer: answer.roles),
    "member_id": _changed(lambda answer: answer.member and answer.member.id),
    "node_id": _changed(lambda answer: answer.texts.get("client.node_id")),
    # Neither index decreases while a server runs. A snapshot restored into a running cluster gets an index above all
    # others, and a snapshot installed by the leader is newer than what the server had applied.
    "commit_index": _decreased("raft.commit_index"),
    "applied_index": _decreased("raft.applied_index"),
    # Raft does not run again after a shutdown, and a server that reports "leaving" does not stay.
    "raft_state": _left_shutdown,
    "member_status": _rejoined,
    # A client keeps the TTL of its newest heartbeat until the process ends.
    "heartbeat_ttl": _lost_heartbeat_ttl,
}
"""What proves a restart, by the name in the log field ``proof``."""
