"""The source ``health``: the agent's own health checks, whose JSON is the same under status 200 and 500."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
from msgspec.json import Decoder

from nomad_exporter.clock import Clock
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources.source import KIB, Get, Reply, Source

PATH = "/v1/agent/health"
STALE_PATH = f"{PATH}?stale"

MESSAGE_LIMIT = 500
"""Maximum length of a check's message, in characters; a longer message is truncated."""


class _Check(msgspec.Struct):
    ok: bool
    message: str = ""


class _Body(msgspec.Struct):
    client: _Check | None = None
    server: _Check | None = None


_BODY = Decoder(_Body)


def decode(reply: Reply) -> Health:
    """Decode a reply, as the answer both with and without ``?stale``, whatever its content type.

    Raises ValueError or a msgspec error if the body has no check of any role.
    """
    content = _BODY.decode(reply.body)
    checks = {
        role: Check(check.ok, check.message[:MESSAGE_LIMIT])
        for role, check in ((Role.CLIENT, content.client), (Role.SERVER, content.server))
        if check is not None
    }
    if not checks:
        raise ValueError("no health check of a server or a client")
    answer = HealthAnswer(reply.status, checks)
    return Health(plain=answer, stale=answer, leader_reachable=content.server.ok if content.server else None)


def encode(checks: Mapping[Role, Check] | Mapping[str, Check]) -> bytes:
    """Return ``checks`` as the JSON body that Nomad would send."""
    return msgspec.json.encode(
        {str(role): {"ok": check.ok, "message": check.message} for role, check in checks.items()}
    )


def _request(get: Get[Health], clock: Clock, seconds: float) -> Health | Failure:
    """Request ``?stale``, then, if the agent knows a leader, the health through the leader, under one deadline."""
    # Nomad holds a plain request for five seconds if there is no leader, but responds to ?stale at once. So an
    # unhealthy ?stale is the result. A healthy ?stale only shows that the agent knows a leader, which may be dead.
    began = clock()
    stale = get(STALE_PATH, seconds)
    if isinstance(stale, Failure) or not stale.leader_reachable:
        return stale
    remaining = seconds - clock().since(began)
    plain = get(PATH, remaining) if remaining > 0 else _NO_TIME_LEFT
    if not isinstance(plain, Failure):
        return replace(plain, stale=stale.stale)
    # If the agent itself was slow, the leader had too little time to respond.
    is_leader_at_fault = plain.reason is FailureReason.TIMEOUT and remaining >= seconds / 2
    return _without_leader(stale.stale, seconds) if is_leader_at_fault else replace(plain, has_partial_response=True)


_NO_TIME_LEFT = Failure(FailureReason.TIMEOUT, "no time left to reach the leader")


def _without_leader(stale: HealthAnswer, seconds: float) -> Health:
    """Return the health of a server that knows a leader which did not respond in time."""
    check = Check(ok=False, message=f"leader did not respond within {durations.text(seconds)}")
    return Health(HealthAnswer(500, {**stale.checks, Role.SERVER: check}), stale, leader_reachable=False)


HEALTH = Source(
    name="health",
    path=PATH,
    decode=decode,
    body_limit=64 * KIB,  # A real answer has less than 1 kB.
    statuses=(200, 500),  # An unhealthy agent answers with status 500.
    verdicts=("ready", "quorum"),
    requests=_request,
)
