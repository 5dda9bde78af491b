"""The health of agents: as Nomad reports it, for the health bridge, and the verdicts about it, as JSON.

Without a leader, Nomad delays its response by five seconds, which is too long for most probes. The bridge responds at
once from the store, with the age of the answer, and with 503 if the health is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH
from nomad_exporter.nomad.sources.health import encode
from nomad_exporter.polling.snapshot import SourceState
from nomad_exporter.server.http import JSON, HTTPError, Request, Response
from nomad_exporter.verdicts.cluster import ClusterState
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, build_report, cluster_to_dict, summarize, summarize_clusters, to_dict
from nomad_exporter.web.site import Site, evaluate_agents, evaluate_clusters, list_names, select_agent, select_agents

MAX_FAILING = 20
"""Maximum number of agents in the list ``failing``."""

_TRUE = dict.fromkeys(("", "1", "t", "T", "TRUE", "true", "True"), True)
_FALSE = dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)
_STALE = {**_TRUE, **_FALSE}
"""The values of ``?stale`` that Nomad accepts; it responds with 400 to any other."""


# The health bridge.


def bridge(site: Site, request: Request, now: Instant) -> Response:
    """Return the health of one agent: 200 or 500 as Nomad reports it, 503 if it is unknown.

    An invalid request gets a 400, an unknown agent a 404.
    """
    try:
        entry, roles, stale = select_agent(site, request), _requested_roles(request), _requested_stale(request)
    except HTTPError as error:
        # A client of Nomad's endpoint expects JSON in the shape of Nomad's answers.
        return _health_response(error.status_code, {"exporter": Check(ok=False, message=error.detail)})
    state = entry.snapshot[HEALTH]
    problem = _health_problem(state, now, site.thresholds.max_health_age)
    if state.answer is None or problem:
        return _unknown_health(roles or sorted(entry.snapshot.roles), problem, state, now)
    answer = state.answer.stale if stale else state.answer.plain
    return _with_age(_known_health(answer, roles), state, now)


def _requested_roles(request: Request) -> list[Role]:
    """Return the roles in ``?type=``, none if the parameter is missing. Raises HTTPError for any other value."""
    types = request.query_params.get("type", [])
    for value in types:
        if value not in set(Role):
            raise HTTPError(400, f"type must be client or server (got {value!r})")
    return [Role(value) for value in types]


def _requested_stale(request: Request) -> bool:
    """Return the value of ``?stale``, false if the parameter is missing. Raises HTTPError if it is not a boolean."""
    value = request.query_params.get("stale", ["false"])[0]
    if value not in _STALE:
        raise HTTPError(400, f"stale must be true or false (got {value!r})")
    return _STALE[value]


def _health_problem(state: SourceState[Health], now: Instant, max_age: float) -> str:
    """Return why the last answer cannot be used, or an empty text."""
    if state.last is None:
        return "no poll has completed yet"
    if state.failure:
        return str(state.failure)
    age = state.age(now)
    return f"last answer is {durations.text(round(age, 1))} old" if age > max_age else ""


def _known_health(answer: HealthAnswer, roles: Sequence[Role]) -> Response:
    if not roles:
        return _health_response(answer.status, answer.checks)
    checks = {role: answer.checks.get(role, Check(ok=False, message=f"{role} not enabled")) for role in roles}
    return _health_response(200 if all(check.ok for check in checks.values()) else 500, checks)


def _unknown_health(roles: Sequence[Role], problem: str, state: SourceState[Health], now: Instant) -> Response:
    check = Check(ok=False, message=f"exporter: {problem}")
    return _with_age(_health_response(503, dict.fromkeys(map(str, roles), check) or {"agent": check}), state, now)


def _health_response(status: int, checks: Mapping[Role, Check] | Mapping[str, Check]) -> Response:
    return Response(status, encode(checks), JSON)


def _with_age(response: Response, state: SourceState[Health], now: Instant) -> Response:
    """Return the response with the age of the last poll in whole seconds; unchanged before the first poll."""
    if state.last is None:
        return response
    return response.with_header("Age", str(max(0, int(now.since(state.last.ended)))))


# Verdicts.


def verdict(site: Site, request: Request, now: Instant) -> Response:
    """Return 200 if the verdict about every selected agent is ok, else 503; the body is a report as JSON."""
    question = Question(request.path.rpartition("/")[2])
    evaluations = evaluate_agents(site, select_agents(site, request), now, [question])
    return _verdict_response(question, _report(evaluations, question, now), evaluations, now)


def quorum(site: Site, request: Request, now: Instant) -> Response:
    """Return the verdict about the selected agents; if none is selected of several, about every cluster.

    ``?cluster=NAME`` selects clusters by name. Raises HTTPError for an unknown cluster, and for agents and clusters.
    """
    names, agents = (dict.fromkeys(request.query_params.get(name, [])) for name in ("cluster", "agent"))
    if names and agents:
        raise HTTPError(400, "select agents with ?agent=NAME or clusters with ?cluster=NAME, not both")
    if agents or (len(site.store.entries()) == 1 and not names):
        return verdict(site, request, now)
    _require_known_clusters(names, site)
    evaluations = evaluate_agents(site, site.store.entries(), now, [Question.QUORUM])
    selected = [each for each in evaluations if not names or each.snapshot.agent.cluster in names]
    return _verdict_response(Question.QUORUM, _cluster_report(evaluate_clusters(site, selected, now)), selected, now)


def _require_known_clusters(names: Iterable[str], site: Site) -> None:
    known = dict.fromkeys(entry.snapshot.agent.cluster for entry in site.store.entries())
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise HTTPError(404, f"unknown cluster {unknown!r} (known: {list_names([*known])})")


def _verdict_response(
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
    """Return the report on one cluster; on several, a summary and the reports on each.

    A cluster of clients alone has no quorum to report on, so it counts only if there is no other.
    """
    counted = [cluster for cluster in clusters if cluster.status or cluster.has_unpolled] or clusters
    reports = [cluster_to_dict(cluster) for cluster in counted]
    return reports[0] if len(reports) == 1 else {**summarize_clusters(counted), "clusters": reports}
