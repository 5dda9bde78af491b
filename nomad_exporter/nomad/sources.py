"""The things that we read of an agent, and how the reply to each becomes an answer or a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from nomad_exporter.nomad import decode_autopilot, decode_health, decode_members, decode_self
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import AgentSelf, Autopilot, HealthAnswer, Members

A = TypeVar("A")

MIB = 1024 * 1024

SELF_PATH = "/v1/agent/self"
MEMBERS_PATH = "/v1/agent/members"
HEALTH_PATH = "/v1/agent/health"
STALE_HEALTH_PATH = "/v1/agent/health?stale"
AUTOPILOT_PATH = "/v1/operator/autopilot/health"

BODY_LIMITS = {
    SELF_PATH: 2 * MIB,
    MEMBERS_PATH: 8 * MIB,
    HEALTH_PATH: MIB,
    STALE_HEALTH_PATH: MIB,
    AUTOPILOT_PATH: MIB,
}
"""The most bytes that are read of each answer: real ones have some ten thousand, 5000 members two millions."""


class Source(StrEnum):
    """One thing that we read of an agent; the ``source`` label."""

    HEALTH = "health"
    SELF = "self"
    MEMBERS = "members"
    AUTOPILOT = "autopilot"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire: an HTTP status and a whole body."""

    status: int
    body: bytes


def agent_self(reply: Reply) -> AgentSelf | Failure:
    """The answer to ``GET /v1/agent/self``."""
    return _answer(reply, (200,), lambda: decode_self.decode(reply.body))


def members(reply: Reply) -> Members | Failure:
    """The answer to ``GET /v1/agent/members``."""
    return _answer(reply, (200,), lambda: decode_members.decode(reply.body))


def health(reply: Reply) -> HealthAnswer | Failure:
    """The answer to ``GET /v1/agent/health``; a red one is an answer too, under status 500."""
    return _answer(reply, (200, 500), lambda: decode_health.decode(reply.status, reply.body))


def autopilot(reply: Reply) -> Autopilot | Failure:
    """The answer to ``GET /v1/operator/autopilot/health``; under 429 it is one too, where not every server is well."""
    return _answer(reply, (200, 429), lambda: decode_autopilot.decode(reply.body))


def _answer(reply: Reply, statuses: tuple[int, ...], decode: Callable[[], A]) -> A | Failure:
    if reply.status not in statuses:
        return _refusal(reply)
    try:
        return decode()
    except TooMany as error:
        return Failure(FailureReason.TOO_LARGE, str(error))
    except ERRORS as error:
        return _refusal(reply) if reply.status != 200 else Failure(FailureReason.DECODE, _decode_detail(error))


def _decode_detail(error: Exception) -> str:
    """What was wrong, without a word of the body: the texts of msgspec can quote it, ours cannot."""
    return str(error) if type(error) is ValueError else "the body is not the JSON that Nomad answers there"


def _refusal(reply: Reply) -> Failure:
    """The failure that a status tells; of the body only Nomad's own fixed phrases are looked for."""
    text = reply.body[:4096].lower()
    if reply.status in (401, 403) or (reply.status == 500 and b"acl token" in text):
        return Failure(FailureReason.UNAUTHORIZED, f"HTTP {reply.status}: the token was rejected or may not read this")
    if reply.status == 400 and b"http request to an https server" in text:
        return Failure(FailureReason.TLS, "the agent speaks HTTPS, its address says http://")
    if 300 <= reply.status < 400:
        return Failure(FailureReason.REDIRECT, f"HTTP {reply.status}: the agent sends us elsewhere")
    return Failure(FailureReason.STATUS, f"HTTP {reply.status}", status=reply.status)
