"""``/v1/agent/health``, from bytes to ``HealthAnswer``: the same JSON under 200 and 500, whatever its content type."""

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
"""The rest of a longer message is cut off, in characters."""


def decode(status: int, body: bytes) -> HealthAnswer:
    """The answer in ``body``. Raises ValueError or a msgspec error where it judges no role: ``{}`` is no health."""
    told = msgspec.json.decode(body, type=_Body)
    checks = {
        role: Check(check.ok, check.message[:MESSAGE_LIMIT])
        for role, check in ((Role.CLIENT, told.client), (Role.SERVER, told.server))
        if check is not None
    }
    if not checks:
        raise ValueError("it judges neither a server nor a client")
    return HealthAnswer(status, checks)


def encode(checks: Mapping[Role, Check] | Mapping[str, Check]) -> bytes:
    """The JSON body with which Nomad would tell ``checks``."""
    return msgspec.json.encode(
        {str(role): {"ok": check.ok, "message": check.message} for role, check in checks.items()}
    )
