"""Families filled by an answer to ``/v1/operator/autopilot/health``."""

from __future__ import annotations

from nomad_exporter.metrics.family import Family, Lifetime, one
from nomad_exporter.nomad.models import Autopilot

FAMILIES: tuple[Family[Autopilot], ...] = (
    Family(
        "nomad_agent_autopilot_healthy",
        "Whether autopilot reports all servers of the region as healthy.",
        "autopilot: Healthy",
        lambda answer: one(int(answer.healthy)),
        lifetime=Lifetime.MOMENT,
    ),
    Family(
        "nomad_agent_autopilot_failure_tolerance",
        "Voters that can fail before the region loses quorum, as reported by autopilot.",
        "autopilot: FailureTolerance",
        lambda answer: one(answer.failure_tolerance),
        lifetime=Lifetime.MOMENT,
    ),
    Family(
        "nomad_agent_autopilot_server_healthy",
        "Whether autopilot reports the server as healthy; address is its RPC address.",
        "autopilot: Servers[].Healthy",
        lambda answer: [((server.name, server.address), int(server.healthy)) for server in answer.servers],
        ("member", "address"),
        lifetime=Lifetime.MOMENT,
    ),
)
