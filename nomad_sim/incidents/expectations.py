"""What recurs in the stories: how one sees that an agent is well, dead, or without a leader."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.incidents.story import Deed, Expected, Role, Roles, Shown, Sight

PROMOTED = 30.0
"""Within so many seconds autopilot has looked, found a new server stable, and given it a vote."""

CLEANED = 50.0
"""Within so many seconds gossip has told a death, and autopilot has taken the vote of the dead."""

OVERDUE = 32.0
"""After so many seconds a heartbeat is older than the longest TTL and the grace."""

ELECTED = 8.0
"""An election and, where votes were split, another."""

HEARTBEAT = 20.0
"""A client that failed tries again within 15 seconds."""


def is_(name: str, value: float = 1.0, **labels: str) -> Shown:
    return Shown(name, value, labels)


def absent(name: str, **labels: str) -> Shown:
    return Shown(name, 0.0, labels, Sight.ABSENT)


def grown(name: str, by: float = 1.0, **labels: str) -> Shown:
    return Shown(name, by, labels, Sight.GROWN)


def failing(source: str, reason: str) -> Shown:
    """Why the polls of a source fail."""
    return is_("nomad_exporter_poll_failing", source=source, reason=reason)


def voters(count: int) -> Shown:
    return is_("nomad_agent_raft_servers", count, suffrage="Voter")


def fell(*of: Role) -> tuple[Shown, ...]:
    """Gossip has noticed that members failed."""
    return (grown("nomad_agent_member_transitions_total", len(of), **{"from": "alive", "to": "failed"}),)


def turned(state: str) -> Shown:
    """The server was seen to leave this raft state."""
    return grown("nomad_agent_raft_state_transitions_total", 1.0, **{"from": state})


def healed(role: str) -> tuple[Shown, ...]:
    """The agent was seen to turn unhealthy in this role, and healthy again."""
    return tuple(grown("nomad_agent_health_transitions_total", role=role, to=to) for to in ("unhealthy", "healthy"))


RESTARTED = (grown("nomad_agent_restarts_total"),)
"""The exporter has proof that the agent was started anew."""


def well(of: Roles, after: float = 0.0, samples: tuple[Shown, ...] = ()) -> Expected:
    """Servers that live and work, and any of which may be stopped."""
    return Expected(of, live="ok", ready="ok", quorum="ok", samples=samples, after=after)


def works(*of: Role, after: float = 0.0, samples: tuple[Shown, ...] = ()) -> Expected:
    """Servers that live and work, but none of which may be stopped."""
    return Expected(of, live="ok", ready="ok", quorum="no_margin", samples=samples, after=after)


def serves(*of: Role, after: float = 0.0, samples: tuple[Shown, ...] = ()) -> Expected:
    """Clients that live and work; no quorum rests on them."""
    return Expected(of, live="ok", ready="ok", quorum="not_a_voter", samples=samples, after=after)


def unheard(*of: Role, after: float, samples: tuple[Shown, ...] = ()) -> Expected:
    """Clients that no server hears, and that call themselves healthy all the same."""
    healthy = is_("nomad_agent_healthy", role="client")
    return Expected(
        of,
        live="ok",
        ready="servers_unreachable",
        quorum="not_a_voter",
        samples=(healthy, *samples),
        after=after,
    )


def dead(*of: Role, quorum: str = "") -> Expected:
    """Agents that refuse every connection."""
    return Expected(
        of,
        live="not_answering",
        ready="not_answering",
        quorum=quorum,
        samples=(is_("nomad_agent_up", 0), failing("health", "refused"), failing("self", "refused")),
        within=9,
    )


def silent(*of: Role, quorum: str = "") -> Expected:
    """Agents that take connections and never answer."""
    hung = (is_("nomad_agent_up", 0), failing("health", "timeout"), failing("self", "timeout"))
    return replace(dead(*of, quorum=quorum), samples=hung)


def leaderless(*of: Role) -> Expected:
    """Servers that live, but too few of them to have a leader."""
    samples = (is_("nomad_agent_leader_known", 0), is_("nomad_agent_leader_reachable", 0))
    return Expected(of, live="ok", ready="no_leader", quorum="quorum_lost", samples=samples, after=ELECTED)


def alone(*of: Role) -> Expected:
    """Servers that know no leader while the others work: to stop one costs nothing, until autopilot takes its vote."""
    return replace(leaderless(*of), quorum="ok", passing=True)


def returning(*of: Role) -> Expected:
    """Servers whose vote autopilot had taken, and that it has taken in again, but not with a vote yet."""
    return Expected(of, ready="not_yet_voter", after=5.0, passing=True)


def kill(*of: Role) -> Deed:
    return Deed("kill", of)


def start(*of: Role) -> Deed:
    return Deed("start", of)
