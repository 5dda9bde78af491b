"""The numbers behind a verdict, and how old they are, for whoever wants to see for himself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf, Health, Role, find_own_server
from nomad_exporter.nomad.sources import Source
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.ready import apply_lag
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason

Detail = str | int | float | bool
Details = Mapping[str, Detail]

SOURCES: Mapping[Question, tuple[Source, ...]] = {
    Question.LIVE: (),
    Question.READY: (Source.HEALTH, Source.SELF),
    Question.QUORUM: (Source.HEALTH, Source.SELF, Source.MEMBERS, Source.AUTOPILOT),
}
"""What each verdict rests on; whether an agent lives is told by attempts, not by answers."""


def details(judged: Evaluation, question: Question) -> Details:
    """The numbers by name, durations in seconds; what is not known is left out."""
    told = _DETAILS[question](judged)
    return {name: fact for name, fact in told.items() if fact is not None and fact != ""}


def ages(judged: Evaluation, question: Question, at: Instant) -> Mapping[str, float]:
    """How many seconds ago came the newest ``attempt``, and the newest answer of each source that the verdict needs."""
    snapshot = judged.snapshot
    answered = {str(source): snapshot.of(source).answered for source in SOURCES[question]}
    moments = {"poll": snapshot.last_poll_ended, **answered}
    return {name: at.since(moment) for name, moment in moments.items() if moment}


def age(judged: Evaluation, question: Question, at: Instant) -> float | None:
    """How old, in seconds, what the verdict rests on is as a whole; None before the first attempt ended.

    A quorum rests on the answers about health of all well servers of the cluster.
    """
    state, last = judged.quorum_state, judged.snapshot.last_poll_ended
    if question is Question.QUORUM and state and state.oldest_evidence is not None:
        return state.oldest_evidence
    return at.since(last) if last else None


def health_messages(health: Health) -> Details:
    """What the agent says of its health, by role, in Nomad's words."""
    return {f"{role}_health": check.message for role, check in sorted(health.plain.checks.items())}


def _of_live(judged: Evaluation) -> Mapping[str, Detail | None]:
    failure = judged.snapshot.health.failure
    return {"consecutive_failures": judged.snapshot.consecutive_failures, "failure": str(failure) if failure else None}


def _of_ready(judged: Evaluation) -> Mapping[str, Detail | None]:
    snapshot, own = judged.snapshot, judged.snapshot.agent_self.answer
    health = snapshot.health.answer
    return {
        **(health_messages(health) if health and not snapshot.health.failure else {}),
        **(_of_server(own) if own and Role.SERVER in own.roles else {}),
        **(_of_client(own) if own else {}),
    }


def _of_server(own: AgentSelf) -> Mapping[str, Detail | None]:
    server = find_own_server(own)
    return {
        "leader_address": own.leader_address,
        "raft_state": own.texts.get("raft.state"),
        "suffrage": server.suffrage if server else None,
        "last_contact_seconds": own.numbers.get("raft.last_contact"),
        "apply_lag": apply_lag(own),
    }


def _of_client(own: AgentSelf) -> Mapping[str, Detail | None]:
    return {
        "heartbeat_seconds": own.numbers.get("client.last_heartbeat"),
        "heartbeat_ttl_seconds": own.numbers.get("client.heartbeat_ttl"),
    }


def _of_quorum(judged: Evaluation) -> Mapping[str, Detail | None]:
    standing = judged.quorum_state
    if standing is None:
        return {}
    count = standing.count
    return {
        "voters": count.voters,
        "healthy": count.healthy,
        "unknown": count.unknown,
        "quorum_size": count.quorum_size,
        "margin": standing.margin,
        "basis": standing.basis,
        "leader": standing.leader,
        "expected": standing.expected,
    }


_DETAILS: Mapping[Question, Callable[[Evaluation], Mapping[str, Detail | None]]] = {
    Question.LIVE: _of_live,
    Question.READY: _of_ready,
    Question.QUORUM: _of_quorum,
}


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a question about one agent, and what it rests on: ``numbers`` by name, ``ages`` in seconds."""

    agent: str
    ok: bool
    reason: VerdictReason
    message: str
    details: Details
    ages: Mapping[str, float]


def build_report(judged: Evaluation, question: Question, at: Instant) -> Report:
    """The verdict about one agent, and what it rests on at this instant."""
    verdict = judged.verdicts[question]
    return Report(
        judged.snapshot.agent.name,
        verdict.ok,
        verdict.reason,
        verdict.message,
        details(judged, question),
        ages(judged, question, at),
    )


def to_dict(told: Report) -> Mapping[str, Any]:
    """What is told of one agent, for JSON; ages to the millisecond."""
    return {
        "ok": told.ok,
        "agent": told.agent,
        "reason": told.reason,
        "message": told.message,
        "remedy": VERDICT_REASONS[told.reason].remedy,
        "details": told.details,
        "ages": {source: round(age, 3) for source, age in told.ages.items()},
    }


def summarize(agents: int, well: int, first: Report | None) -> Mapping[str, Any]:
    """What is told of several agents, of which so many are ``well``: all must hold.

    ``first`` is the one to be named of those that do not; None where all do.
    """
    sentence = f"{well} of {agents} agents: yes."
    reason = first.reason if first else VerdictReason.OK
    return {
        "ok": first is None,
        "reason": reason,
        "message": f"{sentence} {first.agent}: {first.message}" if first else sentence,
        "remedy": VERDICT_REASONS[reason].remedy,
    }
