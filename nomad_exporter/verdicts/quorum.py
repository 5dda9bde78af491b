"""The quorum verdict: whether a server's cluster survives without the server."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nomad_exporter.nomad.models import RaftServer
from nomad_exporter.verdicts import arithmetic
from nomad_exporter.verdicts.arithmetic import EvidenceSource
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict, format_list
from nomad_exporter.verdicts.view import View

MISSING_EVIDENCE: Mapping[EvidenceSource, str] = {
    EvidenceSource.GOSSIP: "no server reports its members",
    EvidenceSource.DIRECT: "no poll proves it healthy",
    EvidenceSource.AUTOPILOT: "autopilot health is not available",
}
"""Why a voter is unknown, by the source that has no answer."""

NO_CONFIGURATION = "No server of this cluster has recently reported its Raft configuration."

LIST_EVERY_SERVER = (
    "List every server in --config.file, or set --poll.autopilot. Until then, check the voters (nomad operator "
    "autopilot health) before stopping the server."
)
"""The remedy if the exporter monitors only one server of a cluster."""


def quorum(server: View, state: QuorumState | None, thresholds: Thresholds) -> Verdict:
    """Return whether ``server`` may be stopped: its cluster has a leader and enough healthy voters without it."""
    if state is None:
        return Verdict(Question.QUORUM, VerdictReason.UNKNOWN, NO_CONFIGURATION)
    counts = state.would_lose(server, thresholds.trust_gossip)
    effect = "stopping this server would lose quorum" if counts else "too few voters are healthy already"
    problem = find_problem(state, effect, counts=counts, could_count=state.could_lose(server))
    if problem:
        return problem.to_verdict(Question.QUORUM)
    remaining = state.count.healthy - counts
    effect = f"{remaining} remain without this server" if counts else "this server is not a healthy voter"
    return Verdict(Question.QUORUM, VerdictReason.OK, f"Safe to stop: {describe_voters(state, effect)}")


def find_problem(state: QuorumState, effect: str, *, counts: bool, could_count: bool) -> Problem | None:
    """Return why a server may not be stopped; ``effect`` is what its stop would do if too few voters remain.

    ``counts`` is whether the server is a healthy voter, ``could_count`` whether it could be one.
    """
    count = state.count
    if state.has_conflict:
        message = "Do not stop: healthy servers report different leaders or voters."
        return Problem(VerdictReason.CONFLICTING_VIEWS, message)
    if state.is_quorum_lost:
        return Problem(VerdictReason.QUORUM_LOST, describe_voters(state))
    if not state.is_current:
        return Problem(VerdictReason.UNKNOWN, NO_CONFIGURATION)
    if not state.leader:
        return Problem(VerdictReason.NO_LEADER, describe_voters(state, "no healthy leader is known"))
    if arithmetic.is_safe(count.healthy, count.quorum_size, counts):
        return None
    if arithmetic.is_safe(count.healthy + count.unknown, count.quorum_size, could_count):
        return Problem(VerdictReason.INSUFFICIENT_EVIDENCE, describe_voters(state), _evidence_remedy(state))
    return Problem(VerdictReason.WOULD_LOSE_QUORUM, f"Do not stop: {describe_voters(state, effect)}")


def _evidence_remedy(state: QuorumState) -> str:
    """Return a remedy if the exporter monitors at most one voter and does not poll autopilot; else an empty text."""
    sources = [source for evidence in state.evidence.values() for source in evidence]
    is_alone = sources.count(EvidenceSource.DIRECT) <= 1 and EvidenceSource.AUTOPILOT not in sources
    return LIST_EVERY_SERVER if is_alone else ""


def describe_voters(state: QuorumState, effect: str = "") -> str:
    """Format a message such as "1 of 3 voters healthy, 2 needed (s1, s2 are not responding)."."""
    count, expected = state.count, state.expected or 0
    numbers = f"{count.healthy} of {count.voters} voters healthy, {count.quorum_size} needed"
    if expected > count.voters:
        numbers += f", {expected} expected"
    causes = "; ".join(_causes(state))
    return f"{numbers}{f'; {effect}' if effect else ''}{f' ({causes})' if causes else ''}."


def _causes(state: QuorumState) -> Iterator[str]:
    """Yield why some voters are not healthy, with the voters' names."""
    unhealthy = {voter for voter, evidence in state.evidence.items() if arithmetic.is_unhealthy(evidence)}
    yield from _cause(state, unhealthy & state.unresponsive, "not responding")
    yield from _cause(state, unhealthy - state.unresponsive, "not ready")
    if state.count.unknown:
        yield f"{state.count.unknown} unknown: {_missing_evidence(state)}"


def _cause(state: QuorumState, voters: Collection[RaftServer], condition: str) -> Iterator[str]:
    if voters:
        names = format_list(sorted(state.names[voter] for voter in voters))
        yield f"{names} {'is' if len(voters) == 1 else 'are'} {condition}"


def _missing_evidence(state: QuorumState) -> str:
    missing = {
        source for evidence in state.evidence.values() for source, healthy in evidence.items() if healthy is None
    }
    return ", ".join(MISSING_EVIDENCE[source] for source in sorted(missing)) or "gossip is the only evidence"
