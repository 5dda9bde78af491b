"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a verdict, and the numbers behind it, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.judge.facts import age
from nomad_exporter.judge.judging import Judged
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question
from nomad_exporter.judge.telling import as_object, tell, together
from nomad_exporter.metrics.drawing import Drawing
from nomad_exporter.watch.store import Store
from nomad_exporter.web.choice import chosen, judged
from nomad_exporter.web.http import JSON, Request, Response

SHOWN = 20
"""So many agents of which the verdict does not hold are told one by one."""


def verdict(store: Store[Drawing], request: Request, at: Instant, limits: Limits, question: Question) -> Response:
    """200 where the answer is yes, for one agent or for every one of several; else 503."""
    agents = chosen(store, request)
    if isinstance(agents, Response):
        return agents
    found = judged(store, agents, at, limits, [question])
    told = as_object(tell(found[0], question, at)) if len(found) == 1 else _several(found, question, at)
    body = json.dumps({"verdict": question, **told}, ensure_ascii=False, indent=2).encode() + b"\n"
    response = Response(200 if told["holds"] else 503, body, JSON)
    oldest = max((old for each in found if (old := age(each, question, at)) is not None), default=None)
    return response if oldest is None else response.with_header("Age", str(max(0, int(oldest))))


def _several(found: Sequence[Judged], question: Question, at: Instant) -> Mapping[str, Any]:
    """All must hold; the first that does not is named, and the first ones are told one by one."""
    against = [each for each in found if not each.verdicts[question].holds]
    told = [tell(each, question, at) for each in against[:SHOWN]]
    return {
        **together(len(found), len(found) - len(against), told[0] if told else None),
        "against": [as_object(one) for one in told],
    }
