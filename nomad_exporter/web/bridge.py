"""The health bridge: the last answer of an agent to ``GET /v1/agent/health``, without delay.

Without a leader, Nomad delays its response by five seconds, which is too long for most probes. The bridge responds at
once from the store, with the age of the answer, and with 503 if the health is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nomad_exporter.clock import Instant
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH
from nomad_exporter.nomad.sources.health import encode
from nomad_exporter.polling.snapshot import SourceState
from nomad_exporter.server.http import JSON, HTTPError, Request, Response
from nomad_exporter.web.site import Site, select_agent

_TRUE = dict.fromkeys(("", "1", "t", "T", "TRUE", "true", "True"), True)
_FALSE = dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)
_STALE = {**_TRUE, **_FALSE}
"""The values of ``?stale`` that Nomad accepts; it responds with 400 to any other."""


def bridge(site: Site, request: Request, now: Instant) -> Response:
    """Return the health of one agent: 200 or 500 as Nomad reports it, 503 if it is unknown.

    An invalid request gets a 400, an unknown agent a 404.
    """
    try:
        entry, roles, stale = select_agent(site, request), _requested_roles(request), _requested_stale(request)
    except HTTPError as error:
        # A client of Nomad's endpoint expects JSON in the shape of Nomad's answers.
        return _response(error.status_code, {"exporter": Check(ok=False, message=error.detail)})
    state = entry.snapshot[HEALTH]
    problem = _problem(state, now, site.thresholds.max_health_age)
    if state.answer is None or problem:
        return _unknown(roles or sorted(entry.snapshot.roles), problem, state, now)
    answer = state.answer.stale if stale else state.answer.plain
    return _with_age(_known(answer, roles), state, now)


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


def _problem(state: SourceState[Health], now: Instant, max_age: float) -> str:
    """Return why the last answer cannot be used, or an empty text."""
    if state.last is None:
        return "no poll has completed yet"
    if state.failure:
        return str(state.failure)
    age = state.age(now)
    return f"last answer is {durations.text(round(age, 1))} old" if age > max_age else ""


def _known(answer: HealthAnswer, roles: Sequence[Role]) -> Response:
    if not roles:
        return _response(answer.status, answer.checks)
    checks = {role: answer.checks.get(role, Check(ok=False, message=f"{role} not enabled")) for role in roles}
    return _response(200 if all(check.ok for check in checks.values()) else 500, checks)


def _unknown(roles: Sequence[Role], problem: str, state: SourceState[Health], now: Instant) -> Response:
    check = Check(ok=False, message=f"exporter: {problem}")
    return _with_age(_response(503, dict.fromkeys(map(str, roles), check) or {"agent": check}), state, now)


def _response(status: int, checks: Mapping[Role, Check] | Mapping[str, Check]) -> Response:
    return Response(status, encode(checks), JSON)


def _with_age(response: Response, state: SourceState[Health], now: Instant) -> Response:
    """Return the response with the age of the last poll in whole seconds; unchanged before the first poll."""
    if state.last is None:
        return response
    return response.with_header("Age", str(max(0, int(now.since(state.last.ended)))))
