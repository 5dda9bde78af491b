"""The status page as text, for curl: the lines of the command ``check``, and one line for each cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nomad_exporter.clock import Instant
from nomad_exporter.server.http import Response
from nomad_exporter.verdicts.cluster import ClusterState, cluster_verdict
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.lines import Finding, State, format_lines, state_of, to_plain_text
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.report import build_report

_NO_EVIDENCE = {VerdictReason.STARTING, VerdictReason.EXPORTER_STALLED}


def status_text(evaluations: Sequence[Evaluation], clusters: Iterable[ClusterState], now: Instant) -> Response:
    """Return a line for each cluster, then whether each agent is ready, the worst first, then the remedies."""
    lines = [to_plain_text(_cluster_line(cluster)) for cluster in clusters]
    findings = [_finding(evaluation, now) for evaluation in evaluations]
    if findings:
        lines.append(format_lines(Question.READY, findings))
    return Response(200, "".join(f"{line}\n" for line in lines).encode())


def _finding(evaluation: Evaluation, now: Instant) -> Finding:
    verdict = evaluation.verdicts[Question.READY]
    failures = [state.failure for state in evaluation.snapshot.source_states if state.failure]
    state = State.UNKNOWN if verdict.reason in _NO_EVIDENCE else state_of(verdict, failures)
    return Finding(state, build_report(evaluation, Question.READY, now))


def _cluster_line(cluster: ClusterState) -> str:
    return f"Cluster {cluster.full_name}: {cluster.status}: {cluster_verdict(cluster).message}"
