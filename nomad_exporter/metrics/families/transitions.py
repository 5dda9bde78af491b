"""Families that count transitions between the answers of an agent; present even while the agent is down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nomad_exporter.metrics.family import Family, Sample
from nomad_exporter.polling.history import History, Transition

_FROM_TO = ("from", "to")


def _counter(transition: Transition, help: str, origin: str, labels: tuple[str, ...] = ()) -> Family[History]:
    def samples(history: History) -> Iterable[Sample]:
        return history.counts.get(transition, {}).items()

    return Family(f"nomad_agent_{transition}_total", help, origin, samples, labels, "counter")


def _last_changes(history: History) -> Iterable[Sample]:
    """Return the time of the newest transition of each kind of change."""
    newest: dict[tuple[str, ...], float] = {}
    for transition, change in CHANGES.items():
        if transition in history.changed:
            newest[change,] = max(history.changed[transition], newest.get((change,), 0.0))
    return newest.items()


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
"""The value of the label ``change`` for each transition."""

TRANSITIONS: tuple[Family[History], ...] = (
    _counter(
        Transition.LEADER_CHANGES,
        "Leader changes observed by this server.",
        "self: stats.nomad.leader_addr",
    ),
    _counter(
        Transition.LEADER_LOSSES,
        "Leader losses after which this server found the same leader again.",
        "self: stats.nomad.leader_addr",
    ),
    _counter(
        Transition.RAFT_STATE_TRANSITIONS,
        "Raft state changes of this server.",
        "self: stats.raft.state",
        _FROM_TO,
    ),
    _counter(
        Transition.RAFT_TERM_INCREASES,
        "Polls that found this server in a higher Raft term than before.",
        "self: stats.raft.term",
    ),
    _counter(
        Transition.MEMBER_TRANSITIONS,
        "Status changes of gossip members observed by this server.",
        "members: Status",
        _FROM_TO,
    ),
    _counter(
        Transition.MEMBERS_APPEARED,
        "Gossip members that appeared in the answers of this server, returning members included.",
        "members: Name",
    ),
    _counter(
        Transition.MEMBERS_VANISHED,
        "Gossip members that were missing from two consecutive answers of this server.",
        "members: Name",
    ),
    _counter(
        Transition.RESTARTS,
        "Restarts of the agent detected in its answers or by refused connections.",
        "self: stats, member, config; refused polls",
    ),
    _counter(
        Transition.HEALTH_TRANSITIONS,
        "Health changes of the agent in this role, by new state.",
        "health: ok",
        ("role", "to"),
    ),
    _counter(
        Transition.VERSION_CHANGES,
        "Version changes of the agent.",
        "self: config.Version",
    ),
    Family(
        "nomad_agent_last_change_timestamp_seconds",
        "Time of the last observed change of this kind; absent before the first.",
        "polls",
        _last_changes,
        ("change",),
    ),
)
