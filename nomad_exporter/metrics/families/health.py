"""Families filled by answers to ``/v1/agent/health`` and ``/v1/operator/autopilot/health``."""

from __future__ import annotations

from nomad_exporter.metrics.family import Family, one
from nomad_exporter.nomad.models import Autopilot, Health

HEALTH: tuple[Family[Health], ...] = (
    Family(
        "nomad_agent_healthy",
        "Whether the agent reports this role as healthy.",
        "health: ok",
        lambda answer: [((role,), int(check.ok)) for role, check in sorted(answer.plain.checks.items())],
        ("role",),
    ),
    Family(
        "nomad_agent_leader_reachable",
        "Whether this server reaches its leader.",
        "health: server.ok, plain and ?stale",
        lambda answer: one(None if answer.leader_reachable is None else int(answer.leader_reachable)),
    ),
)

AUTOPILOT: tuple[Family[Autopilot], ...] = (
    Family(
        "nomad_agent_autopilot_healthy",
        "Whether autopilot reports all servers of the region as healthy.",
        "autopilot: Healthy",
        lambda answer: one(int(answer.healthy)),
    ),
    Family(
        "nomad_agent_autopilot_failure_tolerance",
        "Voters that can fail before the region loses quorum, as reported by autopilot.",
        "autopilot: FailureTolerance",
        lambda answer: one(answer.failure_tolerance),
    ),
    Family(
        "nomad_agent_autopilot_server_healthy",
        "Whether autopilot reports the server as healthy; address is its RPC address.",
        "autopilot: Servers[].Healthy",
        lambda answer: [((server.name, server.address), int(server.healthy)) for server in answer.servers],
        ("member", "address"),
    ),
)
