"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a verdict, and the numbers behind it, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.judge.facts import age, ages, facts
from nomad_exporter.judge.judging import Judged
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Verdict
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
    found = judged(store, agents, at, limits)
    told = _one(found[0], question, at) if len(found) == 1 else _several(found, question, at)
    body = json.dumps({"verdict": question, **told}, ensure_ascii=False, indent=2).encode() + b"\n"
    response = Response(200 if told["holds"] else 503, body, JSON)
    oldest = max((old for each in found if (old := age(each, question, at)) is not None), default=None)
    return response if oldest is None else response.with_header("Age", str(max(0, int(oldest))))


def _one(each: Judged, question: Question, at: Instant) -> Mapping[str, Any]:
    found = each.verdicts[question]
    return {
        "holds": found.holds,
        "agent": each.snapshot.agent.name,
        "reason": found.reason,
        "sentence": found.sentence,
        "numbers": facts(each, question),
        "ages": {source: round(old, 3) for source, old in ages(each, question, at).items()},
    }


def _several(found: Sequence[Judged], question: Question, at: Instant) -> Mapping[str, Any]:
    """All must hold; the reason is that of the first which does not."""
    against = [each for each in found if not each.verdicts[question].holds]
    first = against[0].verdicts[question] if against else Verdict(question, Reason.OK, "")
    named = f" {against[0].snapshot.agent.name}: {first.sentence}" if against else ""
    return {
        "holds": not against,
        "reason": first.reason,
        "sentence": f"{len(found) - len(against)} of {len(found)} agents: yes.{named}",
        "against": [_one(each, question, at) for each in against[:SHOWN]],
    }
