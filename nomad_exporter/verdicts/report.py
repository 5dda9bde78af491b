"""Reports: a verdict with its details and ages, as JSON and as a summary of several agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf, Health, Role, find_own_server
from nomad_exporter.nomad.sources import HEALTH, SELF, SOURCES
from nomad_exporter.verdicts.cluster import ClusterState, cluster_verdict
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.ready import apply_lag
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import Verdict, describe, format_list

Detail = str | int | float | bool
Details = Mapping[str, Detail]


def details(evaluation: Evaluation, question: Question) -> Details:
    """Return the values behind a verdict by name, durations in seconds; unknown values are left out."""
    return _known(_DETAILS[question](evaluation))


def _known(values: Mapping[str, Detail | None]) -> Details:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _live_details(evaluation: Evaluation) -> Mapping[str, Detail | None]:
    failure = evaluation.snapshot[HEALTH].failure
    failures = evaluation.snapshot.consecutive_failures
    return {"consecutive_failures": failures, "failure": str(failure) if failure else None}


def _ready_details(evaluation: Evaluation) -> Mapping[str, Detail | None]:
    snapshot, agent_self = evaluation.snapshot, evaluation.snapshot[SELF].answer
    health = snapshot[HEALTH].answer
    return {
        **(health_messages(health) if health and not snapshot[HEALTH].failure else {}),
        **(_server_details(agent_self) if agent_self and Role.SERVER in agent_self.roles else {}),
        **(_client_details(agent_self) if agent_self else {}),
    }


def health_messages(health: Health) -> Details:
    """Return Nomad's message about the health of each role, named ``server_health`` and ``client_health``."""
    return {f"{role}_health": check.message for role, check in sorted(health.plain.checks.items())}


def _server_details(agent_self: AgentSelf) -> Mapping[str, Detail | None]:
    server = find_own_server(agent_self)
    return {
        "leader_address": agent_self.leader_address,
        "raft_state": agent_self.texts.get("raft.state"),
        "suffrage": server.suffrage if server else None,
        "last_contact_seconds": agent_self.numbers.get("raft.last_contact"),
        "apply_lag": apply_lag(agent_self),
    }


def _client_details(agent_self: AgentSelf) -> Mapping[str, Detail | None]:
    return {
        "heartbeat_seconds": agent_self.numbers.get("client.last_heartbeat"),
        "heartbeat_ttl_seconds": agent_self.numbers.get("client.heartbeat_ttl"),
    }


def _quorum_details(evaluation: Evaluation) -> Mapping[str, Detail | None]:
    return _voter_details(evaluation.quorum_state)


def _voter_details(state: QuorumState | None) -> Mapping[str, Detail | None]:
    if state is None:
        return {}
    return {
        "voters": state.count.voters,
        **{str(health): number for health, number in state.voters.items()},
        "quorum_size": state.count.quorum_size,
        "failure_tolerance": state.failure_tolerance,
        "basis": state.basis,
        "leader": state.leader,
        "expected": state.expected,
    }


_DETAILS: Mapping[Question, Callable[[Evaluation], Mapping[str, Detail | None]]] = {
    Question.LIVE: _live_details,
    Question.READY: _ready_details,
    Question.QUORUM: _quorum_details,
}


def ages(evaluation: Evaluation, question: Question, now: Instant) -> Mapping[str, float]:
    """Return the age in seconds of the newest ``poll`` and of the newest answer of each source of the verdict."""
    snapshot = evaluation.snapshot
    # The live verdict depends on polls, whether or not they are answered.
    answered = {source.name: snapshot[source].answered for source in SOURCES if question in source.verdicts}
    instants = {"poll": snapshot.last_poll_ended, **answered}
    return {name: now.since(instant) for name, instant in instants.items() if instant}


def age(evaluation: Evaluation, question: Question, now: Instant) -> float | None:
    """Return the age in seconds of a verdict as a whole; None before the first poll has ended.

    A quorum verdict is as old as the oldest health answer of the cluster's healthy servers. Any other verdict is as old
    as the newest poll.
    """
    state, last = evaluation.quorum_state, evaluation.snapshot.last_poll_ended
    if question is Question.QUORUM and state and state.oldest_evidence is not None:
        return state.oldest_evidence
    return now.since(last) if last else None


@dataclass(frozen=True, slots=True)
class Report:
    """A verdict about one agent with its details, and its ages in seconds.

    ``failure`` describes the failed poll that caused the verdict; empty if there is none. ``own_remedy`` is as in
    ``Verdict``.
    """

    agent: str
    ok: bool
    reason: VerdictReason
    message: str
    details: Details
    ages: Mapping[str, float]
    failure: str = ""
    own_remedy: str = ""

    @property
    def remedy(self) -> str:
        """What to do about the reason."""
        return self.own_remedy or VERDICT_REASONS[self.reason].remedy


def build_report(evaluation: Evaluation, question: Question, now: Instant) -> Report:
    """Build the report on one agent's verdict at this instant."""
    verdict = evaluation.verdicts[question]
    return Report(
        agent=evaluation.snapshot.agent.name,
        ok=verdict.ok,
        reason=verdict.reason,
        message=verdict.message,
        details=details(evaluation, question),
        ages=ages(evaluation, question, now),
        failure=_failure(evaluation, verdict.reason),
        own_remedy=verdict.own_remedy,
    )


def _failure(evaluation: Evaluation, reason: VerdictReason) -> str:
    """Describe the failed poll that caused a verdict; return an empty text if a poll did not cause it."""
    snapshot = evaluation.snapshot
    failure = snapshot[HEALTH].failure or snapshot[SELF].failure
    return describe(failure) if failure and reason in (VerdictReason.UNRESPONSIVE, VerdictReason.POLL_ERROR) else ""


def to_dict(report: Report) -> Mapping[str, Any]:
    """Return a report as a JSON object, with ages rounded to milliseconds."""
    return {
        "ok": report.ok,
        "agent": report.agent,
        "reason": report.reason,
        "message": report.message,
        "remedy": report.remedy,
        "details": report.details,
        "ages": {source: round(age, 3) for source, age in report.ages.items()},
    }


def cluster_to_dict(cluster: ClusterState) -> Mapping[str, Any]:
    """Return whether a cluster can lose any one healthy voter, as a JSON object."""
    verdict = cluster_verdict(cluster)
    return {
        "ok": verdict.ok,
        "nomad_cluster": cluster.name,
        "nomad_region": cluster.region,
        "state": cluster.status,
        "reason": verdict.reason,
        "message": verdict.message,
        "remedy": verdict.remedy,
        "details": _known(_voter_details(cluster.quorum)),
    }


def summarize_clusters(clusters: Sequence[ClusterState]) -> Mapping[str, Any]:
    """Summarize the verdicts about several clusters as a JSON object; the first that is not ok decides the reason."""
    verdicts = {cluster.full_name: cluster_verdict(cluster) for cluster in clusters}
    failing = {name: verdict for name, verdict in verdicts.items() if not verdict.ok}
    first = next(iter(failing.values()), Verdict(Question.QUORUM, VerdictReason.OK, ""))
    message = f"{len(verdicts) - len(failing)} of {len(verdicts)} clusters can lose any one voter."
    if failing:
        message += f" Not: {format_list([f'{name} ({verdict.reason})' for name, verdict in failing.items()])}."
    return {"ok": not failing, "reason": first.reason, "message": message, "remedy": first.remedy}


_CONDITIONS: Mapping[str, str] = {Question.QUORUM: "safe to stop", "health": "healthy"}


def summarize(question: str, agents: int, healthy: int, failing: Sequence[Report]) -> Mapping[str, Any]:
    """Summarize the reports on several agents as a JSON object, which is ok if no report is failing.

    ``agents`` and ``healthy`` are the numbers of all reports and of those that are ok. ``failing`` are the first of the
    others; the first of these decides the reason. The message is such as ``96 of 98 agents ready. Not ready: c57
    (connection refused), c80 (no_leader).``
    """
    condition = _CONDITIONS.get(question, question)
    # Each may be stopped while the others run; together they may not.
    limit = ", one at a time" if question == Question.QUORUM and healthy > 1 else ""
    message = f"{healthy} of {agents} agents {condition}{limit}."
    if failing:
        names = [f"{report.agent} ({report.failure or report.reason})" for report in failing]
        message += f" Not {condition}: {format_list(names, omitted=agents - healthy - len(failing))}."
    return {
        "ok": not failing,
        "reason": failing[0].reason if failing else VerdictReason.OK,
        "message": message,
        "remedy": failing[0].remedy if failing else VERDICT_REASONS[VerdictReason.OK].remedy,
    }
