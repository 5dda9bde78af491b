"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a verdict and its details as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.server.http import JSON, HTTPError, Request, Response
from nomad_exporter.verdicts.cluster import ClusterState
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, build_report, cluster_to_dict, summarize, summarize_clusters, to_dict
from nomad_exporter.web.site import Site, evaluate_agents, evaluate_clusters, list_names, select_agents

MAX_FAILING = 20
"""Maximum number of agents in the list ``failing``."""


def verdict(site: Site, request: Request, now: Instant) -> Response:
    """Return 200 if the verdict about every selected agent is ok, else 503; the body is a report as JSON."""
    question = Question(request.path.rpartition("/")[2])
    evaluations = evaluate_agents(site, select_agents(site, request), now, [question])
    return _response(question, _report(evaluations, question, now), evaluations, now)


def quorum(site: Site, request: Request, now: Instant) -> Response:
    """Return the verdict about the selected agents; if none is selected of several, about every cluster.

    ``?cluster=NAME`` selects clusters by name. Raises HTTPError for an unknown cluster.
    """
    names = request.query_params.get("cluster", [])
    if request.query_params.get("agent") or (len(site.store.entries()) == 1 and not names):
        return verdict(site, request, now)
    _require_known(names, site)
    evaluations = evaluate_agents(site, site.store.entries(), now, [Question.QUORUM])
    selected = [each for each in evaluations if not names or each.snapshot.agent.cluster in names]
    return _response(Question.QUORUM, _cluster_report(evaluate_clusters(site, selected, now)), selected, now)


def _require_known(names: Sequence[str], site: Site) -> None:
    known = dict.fromkeys(entry.snapshot.agent.cluster for entry in site.store.entries())
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise HTTPError(404, f"unknown cluster {unknown!r} (known: {list_names([*known])})")


def _response(
    question: Question, report: Mapping[str, Any], evaluations: Iterable[Evaluation], now: Instant
) -> Response:
    """Return the response with a report, and with the age of the oldest of the ``evaluations`` that it rests on."""
    body = json.dumps({"verdict": question, **report}, ensure_ascii=False, indent=2).encode() + b"\n"
    response = Response(200 if report["ok"] else 503, body, JSON)
    ages = [each for evaluation in evaluations if (each := age(evaluation, question, now)) is not None]
    return response.with_header("Age", str(max(0, int(max(ages))))) if ages else response


def _report(evaluations: Sequence[Evaluation], question: Question, now: Instant) -> Mapping[str, Any]:
    """Return the report on one agent; on several, a summary and the reports on the first failing agents."""
    if len(evaluations) == 1:
        return to_dict(build_report(evaluations[0], question, now))
    failing = [evaluation for evaluation in evaluations if not evaluation.verdicts[question].ok]
    reports = [build_report(evaluation, question, now) for evaluation in failing[:MAX_FAILING]]
    return {
        **summarize(question, len(evaluations), len(evaluations) - len(failing), reports),
        "failing": [to_dict(report) for report in reports],
    }


def _cluster_report(clusters: Sequence[ClusterState]) -> Mapping[str, Any]:
    """Return the report on one cluster; on several, a summary and the reports on each."""
    reports = [cluster_to_dict(cluster) for cluster in clusters]
    return reports[0] if len(reports) == 1 else {**summarize_clusters(clusters), "clusters": reports}
