"""The numbers behind a verdict, and how old they are, for whoever wants to see for himself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nomad_exporter.clock import Instant
from nomad_exporter.judge.identity import own_server
from nomad_exporter.judge.judging import Judged
from nomad_exporter.judge.ready import apply_lag
from nomad_exporter.judge.reasons import Question
from nomad_exporter.nomad.answers import AgentSelf, Health, Role
from nomad_exporter.nomad.sources import Source

Fact = str | int | float | bool
Facts = Mapping[str, Fact]

RESTS_ON: Mapping[Question, tuple[Source, ...]] = {
    Question.LIVE: (),
    Question.READY: (Source.HEALTH, Source.SELF),
    Question.QUORUM: (Source.HEALTH, Source.SELF, Source.MEMBERS, Source.AUTOPILOT),
}
"""What each verdict rests on; whether an agent lives is told by attempts, not by answers."""


def facts(judged: Judged, question: Question) -> Facts:
    """The numbers by name, durations in seconds; what is not known is left out."""
    told = _TOLD[question](judged)
    return {name: fact for name, fact in told.items() if fact is not None and fact != ""}


def ages(judged: Judged, question: Question, at: Instant) -> Mapping[str, float]:
    """How many seconds ago came the newest ``attempt``, and the newest answer of each source that the verdict needs."""
    snapshot = judged.snapshot
    answered = {str(source): snapshot.of(source).answered for source in RESTS_ON[question]}
    moments = {"attempt": snapshot.attempted_last, **answered}
    return {name: at.since(moment) for name, moment in moments.items() if moment}


def age(judged: Judged, question: Question, at: Instant) -> float | None:
    """How old, in seconds, what the verdict rests on is as a whole; None before the first attempt ended.

    A quorum rests on the answers about health of all well servers of the cluster.
    """
    standing, last = judged.standing, judged.snapshot.attempted_last
    if question is Question.QUORUM and standing and standing.oldest is not None:
        return standing.oldest
    return at.since(last) if last else None


def words(health: Health) -> Facts:
    """What the agent says of its health, by role, in Nomad's words."""
    return {f"{role}_health": check.message for role, check in sorted(health.plain.checks.items())}


def _of_live(judged: Judged) -> Mapping[str, Fact | None]:
    failure = judged.snapshot.health.failure
    return {"silent_attempts": judged.snapshot.silences, "failure": str(failure) if failure else None}


def _of_ready(judged: Judged) -> Mapping[str, Fact | None]:
    snapshot, own = judged.snapshot, judged.snapshot.own.answer
    health = snapshot.health.answer
    return {
        **(words(health) if health and not snapshot.health.failure else {}),
        **(_of_server(own) if own and Role.SERVER in own.roles else {}),
        **(_of_client(own) if own else {}),
    }


def _of_server(own: AgentSelf) -> Mapping[str, Fact | None]:
    server = own_server(own)
    return {
        "leader_address": own.leader_address,
        "raft_state": own.texts.get("raft.state"),
        "suffrage": server.suffrage if server else None,
        "last_contact_seconds": own.numbers.get("raft.last_contact"),
        "apply_lag": apply_lag(own),
    }


def _of_client(own: AgentSelf) -> Mapping[str, Fact | None]:
    return {
        "heartbeat_seconds": own.numbers.get("client.last_heartbeat"),
        "heartbeat_ttl_seconds": own.numbers.get("client.heartbeat_ttl"),
    }


def _of_quorum(judged: Judged) -> Mapping[str, Fact | None]:
    standing = judged.standing
    if standing is None:
        return {}
    count = standing.count
    return {
        "voters": count.voters,
        "well": count.well,
        "unproven": count.unproven,
        "needed": count.needed,
        "margin": standing.margin,
        "basis": standing.basis,
        "leader": standing.leader,
        "meant": standing.meant,
    }


_TOLD: Mapping[Question, Callable[[Judged], Mapping[str, Fact | None]]] = {
    Question.LIVE: _of_live,
    Question.READY: _of_ready,
    Question.QUORUM: _of_quorum,
}
