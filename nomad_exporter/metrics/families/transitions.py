"""The families that count what changed, from one answer of an agent to the next; also while the agent is down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nomad_exporter.metrics.family import Family, Sample
from nomad_exporter.polling.history import History, Transition

_FROM_TO = ("from", "to")


def _counter(counted: Transition, help_text: str, origin: str, labels: tuple[str, ...] = ()) -> Family[History]:
    return Family(f"nomad_agent_{counted}_total", help_text, origin, _count(counted), labels, "counter")


def _count(counted: Transition) -> Callable[[History], Iterable[Sample]]:
    return lambda history: history.counts.get(counted, {}).items()


def _last_changes(history: History) -> Iterable[Sample]:
    """The newest instant of all kinds that have a name together."""
    found: dict[tuple[str, ...], float] = {}
    for counted, name in CHANGES.items():
        if counted in history.changed:
            found[name,] = max(history.changed[counted], found.get((name,), 0.0))
    return found.items()


CHANGES: Mapping[Transition, str] = {
    Transition.LEADER_CHANGES: "leader",
    Transition.LEADER_LOSSES: "leader",
    Transition.RAFT_STATE_TRANSITIONS: "raft_state",
    Transition.RAFT_TERM_INCREASES: "term",
    Transition.MEMBER_TRANSITIONS: "members",
    Transition.MEMBERS_APPEARED: "members",
    Transition.MEMBERS_VANISHED: "members",
    Transition.RESTARTS: "restart",
    Transition.HEALTH_TRANSITIONS: "health",
    Transition.VERSION_CHANGES: "version",
}
"""The values of the label ``change``, and the counts that belong to each."""

TRANSITIONS: tuple[Family[History], ...] = (
    _counter(
        Transition.LEADER_CHANGES,
        "Times that this server was seen to follow another leader than before, with or without a time without one.",
        "self: stats.nomad.leader_addr",
    ),
    _counter(
        Transition.LEADER_LOSSES,
        "Times that this server was seen to have no leader, and then the same one again.",
        "self: stats.nomad.leader_addr",
    ),
    _counter(
        Transition.RAFT_STATE_TRANSITIONS,
        "Times that this server was seen in another raft state than before.",
        "self: stats.raft.state",
        _FROM_TO,
    ),
    _counter(
        Transition.RAFT_TERM_INCREASES,
        "Times that this server was seen in a higher term than before, however much higher.",
        "self: stats.raft.term",
    ),
    _counter(
        Transition.MEMBER_TRANSITIONS,
        "Times that a member was seen with another status than before, in this server's view of gossip.",
        "members: Status",
        _FROM_TO,
    ),
    _counter(
        Transition.MEMBERS_APPEARED,
        "Members that were seen for the first time, or again, in this server's view of gossip.",
        "members: Name",
    ),
    _counter(
        Transition.MEMBERS_VANISHED,
        "Members that two answers in a row lacked, in this server's view of gossip.",
        "members: Name",
    ),
    _counter(
        Transition.RESTARTS,
        "Restarts of the agent that left a proof: a connection was refused, commit_index or applied_index fell, "
        "heartbeat_ttl was forgotten, raft runs again after Shutdown, or version, roles or ID are other ones.",
        "self: stats, member, config, and polls that were refused",
    ),
    _counter(
        Transition.HEALTH_TRANSITIONS,
        "Times that the agent was seen to turn healthy or unhealthy in this role.",
        "health: ok",
        ("role", "to"),
    ),
    _counter(
        Transition.VERSION_CHANGES,
        "Times that the agent was seen with another version than before.",
        "self: config.Version",
    ),
    Family(
        "nomad_agent_last_change_timestamp_seconds",
        "When a change of this kind was seen last; absent until one was.",
        "polls",
        _last_changes,
        ("change",),
    ),
)
