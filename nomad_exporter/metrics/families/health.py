"""Families filled by an answer to ``/v1/agent/health``."""

from __future__ import annotations

from nomad_exporter.metrics.family import Family, Lifetime, one
from nomad_exporter.nomad.models import Health

FAMILIES: tuple[Family[Health], ...] = (
    Family(
        "nomad_agent_healthy",
        "Whether the agent reports this role as healthy.",
        "health: ok",
        lambda answer: [((role,), int(check.ok)) for role, check in sorted(answer.plain.checks.items())],
        ("role",),
        lifetime=Lifetime.MOMENT,
    ),
    Family(
        "nomad_agent_leader_reachable",
        "Whether this server reaches its leader.",
        "health: server.ok, plain and ?stale",
        lambda answer: one(None if answer.leader_reachable is None else int(answer.leader_reachable)),
        lifetime=Lifetime.MOMENT,
    ),
)
