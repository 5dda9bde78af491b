"""Transitions: what changed from one snapshot to the next, as values. The counts are in ``polling/history.py``.

A poll that changed nothing has no changes. ``EVENTS`` is the table of the log lines; ``app`` writes them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nomad_exporter.nomad.failures import Failure, failure_remedy
from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Check, Members, Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.history import Gossip, History, Leader, Transition, TransitionKey, zeros
from nomad_exporter.polling.identity import Identity, proofs
from nomad_exporter.polling.snapshot import Reading, Snapshot

MAX_LOG_LINES = 200
"""The maximum number of log lines per reading: an entire region can fail at once, and an agent can send anything."""


class Event(StrEnum):
    """A kind of change; the value is the field ``event`` of its log line."""

    POLL_FAILED = "poll_failed"
    POLL_RECOVERED = "poll_recovered"
    AGENT_UP = "agent_up"
    AGENT_RECOVERED = "agent_recovered"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    RESTARTED = "restarted"
    VERSION_CHANGED = "version_changed"
    LEADER_FOUND = "leader_found"
    LEADER_CHANGED = "leader_changed"
    LEADER_LOST = "leader_lost"
    LEADER_BACK = "leader_back"
    RAFT_STATE = "raft_state"
    TERM = "term"
    SEVERAL_AGENTS = "several_agents"
    ONE_AGENT = "one_agent"
    MEMBER_ALIVE = "member_alive"
    MEMBER_LEAVING = "member_leaving"
    MEMBER_LEFT = "member_left"
    MEMBER_FAILED = "member_failed"
    MEMBER_APPEARED = "member_appeared"
    MEMBER_VANISHED = "member_vanished"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class LogLine:
    """The message and the level, as in ``logging``, of the log line of an event."""

    message: str
    level: int = logging.INFO


EVENTS: Mapping[Event, LogLine] = {
    Event.POLL_FAILED: LogLine("poll failed", logging.WARNING),
    Event.POLL_RECOVERED: LogLine("poll recovered"),
    Event.AGENT_UP: LogLine("agent is up"),
    Event.AGENT_RECOVERED: LogLine("agent recovered"),
    Event.HEALTHY: LogLine("agent healthy"),
    Event.UNHEALTHY: LogLine("agent unhealthy", logging.WARNING),
    Event.RESTARTED: LogLine("agent restarted"),
    Event.VERSION_CHANGED: LogLine("version changed"),
    Event.LEADER_FOUND: LogLine("leader found"),
    Event.LEADER_CHANGED: LogLine("leader changed"),
    Event.LEADER_LOST: LogLine("leader lost"),
    Event.LEADER_BACK: LogLine("leader recovered"),
    Event.RAFT_STATE: LogLine("raft state changed"),
    Event.TERM: LogLine("raft term increased"),
    Event.SEVERAL_AGENTS: LogLine("several agents answer at this address", logging.WARNING),
    Event.ONE_AGENT: LogLine("one agent answers at this address"),
    Event.MEMBER_ALIVE: LogLine("member alive"),
    Event.MEMBER_LEAVING: LogLine("member leaving"),
    Event.MEMBER_LEFT: LogLine("member left"),
    Event.MEMBER_FAILED: LogLine("member failed"),
    Event.MEMBER_APPEARED: LogLine("member appeared"),
    Event.MEMBER_VANISHED: LogLine("member vanished"),
    Event.TRUNCATED: LogLine("further changes omitted"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change from one snapshot to the next, with the fields of its log line besides ``event`` and ``agent``.

    ``transition`` is the counter that the change increments; None if the change is only logged.
    """

    event: Event
    fields: Mapping[str, str] = field(default_factory=dict)
    transition: TransitionKey | None = None


def apply(before: Snapshot, reading: Reading[Any]) -> tuple[Snapshot, tuple[Change, ...]]:
    """Return the snapshot after ``reading``, with its history, and the changes from ``before``."""
    after = before.after(reading)
    restart_proofs = _restart_proofs(before, after)
    history = _update_history(before, after, reading, restarted=bool(restart_proofs))
    changes = tuple(_changes(before, replace(after, history=history), restart_proofs))
    transitions = [change.transition for change in changes if change.transition]
    return replace(after, history=history.with_transitions(transitions, reading.ended)), changes


def truncate(changes: Sequence[Change]) -> Sequence[Change]:
    """Return at most ``MAX_LOG_LINES`` changes, and one more with the number of omitted changes if there are any."""
    omitted = len(changes) - MAX_LOG_LINES
    if omitted <= 0:
        return changes
    return *changes[:MAX_LOG_LINES], Change(Event.TRUNCATED, {"changes": str(omitted)})


def _changes(before: Snapshot, after: Snapshot, restart_proofs: tuple[str, ...]) -> Iterator[Change]:
    """Yield the changes from ``before`` to ``after``; the history of ``after`` includes the newest answer.

    An answer is compared with the previous answer of the same agent, however old that answer is. A first answer changes
    nothing.
    """
    yield from _poll_changes(before, after)
    yield from _health_changes(before, after)
    yield from _identity_changes(before.identity, after.identity)
    if pair := _compared(before, after):
        old, new = pair
        yield from _restart_changes(restart_proofs)
        yield from _version_changes(old, new)
        yield from _leader_changes(before.history.leader, after.history.leader)
        yield from _raft_changes(old, new)
    if before[MEMBERS].answer:
        yield from _member_changes(before.history.gossip, after.history.gossip)


# History.


def _update_history(before: Snapshot, after: Snapshot, reading: Reading[Any], restarted: bool) -> History:
    """Return the history with what later readings are compared with; no transition is counted yet."""
    history, outcome = before.history, reading.outcome
    if isinstance(outcome, Failure):
        return history.after_failure(outcome, reading.ended)
    history = history.with_zeros(zeros(outcome))
    if after[reading.source].answer is not outcome:  # The poll began before the newest one, but ended later.
        return history
    if isinstance(outcome, Members):
        gossip = history.gossip if before[MEMBERS].answer else Gossip()
        return replace(history, gossip=gossip.after(outcome))
    if isinstance(outcome, AgentSelf):
        leader = _update_leader(history.leader, after.identity, outcome, restarted)
        return replace(history.after_self(reading.began), leader=leader)
    return history


def _update_leader(leader: Leader, identity: Identity, answer: AgentSelf, restarted: bool) -> Leader:
    """Return the leader after ``answer``; with several agents, the next answer of a single one is like a first one."""
    if identity.has_several:
        return Leader()
    return leader.after(_reported_leader(answer), restarted) if identity.confirmed is answer else leader


def _reported_leader(answer: AgentSelf) -> str | None:
    """Return the leader's address; empty if the server reported no leader, None if the answer lacks the field."""
    return answer.leader_address or ("" if "nomad.leader_addr" in answer.null_paths else None)


def _compared(before: Snapshot, after: Snapshot) -> tuple[AgentSelf, AgentSelf] | None:
    """Return the two answers to ``self`` whose differences are transitions; None if there is no new answer to compare.

    Both are from one agent, or the second one is from its confirmed successor.
    """
    old, new = before.identity.confirmed, after.identity.confirmed
    return (old, new) if old and new and old is not new else None


def _restart_proofs(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the proofs that the agent was restarted before its newest answer to ``self``."""
    pair, reading = _compared(before, after), after[SELF].last
    return proofs(*pair, reading.began, before.history.refused) if pair and reading else ()


# Polls.


def _poll_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield new and resolved failures, once per reason: a dead agent fails three sources within seconds."""
    old, new = _failures(before), _failures(after)
    for reason in new.keys() - old.keys():
        source, failure = new[reason]
        fields = {"source": source.name, "reason": reason, "detail": failure.detail, "hint": failure_remedy(failure)}
        yield Change(Event.POLL_FAILED, fields)
    answer = after[SELF].answer
    if answer and not (before[SELF].answer or new):
        yield Change(Event.AGENT_UP, {"roles": ",".join(sorted(answer.roles)), "version": answer.version})
    elif old and not new:
        yield Change(Event.AGENT_RECOVERED)
    elif new.keys() < old.keys():
        for reason in old.keys() - new.keys():
            yield Change(Event.POLL_RECOVERED, {"source": old[reason][0].name, "reason": reason})


def _failures(snapshot: Snapshot) -> dict[str, tuple[Source[Any], Failure]]:
    states = snapshot.source_states
    return {str(state.failure.reason): (state.source, state.failure) for state in states if state.failure}


# Answers to health.


def _health_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield a change for each role whose health changed; a role that is unhealthy at first is logged, not counted."""
    old, new = _checks(before), _checks(after)
    for role, check in sorted(new.items()):
        if check.ok == (old[role].ok if role in old else True):
            continue
        event = Event.HEALTHY if check.ok else Event.UNHEALTHY
        fields = {"role": role} if check.ok else {"role": role, "detail": check.message}
        transition = (Transition.HEALTH_TRANSITIONS, (str(role), str(event))) if role in old else None
        yield Change(event, fields, transition)


def _checks(snapshot: Snapshot) -> Mapping[Role, Check]:
    answer = snapshot[HEALTH].answer
    return answer.plain.checks if answer else {}


# Answers to self.


def _identity_changes(old: Identity, new: Identity) -> Iterator[Change]:
    """Yield the beginning and the end of answers from several agents."""
    if new.has_several and not old.has_several:
        yield Change(Event.SEVERAL_AGENTS, {"ids": ",".join(new.ids)})
    elif old.has_several and not new.has_several:
        yield Change(Event.ONE_AGENT, {"id": new.ids[-1]})


def _restart_changes(restart_proofs: tuple[str, ...]) -> Iterator[Change]:
    if restart_proofs:
        yield Change(Event.RESTARTED, {"proof": ",".join(restart_proofs)}, (Transition.RESTARTS, ()))


def _version_changes(old: AgentSelf, new: AgentSelf) -> Iterator[Change]:
    if old.version and new.version and old.version != new.version:
        fields = {"from": old.version, "to": new.version}
        yield Change(Event.VERSION_CHANGED, fields, (Transition.VERSION_CHANGES, ()))


def _leader_changes(old: Leader, new: Leader) -> Iterator[Change]:
    """Yield leaders found, changed, lost and recovered.

    A lost leader is counted once the next leader is known: as a loss if it is the same leader, else as a change.
    """
    if new.address != old.address:
        if old.address:
            fields = {"from": old.address, "to": new.address}
            yield Change(Event.LEADER_CHANGED, fields, (Transition.LEADER_CHANGES, ()))
        else:
            yield Change(Event.LEADER_FOUND, {"leader": new.address})
    elif new.lost and not old.lost:
        yield Change(Event.LEADER_LOST, {"leader": new.address})
    elif old.lost and not new.lost:
        yield Change(Event.LEADER_BACK, {"leader": new.address}, (Transition.LEADER_LOSSES, ()))


def _raft_changes(old: AgentSelf, new: AgentSelf) -> Iterator[Change]:
    states = tuple(answer.texts.get("raft.state", "") for answer in (old, new))
    if states[0] != states[1] and set(states) <= set(RAFT_STATES):
        fields = {"from": states[0], "to": states[1]}
        yield Change(Event.RAFT_STATE, fields, (Transition.RAFT_STATE_TRANSITIONS, states))
    old_term, new_term = (answer.numbers.get("raft.term") for answer in (old, new))
    if old_term is not None and new_term is not None and new_term > old_term:
        fields = {"from": str(old_term), "to": str(new_term)}
        yield Change(Event.TERM, fields, (Transition.RAFT_TERM_INCREASES, ()))


# Answers to members.


def _member_changes(old: Gossip, new: Gossip) -> Iterator[Change]:
    if old is new:
        return
    before, after = old.members, new.members
    for name in sorted(before.keys() & after.keys()):
        statuses = (before[name], after[name])
        if all(statuses) and statuses[0] != statuses[1]:
            fields = {"member": name, "from": statuses[0]}
            yield Change(Event(f"member_{statuses[1]}"), fields, (Transition.MEMBER_TRANSITIONS, statuses))
    for name in sorted(after.keys() - before.keys()):
        fields = {"member": name, "status": after[name]}
        yield Change(Event.MEMBER_APPEARED, fields, (Transition.MEMBERS_APPEARED, ()))
    for name in sorted(before.keys() - after.keys()):
        fields = {"member": name, "from": before[name]}
        yield Change(Event.MEMBER_VANISHED, fields, (Transition.MEMBERS_VANISHED, ()))
