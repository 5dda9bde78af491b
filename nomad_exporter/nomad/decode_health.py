"""Decoder of ``/v1/agent/health``; its JSON is the same under status 200 and 500, whatever the content type."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nomad_exporter.nomad.models import Check, HealthAnswer, Role


class _Check(msgspec.Struct):
    ok: bool
    message: str = ""


class _Body(msgspec.Struct):
    client: _Check | None = None
    server: _Check | None = None


MESSAGE_LIMIT = 500
"""Maximum length of a check's message, in characters; a longer message is truncated."""


def decode(status: int, body: bytes) -> HealthAnswer:
    """Decode ``body``. Raises ValueError or a msgspec error if it has no check of any role."""
    content = msgspec.json.decode(body, type=_Body)
    checks = {
        role: Check(check.ok, check.message[:MESSAGE_LIMIT])
        for role, check in ((Role.CLIENT, content.client), (Role.SERVER, content.server))
        if check is not None
    }
    if not checks:
        raise ValueError("no health check of a server or a client")
    return HealthAnswer(status, checks)


def encode(checks: Mapping[Role, Check] | Mapping[str, Check]) -> bytes:
    """Return ``checks`` as the JSON body that Nomad would send."""
    return msgspec.json.encode(
        {str(role): {"ok": check.ok, "message": check.message} for role, check in checks.items()}
    )
