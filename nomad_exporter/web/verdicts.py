"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a verdict and its details as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.server.http import JSON, Request, Response
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, build_report, summarize, to_dict
from nomad_exporter.web.site import Site, evaluate_agents, select_agents

MAX_FAILING = 20
"""Maximum number of agents in the list ``failing``."""


def verdict(site: Site, request: Request, now: Instant) -> Response:
    """Return 200 if the verdict about every selected agent is ok, else 503; the body is a report as JSON."""
    question = Question(request.path.rpartition("/")[2])
    evaluations = evaluate_agents(site, select_agents(site, request), now, [question])
    report = _report(evaluations, question, now)
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
