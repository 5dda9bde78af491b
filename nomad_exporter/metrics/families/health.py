"""The families that an answer to ``/v1/agent/health`` fills."""

from __future__ import annotations

from nomad_exporter.metrics.family import Family, one
from nomad_exporter.nomad.models import Autopilot, Health

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


AUTOPILOT: tuple[Family[Autopilot], ...] = (
    Family(
        "nomad_agent_autopilot_healthy",
        "Whether the leader finds all servers of its region healthy, as this server passes it on.",
        "autopilot: Healthy",
        lambda answer: one(int(answer.healthy)),
    ),
    Family(
        "nomad_agent_autopilot_failure_tolerance",
        "Voters that may fail before the region loses its leader, as the leader counts them.",
        "autopilot: FailureTolerance",
        lambda answer: one(answer.failure_tolerance),
    ),
    Family(
        "nomad_agent_autopilot_server_healthy",
        "Whether the leader finds the server healthy; address is that of its RPC, as raft has it.",
        "autopilot: Servers[].Healthy",
        lambda answer: [((server.name, server.address), int(server.healthy)) for server in answer.servers],
        ("member", "address"),
    ),
)
