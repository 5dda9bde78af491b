"""The families that an answer to ``/v1/agent/health`` fills."""

from __future__ import annotations

from nomad_exporter.metrics.families import Family, one
from nomad_exporter.nomad.answers import Health

HEALTH: tuple[Family[Health], ...] = (
    Family(
        "nomad_agent_healthy",
        "Whether the agent calls itself healthy in this role.",
        "health: ok",
        lambda health: [((role,), int(check.ok)) for role, check in sorted(health.plain.checks.items())],
        ("role",),
    ),
    Family(
        "nomad_agent_leader_reachable",
        "Whether this server reaches a leader.",
        "health: server.ok, plain and ?stale",
        lambda health: one(None if health.leader_reachable is None else int(health.leader_reachable)),
    ),
)
