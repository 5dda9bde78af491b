"""Changes from one snapshot to the next: what the log reports, and which transitions are counted.

A poll that changed nothing has no log line. The counts are in ``polling/history.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Check, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.history import Gossip, History, Leader, Transition, TransitionKey, zeros
from nomad_exporter.polling.restarts import proofs
from nomad_exporter.polling.snapshot import AnyReading, Snapshot

MAX_LOG_LINES = 200
"""The maximum number of log lines per reading: an entire region can fail at once, and an agent can send anything."""


@dataclass(frozen=True, slots=True)
class Change:
    """A log event: its level (of ``logging``), message and fields, the first of which is ``event``.

    ``transition`` is the counter that the change increments; None if the change is only logged.
    """

    level: int
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    transition: TransitionKey | None = None


def apply(before: Snapshot, reading: AnyReading) -> tuple[Snapshot, tuple[Change, ...]]:
    """Return the snapshot after ``reading``, with its history, and the changes from ``before``."""
    after = before.after(reading)
    restart_proofs = _restart_proofs(before, after)
    after = replace(after, history=_update_history(before, after, reading, restarted=bool(restart_proofs)))
    changes = tuple(_changes(before, after, restart_proofs))
    transitions = [change.transition for change in changes if change.transition]
    if transitions:
        after = replace(after, history=after.history.with_transitions(transitions, reading.ended))
    return after, changes


def truncate(changes: Sequence[Change]) -> Sequence[Change]:
    """Return at most ``MAX_LOG_LINES`` changes, and one more with the number of omitted changes if there are any."""
    omitted = len(changes) - MAX_LOG_LINES
    if omitted <= 0:
        return changes
    fields = {"event": "truncated", "changes": str(omitted)}
    return *changes[:MAX_LOG_LINES], Change(logging.INFO, "further changes omitted", fields)


def _changes(before: Snapshot, after: Snapshot, restart_proofs: tuple[str, ...]) -> Iterator[Change]:
    """Yield the changes from ``before`` to ``after``; the history of ``after`` includes the newest answer.

    An answer is compared with the previous answer, however old that answer is. A first answer changes nothing.
    """
    yield from _poll_changes(before, after)
    yield from _health_changes(before, after)
    old, new = before.agent_self.answer, after.agent_self.answer
    if old and new and old is not new:
        yield from _restart_changes(restart_proofs)
        yield from _version_changes(old, new)
        yield from _leader_changes(before.history.leader, after.history.leader)
        yield from _raft_changes(old, new)
    if before.members.answer:
        yield from _member_changes(before.history.gossip, after.history.gossip)


# History.


def _update_history(before: Snapshot, after: Snapshot, reading: AnyReading, restarted: bool) -> History:
    """Return the history with what later readings are compared with; no transition is counted yet."""
    history, outcome = before.history, reading.outcome
    if isinstance(outcome, Failure):
        return replace(history, refused=reading.ended) if outcome.reason is FailureReason.REFUSED else history
    history = history.with_zeros(zeros(outcome))
    if after.of(reading.source).answer is not outcome:  # The poll began before the newest one, but ended later.
        return history
    if isinstance(outcome, Members):
        gossip = history.gossip if before.members.answer else Gossip()
        return replace(history, gossip=gossip.after(outcome))
    if isinstance(outcome, AgentSelf):
        leader = history.leader.after(_reported_leader(outcome), restarted)
        refused_since = history.refused and reading.began.since(history.refused) < 0
        return replace(history, leader=leader, refused=history.refused if refused_since else None)
    return history


def _reported_leader(answer: AgentSelf) -> str | None:
    """Return the leader's address; empty if the server reported no leader, None if the answer lacks the field."""
    return answer.leader_address or ("" if "nomad.leader_addr" in answer.null_paths else None)


def _restart_proofs(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the proofs that the agent was restarted before its newest answer to ``self``."""
    old, new, reading = before.agent_self.answer, after.agent_self.answer, after.agent_self.last
    if old is new or not (old and new and reading):
        return ()
    return proofs(old, new, reading.began, before.history.refused)


# Polls.


def _poll_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield new and resolved failures, once per reason: a dead agent fails three sources within seconds."""
    old, new = _failures(before), _failures(after)
    for reason in new.keys() - old.keys():
        source, failure = new[reason]
        fields = {"event": "poll_failed", "source": source, "reason": reason, "detail": failure.detail}
        yield Change(logging.WARNING, "poll failed", fields)
    answer = after.agent_self.answer
    if answer and not (before.agent_self.answer or new):
        fields = {"event": "agent_up", "roles": ",".join(sorted(answer.roles)), "version": answer.version}
        yield Change(logging.INFO, "agent is up", fields)
    elif old and not new:
        yield Change(logging.INFO, "agent recovered", {"event": "agent_recovered"})
    elif new.keys() < old.keys():
        for reason in old.keys() - new.keys():
            fields = {"event": "poll_recovered", "source": old[reason][0], "reason": reason}
            yield Change(logging.INFO, "poll recovered", fields)


def _failures(snapshot: Snapshot) -> dict[str, tuple[Source, Failure]]:
    states = snapshot.source_states
    return {str(state.failure.reason): (state.source, state.failure) for state in states if state.failure}


# Answers to health.


def _health_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield a change for each role whose health changed; a role that is unhealthy at first is logged, not counted."""
    old, new = _checks(before), _checks(after)
    for role, check in sorted(new.items()):
        if check.ok == (old[role].ok if role in old else True):
            continue
        event = "healthy" if check.ok else "unhealthy"
        transition = (Transition.HEALTH_TRANSITIONS, (str(role), event)) if role in old else None
        if check.ok:
            yield Change(logging.INFO, "agent healthy", {"event": event, "role": role}, transition)
        else:
            fields = {"event": event, "role": role, "detail": check.message}
            yield Change(logging.WARNING, "agent unhealthy", fields, transition)


def _checks(snapshot: Snapshot) -> Mapping[Role, Check]:
    return snapshot.health.answer.plain.checks if snapshot.health.answer else {}


# Answers to self.


def _restart_changes(restart_proofs: tuple[str, ...]) -> Iterator[Change]:
    if restart_proofs:
        fields = {"event": "restarted", "proof": ",".join(restart_proofs)}
        yield Change(logging.INFO, "agent restarted", fields, (Transition.RESTARTS, ()))


def _version_changes(old: AgentSelf, new: AgentSelf) -> Iterator[Change]:
    if old.version and new.version and old.version != new.version:
        fields = {"event": "version_changed", "from": old.version, "to": new.version}
        yield Change(logging.INFO, "version changed", fields, (Transition.VERSION_CHANGES, ()))


def _leader_changes(old: Leader, new: Leader) -> Iterator[Change]:
    """Yield leaders found, changed, lost and recovered.

    A lost leader is counted once the next leader is known: as a loss if it is the same leader, else as a change.
    """
    if new.address != old.address:
        if old.address:
            fields = {"event": "leader_changed", "from": old.address, "to": new.address}
            yield Change(logging.INFO, "leader changed", fields, (Transition.LEADER_CHANGES, ()))
        else:
            yield Change(logging.INFO, "leader found", {"event": "leader_found", "leader": new.address})
    elif new.lost and not old.lost:
        yield Change(logging.INFO, "leader lost", {"event": "leader_lost", "leader": new.address})
    elif old.lost and not new.lost:
        fields = {"event": "leader_back", "leader": new.address}
        yield Change(logging.INFO, "leader recovered", fields, (Transition.LEADER_LOSSES, ()))


def _raft_changes(old: AgentSelf, new: AgentSelf) -> Iterator[Change]:
    states = tuple(answer.texts.get("raft.state", "") for answer in (old, new))
    if states[0] != states[1] and set(states) <= set(RAFT_STATES):
        fields = {"event": "raft_state", "from": states[0], "to": states[1]}
        yield Change(logging.INFO, "raft state changed", fields, (Transition.RAFT_STATE_TRANSITIONS, states))
    old_term, new_term = (answer.numbers.get("raft.term") for answer in (old, new))
    if old_term is not None and new_term is not None and new_term > old_term:
        fields = {"event": "term", "from": str(old_term), "to": str(new_term)}
        yield Change(logging.INFO, "raft term increased", fields, (Transition.RAFT_TERM_INCREASES, ()))


# Answers to members.


def _member_changes(old: Gossip, new: Gossip) -> Iterator[Change]:
    if old is new:
        return
    before, after = old.members, new.members
    for name in sorted(before.keys() & after.keys()):
        statuses = (before[name], after[name])
        if all(statuses) and statuses[0] != statuses[1]:
            transition = (Transition.MEMBER_TRANSITIONS, statuses)
            yield _member_change(statuses[1], name, {"from": statuses[0]}, transition)
    for name in sorted(after.keys() - before.keys()):
        yield _member_change("appeared", name, {"status": after[name]}, (Transition.MEMBERS_APPEARED, ()))
    for name in sorted(before.keys() - after.keys()):
        yield _member_change("vanished", name, {"from": before[name]}, (Transition.MEMBERS_VANISHED, ()))


def _member_change(suffix: str, name: str, fields: Mapping[str, str], transition: TransitionKey) -> Change:
    """Return the change ``member_<suffix>``, where the suffix is a status, ``appeared`` or ``vanished``."""
    return Change(logging.INFO, f"member {suffix}", {"event": f"member_{suffix}", "member": name, **fields}, transition)
