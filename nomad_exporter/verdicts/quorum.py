"""Quorum: whether the cluster survives without this server."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nomad_exporter.nomad.models import RaftServer
from nomad_exporter.verdicts import arithmetic
from nomad_exporter.verdicts.arithmetic import EvidenceSource
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict
from nomad_exporter.verdicts.view import View

SILENCE: Mapping[EvidenceSource, str] = {
    EvidenceSource.GOSSIP: "no members were told",
    EvidenceSource.DIRECT: "an agent that never told who it is may be one",
    EvidenceSource.AUTOPILOT: "autopilot was asked in vain",
}
"""What it means that a witness says nothing."""

SHOWN = 5
"""So many voters are named of those that are not well."""


def quorum(itself: View, quorum_state: QuorumState | None, thresholds: Thresholds) -> Verdict:
    """Whether the server may be stopped: enough well voters are left, and a leader is known."""
    if quorum_state is None:
        return Verdict(
            Question.QUORUM, VerdictReason.UNKNOWN, "No server of this cluster has told of its voters lately."
        )
    costs = quorum_state.would_lose(itself, thresholds.trust_gossip)
    trouble = _trouble(quorum_state, costs, quorum_state.could_lose(itself))
    if trouble:
        return trouble.to_verdict(Question.QUORUM)
    left = f"without this one {quorum_state.count.healthy - costs} are left" if costs else "this one is none of them"
    return Verdict(Question.QUORUM, VerdictReason.OK, f"{_counted(quorum_state)}, {left}: it may be stopped.")


def _trouble(quorum_state: QuorumState, costs: bool, might_cost: bool) -> Problem | None:
    count = quorum_state.count
    if quorum_state.has_conflict:
        return Problem(VerdictReason.CONFLICTING_VIEWS, "Well servers name different leaders or voters.")
    if count.voters - len(quorum_state.unresponsive) < count.quorum_size:
        return Problem(VerdictReason.QUORUM_LOST, f"Too few voters are there: {_counted(quorum_state)}.")
    if not quorum_state.leader:
        return Problem(VerdictReason.NO_LEADER, f"No leader is known that is well: {_counted(quorum_state)}.")
    if arithmetic.is_safe(count.healthy, count.quorum_size, costs):
        return None
    if arithmetic.is_safe(count.healthy + count.unknown, count.quorum_size, might_cost):
        return Problem(VerdictReason.INSUFFICIENT_EVIDENCE, f"{_counted(quorum_state)}.")
    without = "without this one, " if costs else ""
    return Problem(VerdictReason.WOULD_LOSE_QUORUM, f"{_counted(quorum_state)}: {without}too few are left.")


def _counted(quorum_state: QuorumState) -> str:
    """The numbers in words, and who is not well: ``2 of 3 voters are well, 2 are needed (s1 does not answer)``."""
    count = quorum_state.count
    meant = (
        f", {quorum_state.expected} were meant"
        if quorum_state.expected and quorum_state.expected > count.voters
        else ""
    )
    who = "; ".join(_unwell(quorum_state))
    return f"{count.healthy} of {count.voters} voters are well, {count.quorum_size} are needed{meant}{f' ({who})' if who else ''}"


def _unwell(quorum_state: QuorumState) -> Iterator[str]:
    unwell = {voter for voter, told in quorum_state.evidence.items() if arithmetic.is_unhealthy(told)}
    absent, sick = (
        _names(quorum_state, unwell & quorum_state.unresponsive),
        _names(quorum_state, unwell - quorum_state.unresponsive),
    )
    if absent:
        yield f"{', '.join(absent)} {'does' if len(absent) == 1 else 'do'} not answer"
    if sick:
        yield f"{', '.join(sick)} {'is' if len(sick) == 1 else 'are'} there, but not well"
    if quorum_state.count.unknown:
        yield f"too little is known of {quorum_state.count.unknown}: {_lacking(quorum_state)}"


def _names(quorum_state: QuorumState, voters: Collection[RaftServer]) -> list[str]:
    names = sorted(quorum_state.names[voter] for voter in voters)
    return [*names[:SHOWN], *([f"{len(names) - SHOWN} more"] if len(names) > SHOWN else [])]


def _lacking(quorum_state: QuorumState) -> str:
    """Which witness that was asked is silent; where none is, gossip alone speaks for some."""
    silent = {witness for told in quorum_state.evidence.values() for witness, word in told.items() if word is None}
    return ", ".join(SILENCE[witness] for witness in sorted(silent)) or "only gossip speaks for it"
