"""The sources of an agent: their paths, and the decoding of each reply to an answer or a failure."""

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
"""Maximum size of each response body, in bytes; real ones have about 10 kB, and 2 MB with 5000 members."""


class Source(StrEnum):
    """An endpoint that is polled; the values are those of the label ``source``."""

    HEALTH = "health"
    SELF = "self"
    MEMBERS = "members"
    AUTOPILOT = "autopilot"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response: its status and its complete body."""

    status: int
    body: bytes


def agent_self(reply: Reply) -> AgentSelf | Failure:
    """Decode a reply to ``GET /v1/agent/self``."""
    return _decode(reply, (200,), lambda: decode_self.decode(reply.body))


def members(reply: Reply) -> Members | Failure:
    """Decode a reply to ``GET /v1/agent/members``."""
    return _decode(reply, (200,), lambda: decode_members.decode(reply.body))


def health(reply: Reply) -> HealthAnswer | Failure:
    """Decode a reply to ``GET /v1/agent/health``; an unhealthy agent answers with status 500."""
    return _decode(reply, (200, 500), lambda: decode_health.decode(reply.status, reply.body))


def autopilot(reply: Reply) -> Autopilot | Failure:
    """Decode a reply to ``GET /v1/operator/autopilot/health``; the status is 429 if a server is unhealthy."""
    return _decode(reply, (200, 429), lambda: decode_autopilot.decode(reply.body))


def _decode(reply: Reply, statuses: tuple[int, ...], decode: Callable[[], A]) -> A | Failure:
    if reply.status not in statuses:
        return _classify_status(reply)
    try:
        return decode()
    except TooMany as error:
        return Failure(FailureReason.TOO_LARGE, str(error))
    except ERRORS as error:
        if reply.status != 200:
            return _classify_status(reply)
        return Failure(FailureReason.DECODE, _decode_detail(error))


def _decode_detail(error: Exception) -> str:
    # Messages of msgspec can quote the body. Those of the decoders are plain ValueErrors and never do.
    return str(error) if type(error) is ValueError else "response is not the expected JSON"


def _classify_status(reply: Reply) -> Failure:
    """Return the failure for an HTTP status; the body is only searched for fixed phrases of Nomad."""
    text = reply.body[:4096].lower()
    if reply.status in (401, 403) or (reply.status == 500 and b"acl token" in text):
        return Failure(FailureReason.UNAUTHORIZED, f"HTTP {reply.status}: token rejected, or without permission")
    if reply.status == 400 and b"http request to an https server" in text:
        return Failure(FailureReason.TLS, "agent speaks HTTPS, but its address starts with http://")
    if 300 <= reply.status < 400:
        return Failure(FailureReason.REDIRECT, f"HTTP {reply.status}: redirects are not followed")
    return Failure(FailureReason.STATUS, f"HTTP {reply.status}", status=reply.status)
