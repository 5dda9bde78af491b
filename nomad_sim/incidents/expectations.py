"""What recurs in the stories: how one sees that an agent is well, dead, or without a leader."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.incidents.scenario import Action, Expectation, Match, Role, Roles, SampleExpectation

PROMOTION = 30.0
"""Within so many seconds autopilot has looked, found a new server stable, and given it a vote."""

CLEANUP = 50.0
"""Within so many seconds gossip has told a death, and autopilot has taken the vote of the dead."""

OVERDUE = 32.0
"""After so many seconds a heartbeat is older than the longest TTL and the grace."""

ELECTION = 8.0
"""An election and, where votes were split, another."""

HEARTBEAT = 20.0
"""A client that failed tries again within 15 seconds."""


def equals(name: str, value: float = 1.0, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, value, labels)


def absent(name: str, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, 0.0, labels, Match.ABSENT)


def increases(name: str, by: float = 1.0, **labels: str) -> SampleExpectation:
    return SampleExpectation(name, by, labels, Match.GROWN)


def poll_failing(source: str, reason: str) -> SampleExpectation:
    """Why the polls of a source fail."""
    return equals("nomad_exporter_poll_failing", source=source, reason=reason)


def voters(count: int) -> SampleExpectation:
    return equals("nomad_agent_raft_servers", count, suffrage="Voter")


def members_failed(*roles: Role) -> tuple[SampleExpectation, ...]:
    """Gossip has noticed that members failed."""
    return (increases("nomad_agent_member_transitions_total", len(roles), **{"from": "alive", "to": "failed"}),)


def left_state(state: str) -> SampleExpectation:
    """The server was seen to leave this raft state."""
    return increases("nomad_agent_raft_state_transitions_total", 1.0, **{"from": state})


def health_recovered(role: str) -> tuple[SampleExpectation, ...]:
    """The agent was seen to turn unhealthy in this role, and healthy again."""
    return tuple(increases("nomad_agent_health_transitions_total", role=role, to=to) for to in ("unhealthy", "healthy"))


RESTART = (increases("nomad_agent_restarts_total"),)
"""The exporter has proof that the agent was started anew."""


def healthy(roles: Roles, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Servers that live and work, and any of which may be stopped."""
    return Expectation(roles, live="ok", ready="ok", quorum="ok", samples=samples, after=after)


def would_lose_quorum(*roles: Role, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Servers that live and work, but none of which may be stopped."""
    return Expectation(roles, live="ok", ready="ok", quorum="would_lose_quorum", samples=samples, after=after)


def client_ready(*roles: Role, after: float = 0.0, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Clients that live and work; no quorum rests on them."""
    return Expectation(roles, live="ok", ready="ok", quorum="not_a_voter", samples=samples, after=after)


def servers_unreachable(*roles: Role, after: float, samples: tuple[SampleExpectation, ...] = ()) -> Expectation:
    """Clients that no server hears, and that call themselves healthy all the same."""
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
    """Agents that refuse every connection."""
    return Expectation(
        roles,
        live="unresponsive",
        ready="unresponsive",
        quorum=quorum,
        samples=(equals("nomad_agent_up", 0), poll_failing("health", "refused"), poll_failing("self", "refused")),
        within_polls=9,
    )


def hung(*roles: Role, quorum: str = "") -> Expectation:
    """Agents that take connections and never answer."""
    failing = (equals("nomad_agent_up", 0), poll_failing("health", "timeout"), poll_failing("self", "timeout"))
    return replace(down(*roles, quorum=quorum), samples=failing)


def leaderless(*roles: Role) -> Expectation:
    """Servers that live, but too few of them to have a leader."""
    samples = (equals("nomad_agent_leader_known", 0), equals("nomad_agent_leader_reachable", 0))
    return Expectation(roles, live="ok", ready="no_leader", quorum="quorum_lost", samples=samples, after=ELECTION)


def isolated(*roles: Role) -> Expectation:
    """Servers that know no leader while the others work: to stop one costs nothing, until autopilot takes its vote."""
    return replace(leaderless(*roles), quorum="ok", transient=True)


def not_yet_voter(*roles: Role) -> Expectation:
    """Servers whose vote autopilot had taken, and that it has taken in again, but not with a vote yet."""
    return Expectation(roles, ready="not_yet_voter", after=5.0, transient=True)


def kill(*roles: Role) -> Action:
    return Action("kill", roles)


def start(*roles: Role) -> Action:
    return Action("start", roles)
