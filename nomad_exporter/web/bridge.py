"""The health bridge: what Nomad would answer to ``GET /v1/agent/health``, but now, from what we know.

Nomad holds a plain question for five seconds where there is no leader; a probe that waits one second learns nothing.
Here every answer comes at once, with its age, and says so where it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.nomad import decode_health, durations
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.polling.snapshot import SourceState
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import JSON, Request, Response
from nomad_exporter.web.selection import select_agent

_TRUTHS = {"": True} | dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_LIES = dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)
_STALE = {**_TRUTHS, **_LIES}
"""The values of ``?stale`` that Nomad reads; it answers 400 to any other."""


def bridge(store: Store[Rendered], request: Request, at: Instant, thresholds: Thresholds) -> Response:
    """The health of one agent: 200 or 500 as Nomad says it, 503 where the exporter does not know it now."""
    kept = select_agent(store, request)
    if isinstance(kept, Response):
        return _mistake(kept.status, kept.body.decode().strip())
    roles = _asked_roles(request.parameters.get("type", []))
    if roles is None:
        return _mistake(400, "type must be client or server")
    stale = _STALE.get(request.parameters.get("stale", ["false"])[0])
    if stale is None:
        return _mistake(400, "stale must be true or false")
    seen = kept.snapshot.health
    missing = _missing(seen, at, thresholds.max_health_age)
    if seen.answer is None or missing:
        return _unknown(roles or sorted(kept.snapshot.roles), missing, seen, at)
    answer = seen.answer.stale if stale else seen.answer.plain
    return _aged(_known(answer, roles), seen, at)


def _asked_roles(types: Sequence[str]) -> list[Role] | None:
    """The roles that ``?type=`` asks for, none for all; None where one is no role."""
    try:
        return [Role(value) for value in types]
    except ValueError:
        return None


def _missing(seen: SourceState[Health], at: Instant, max_age: float) -> str:
    """Why the newest answer cannot be given; empty where it can."""
    if seen.last is None:
        return "the agent has not been asked yet"
    if seen.failure:
        return str(seen.failure)
    age = seen.age(at)
    return f"the newest answer is {durations.text(round(age, 1))} old" if age > max_age else ""


def _known(answer: HealthAnswer, roles: Sequence[Role]) -> Response:
    if not roles:
        return _response(answer.status, answer.checks)
    checks = {role: answer.checks.get(role, Check(ok=False, message=f"{role} not enabled")) for role in roles}
    return _response(200 if all(check.ok for check in checks.values()) else 500, checks)


def _unknown(roles: Sequence[Role], reason: str, seen: SourceState[Health], at: Instant) -> Response:
    check = Check(ok=False, message=f"exporter: {reason}")
    return _aged(_response(503, dict.fromkeys(map(str, roles), check) or {"agent": check}), seen, at)


def _mistake(status: int, message: str) -> Response:
    """To a question that means nothing here: red, and in the shape of an answer."""
    return _response(status, {"exporter": Check(ok=False, message=message)})


def _response(status: int, checks: Mapping[Role, Check] | Mapping[str, Check]) -> Response:
    return Response(status, decode_health.encode(checks), JSON)


def _aged(response: Response, seen: SourceState[Health], at: Instant) -> Response:
    """With the age of the newest attempt's outcome, in whole seconds, where there was one."""
    if seen.last is None:
        return response
    return response.with_header("Age", str(max(0, int(at.since(seen.last.ended)))))
