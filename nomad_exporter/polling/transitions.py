"""What changed from one snapshot to the next, as the few lines that a person wants in a log: not one a poll.

Read in their order they are a history of the cluster, and those that count are the counts of ``watch/history.py``.
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
"""The most lines that one answer may write into the log: a whole region can fail at once, and an agent can lie."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: its level (of ``logging``), its message and its fields, the first of which is ``event``.

    ``count`` is what it counts as; None where it is a line and nothing else.
    """

    level: int
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    count: TransitionKey | None = None


def apply(before: Snapshot, reading: AnyReading) -> tuple[Snapshot, tuple[Change, ...]]:
    """The snapshot after ``reading`` with its history, and what changed."""
    after = before.after(reading)
    proved = _proofs(before, after)
    after = replace(after, history=_remembering(before, after, reading, proved))
    found = tuple(_changes(before, after, proved))
    counts = [change.count for change in found if change.count]
    return (replace(after, history=after.history.with_transitions(counts, reading.ended)) if counts else after), found


def truncate(found: Sequence[Change]) -> Sequence[Change]:
    """The changes as they are told: of very many the first ones, and one line about the rest."""
    rest = len(found) - MAX_LOG_LINES
    if rest <= 0:
        return found
    return (
        *found[:MAX_LOG_LINES],
        Change(logging.INFO, "more has changed", {"event": "truncated", "changes": str(rest)}),
    )


def _changes(before: Snapshot, after: Snapshot, proved: tuple[str, ...]) -> Iterator[Change]:
    """The changes from ``before`` to ``after``, whose history remembers already what the newest answer told.

    An answer is compared with the newest one before it, however old that is. The first one differs from nothing.
    ``proved`` is what proves a restart in between.
    """
    yield from _of_failures(before, after)
    yield from _of_health(before, after)
    was, now = before.agent_self.answer, after.agent_self.answer
    if was and now and was is not now:
        yield from _of_restart(proved)
        yield from _of_version(was, now)
        yield from _of_leader(before.history.leader, after.history.leader)
        yield from _of_raft(was, now)
    if before.members.answer:
        yield from _of_members(before.history.gossip, after.history.gossip)


def _remembering(before: Snapshot, after: Snapshot, reading: AnyReading, proved: tuple[str, ...]) -> History:
    """The history with what must be remembered of ``reading``, nothing of which is counted yet."""
    history, outcome = before.history, reading.outcome
    if isinstance(outcome, Failure):
        return replace(history, refused=reading.ended) if outcome.reason is FailureReason.REFUSED else history
    history = history.with_zeros(zeros(outcome))
    if after.of(reading.source).answer is not outcome:  # It came after a later one.
        return history
    if isinstance(outcome, Members):
        known = history.gossip if before.members.answer else Gossip()
        return replace(history, gossip=known.after(outcome))
    if isinstance(outcome, AgentSelf):
        leader = history.leader.after(_told_leader(outcome), restarted=bool(proved))
        refused_since = history.refused and reading.began.since(history.refused) < 0
        return replace(history, leader=leader, refused=history.refused if refused_since else None)
    return history


def _told_leader(answer: AgentSelf) -> str | None:
    """The leader; empty where the server said that there is none, None where it said nothing."""
    return answer.leader_address or ("" if "nomad.leader_addr" in answer.null_paths else None)


def _proofs(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """What proves that the agent was restarted before it told of itself anew."""
    was, now, reading = before.agent_self.answer, after.agent_self.answer, after.agent_self.last
    if was is now or not (was and now and reading):
        return ()
    return proofs(was, now, reading.began, before.history.refused)


# How the asking goes.


def _of_failures(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """An agent that dies fails three sources within seconds, for one reason: that is one line."""
    was, now = _failures(before), _failures(after)
    for reason in now.keys() - was.keys():
        source, failure = now[reason]
        told = {"event": "poll_failed", "source": source, "reason": reason, "detail": failure.detail}
        yield Change(logging.WARNING, "poll failed", told)
    own = after.agent_self.answer
    if own and not (before.agent_self.answer or now):
        told = {"event": "agent_up", "roles": ",".join(sorted(own.roles)), "version": own.version}
        yield Change(logging.INFO, "agent answers", told)
    elif was and not now:
        yield Change(logging.INFO, "agent answers again", {"event": "agent_recovered"})
    elif now.keys() < was.keys():
        for reason in was.keys() - now.keys():
            told = {"event": "poll_recovered", "source": was[reason][0], "reason": reason}
            yield Change(logging.INFO, "poll fails no more", told)


def _failures(snapshot: Snapshot) -> dict[str, tuple[Source, Failure]]:
    return {str(seen.failure.reason): (seen.source, seen.failure) for seen in snapshot.source_states if seen.failure}


# What an answer to health tells.


def _of_health(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """A role that is red from the first is told, and no transition."""
    was, now = _checks(before), _checks(after)
    for role, check in sorted(now.items()):
        if check.ok == (was[role].ok if role in was else True):
            continue
        to = "healthy" if check.ok else "unhealthy"
        count = (Transition.HEALTH_TRANSITIONS, (str(role), to)) if role in was else None
        if check.ok:
            yield Change(logging.INFO, "agent is healthy again", {"event": to, "role": role}, count)
        else:
            told = {"event": to, "role": role, "detail": check.message}
            yield Change(logging.WARNING, "agent is unhealthy", told, count)


def _checks(snapshot: Snapshot) -> Mapping[Role, Check]:
    return snapshot.health.answer.plain.checks if snapshot.health.answer else {}


# What an answer to self tells.


def _of_restart(found: tuple[str, ...]) -> Iterator[Change]:
    if found:
        told = {"event": "restarted", "proof": ",".join(found)}
        yield Change(logging.INFO, "agent was restarted", told, (Transition.RESTARTS, ()))


def _of_version(was: AgentSelf, now: AgentSelf) -> Iterator[Change]:
    if was.version and now.version and was.version != now.version:
        told = {"event": "version_changed", "from": was.version, "to": now.version}
        yield Change(logging.INFO, "version changed", told, (Transition.VERSION_CHANGES, ()))


def _of_leader(was: Leader, now: Leader) -> Iterator[Change]:
    """A leader that is lost counts once it is known who leads next: the same one, or another."""
    if now.address != was.address:
        if was.address:
            told = {"event": "leader_changed", "from": was.address, "to": now.address}
            yield Change(logging.INFO, "leader changed", told, (Transition.LEADER_CHANGES, ()))
        else:
            yield Change(logging.INFO, "a leader is there", {"event": "leader_found", "leader": now.address})
    elif now.lost and not was.lost:
        yield Change(logging.INFO, "leader lost", {"event": "leader_lost", "leader": now.address})
    elif was.lost and not now.lost:
        told = {"event": "leader_back", "leader": now.address}
        yield Change(logging.INFO, "leader is back", told, (Transition.LEADER_LOSSES, ()))


def _of_raft(was: AgentSelf, now: AgentSelf) -> Iterator[Change]:
    states = tuple(answer.texts.get("raft.state", "") for answer in (was, now))
    if states[0] != states[1] and set(states) <= set(RAFT_STATES):
        told = {"event": "raft_state", "from": states[0], "to": states[1]}
        yield Change(logging.INFO, "raft state changed", told, (Transition.RAFT_STATE_TRANSITIONS, states))
    before, after = (answer.numbers.get("raft.term") for answer in (was, now))
    if before is not None and after is not None and after > before:
        told = {"event": "term", "from": str(before), "to": str(after)}
        yield Change(logging.INFO, "raft term increased", told, (Transition.RAFT_TERM_INCREASES, ()))


# What an answer to members tells.


def _of_members(was: Gossip, now: Gossip) -> Iterator[Change]:
    if was is now:
        return
    before, after = was.members, now.members
    for name in sorted(before.keys() & after.keys()):
        way = (before[name], after[name])
        if all(way) and way[0] != way[1]:
            yield _of_member(way[1], name, {"from": way[0]}, (Transition.MEMBER_TRANSITIONS, way))
    for name in sorted(after.keys() - before.keys()):
        yield _of_member("appeared", name, {"status": after[name]}, (Transition.MEMBERS_APPEARED, ()))
    for name in sorted(before.keys() - after.keys()):
        yield _of_member("vanished", name, {"from": before[name]}, (Transition.MEMBERS_VANISHED, ()))


def _of_member(what: str, name: str, told: Mapping[str, str], count: TransitionKey) -> Change:
    return Change(logging.INFO, f"member {what}", {"event": f"member_{what}", "member": name, **told}, count)
