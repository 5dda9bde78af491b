"""Identity: who answers ``self`` at an address, one agent or several, and whether it was restarted between two answers.

Only answers of one agent, or of an agent and its successor, are compared for restarts and other transitions. Several
agents answer behind a load balancer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf, Role

CONFIRMING_ANSWERS = 2
"""The number of answers in a row with which a new ID replaces the previous one."""

RECOVERY_ANSWERS = 20
"""The number of answers in a row with one ID after which only one agent answers again."""

MAX_IDS = 16
"""The maximum number of IDs that are remembered; more than the servers of any cluster."""


def agent_id(answer: AgentSelf) -> str:
    """Return the ID of a server in gossip, or that of a client's node; empty if the agent reported none."""
    if Role.SERVER in answer.roles:
        return answer.member.id if answer.member else ""
    return answer.texts.get("client.node_id", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers ``self`` at one address.

    ``confirmed`` is the newest answer of the agent that is known to answer; None before the first answer, and while
    there are several agents. ``ids`` are the last IDs, each once, the newest last. ``repeats`` is the number of answers
    in a row with the newest ID.
    """

    _: KW_ONLY
    confirmed: AgentSelf | None = None
    ids: tuple[str, ...] = ()
    repeats: int = 0
    has_several: bool = False

    def after(self, answer: AgentSelf) -> Identity:
        """Return the state after the next answer; an answer without an ID proves nothing."""
        new_id = agent_id(answer)
        seen = self._after_id(new_id) if new_id else self
        if seen.has_several:
            return replace(seen, confirmed=None)
        is_confirmed = seen.repeats >= CONFIRMING_ANSWERS or len(seen.ids) <= 1
        return replace(seen, confirmed=answer) if is_confirmed else seen

    def _after_id(self, new_id: str) -> Identity:
        repeats = self.repeats + 1 if new_id in self.ids[-1:] else 1
        # A replaced agent never returns. Only several agents answer in turn.
        has_returned = repeats == 1 and new_id in self.ids
        has_several = has_returned or (self.has_several and repeats < RECOVERY_ANSWERS)
        ids = (*(known for known in self.ids if known != new_id), new_id)[-MAX_IDS:]
        return replace(self, ids=ids, repeats=repeats, has_several=has_several)


# Restarts. Nomad does not report when an agent was started, so two answers are compared for proofs. A restart that
# leaves no proof between two polls is not detected.

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
