"""Actions and expectations that several incidents share, and times in seconds of Nomad's own time."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.incidents.scenario import Action, Expectation, Match, Role, Roles, SampleExpectation

PROMOTION = 30.0
"""The time until autopilot has promoted a new server to a voter."""

CLEANUP = 50.0
"""The time until gossip has detected a failure and autopilot has removed the server."""

OVERDUE = 32.0
"""The time until a heartbeat is older than the longest TTL and the grace."""

ELECTION = 8.0
"""The time for two elections, in case the first one has a split vote."""

HEARTBEAT = 20.0
"""The time for a heartbeat after a failed one, which a client retries within 15 seconds."""


def equals(name: str, value: float = 1.0, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, value, labels)


def absent(name: str, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, 0.0, labels, Match.ABSENT)


def increases(name: str, by: float = 1.0, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, by, labels, Match.INCREASED)


def poll_failing(source: str, reason: str) -> SampleExpectation:
    """Expect that the polls of a source fail with this reason."""
    return equals("nomad_exporter_poll_failing", source=source, reason=reason)


def voters(count: int) -> SampleExpectation:
    return equals("nomad_agent_raft_servers", count, suffrage="Voter")


def members_failed(*roles: Role) -> tuple[SampleExpectation, ...]:
    """Expect that gossip has marked the members as failed."""
    return (increases("nomad_agent_member_transitions_total", len(roles), **{"from": "alive", "to": "failed"}),)


def left_state(state: str) -> SampleExpectation:
    """Expect that the exporter has counted a transition from this Raft state."""
    return increases("nomad_agent_raft_state_transitions_total", 1.0, **{"from": state})


def health_recovered(role: str) -> tuple[SampleExpectation, ...]:
    """Expect that the exporter has counted transitions to unhealthy and back to healthy."""
    return tuple(increases("nomad_agent_health_transitions_total", role=role, to=to) for to in ("unhealthy", "healthy"))


RESTART = (increases("nomad_agent_restarts_total"),)
"""The exporter has detected a restart of the agent."""


def healthy(roles: Roles, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Expect servers that are live and ready, and of which any one can be stopped."""
    return Expectation(roles, live="ok", ready="ok", quorum="ok", samples=samples, after=after)


def would_lose_quorum(*roles: Role, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Expect servers that are live and ready, and of which none can be stopped without losing quorum."""
    return Expectation(roles, live="ok", ready="ok", quorum="would_lose_quorum", samples=samples, after=after)


def client_ready(*roles: Role, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Expect clients that are live and ready."""
    return Expectation(roles, live="ok", ready="ok", quorum="not_a_voter", samples=samples, after=after)


def servers_unreachable(*roles: Role, after: float, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Expect clients that cannot reach the servers and still report themselves healthy."""
    healthy = equals("nomad_agent_healthy", role="client")
    return Expectation(
        roles,
        live="ok",
        ready="servers_unreachable",
        quorum="not_a_voter",
        samples=(healthy, *samples),
        after=after,
    )


def down(*roles: Role, quorum: str = "") -> Expectation:
    """Expect agents that refuse every connection."""
    return Expectation(
        roles,
        live="unresponsive",
        ready="unresponsive",
        quorum=quorum,
        samples=(equals("nomad_agent_up", 0), poll_failing("health", "refused"), poll_failing("self", "refused")),
        within_polls=9,
    )


def hung(*roles: Role, quorum: str = "") -> Expectation:
    """Expect agents that accept connections and do not respond."""
    failing = (equals("nomad_agent_up", 0), poll_failing("health", "timeout"), poll_failing("self", "timeout"))
    return replace(down(*roles, quorum=quorum), samples=failing)


def leaderless(*roles: Role) -> Expectation:
    """Expect servers that are live, but without a leader because the quorum is lost."""
    samples = (equals("nomad_agent_leader_known", 0), equals("nomad_agent_leader_reachable", 0))
    return Expectation(roles, live="ok", ready="no_leader", quorum="quorum_lost", samples=samples, after=ELECTION)


def isolated(*roles: Role) -> Expectation:
    """Expect servers without a leader while the others have one, so that stopping them does no harm.

    This lasts until autopilot removes the servers.
    """
    return replace(leaderless(*roles), quorum="ok", transient=True)


def not_yet_voter(*roles: Role) -> Expectation:
    """Expect servers that are in the Raft configuration again, but as non-voters for now."""
    return Expectation(roles, ready="not_yet_voter", after=5.0, transient=True)


def kill(*roles: Role) -> Action:
    return Action("kill", roles)


def start(*roles: Role) -> Action:
    return Action("start", roles)
