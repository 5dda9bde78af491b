"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a verdict, and the numbers behind it, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, build_report, summarize, to_dict
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import JSON, Request, Response
from nomad_exporter.web.selection import evaluate_agents, select_agents

SHOWN = 20
"""So many agents of which the verdict does not hold are told one by one."""


def verdict(
    store: Store[Rendered], request: Request, at: Instant, thresholds: Thresholds, question: Question
) -> Response:
    """200 where the answer is yes, for one agent or for every one of several; else 503."""
    agents = select_agents(store, request)
    if isinstance(agents, Response):
        return agents
    found = evaluate_agents(store, agents, at, thresholds, [question])
    told = to_dict(build_report(found[0], question, at)) if len(found) == 1 else _several(found, question, at)
    body = json.dumps({"verdict": question, **told}, ensure_ascii=False, indent=2).encode() + b"\n"
    response = Response(200 if told["ok"] else 503, body, JSON)
    oldest = max((old for each in found if (old := age(each, question, at)) is not None), default=None)
    return response if oldest is None else response.with_header("Age", str(max(0, int(oldest))))


def _several(found: Sequence[Evaluation], question: Question, at: Instant) -> Mapping[str, Any]:
    """All must hold; the first that does not is named, and the first ones are told one by one."""
    against = [each for each in found if not each.verdicts[question].ok]
    told = [build_report(each, question, at) for each in against[:SHOWN]]
    return {
        **summarize(len(found), len(found) - len(against), told[0] if told else None),
        "failing": [to_dict(one) for one in told],
    }
