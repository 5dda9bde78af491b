"""The stats of ``/v1/agent/self``: every key that Nomad 0.5 to 2.0 tells, what it means, and how its text is read.

Nomad writes every stat as a string. The kind of a known stat is written in ``STATS``; the kind of one that a later
Nomad adds is learned from its first telling value (``learn``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nomad_exporter.nomad import durations

Number = int | float

GROUPS = ("nomad", "raft", "serf", "client", "runtime", "vault")

_NEVER_HEARD = "2562047h47m16.854775807s"
"""The longest Go duration, some 292 years: what clients before 0.11.2 say while no heartbeat was answered yet."""

KINDS_LIMIT = 100
"""Kinds that are learned of one agent; a new Nomad adds a handful of stats."""

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")


class Kind(StrEnum):
    """How the text of a stat is read; the value is the form that the documentation shows."""

    NUMBER = "number"
    BOOL = "true or false"
    DURATION = "duration"
    TIME = "time"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Stat:
    """One key of one group. A value in ``null_values`` says nothing and counts as absent."""

    group: str
    key: str
    kind: Kind
    help: str = ""
    null_values: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        return f"{self.group}.{self.key}"


STATS = (
    Stat("nomad", "server", Kind.TEXT),
    Stat("nomad", "leader", Kind.BOOL, "Whether this server is the leader of its region."),
    Stat("nomad", "leader_addr", Kind.TEXT, null_values=frozenset({""})),
    Stat("nomad", "bootstrap", Kind.BOOL, "Whether this server was told to be a cluster of one."),
    Stat("nomad", "known_regions", Kind.NUMBER, "Regions with at least one server that is alive, this one included."),
    Stat("raft", "state", Kind.TEXT),
    Stat("raft", "term", Kind.NUMBER, "Current election term."),
    Stat("raft", "last_log_index", Kind.NUMBER, "Index of the newest entry in the log."),
    Stat("raft", "last_log_term", Kind.NUMBER, "Term of the newest entry in the log."),
    Stat("raft", "commit_index", Kind.NUMBER, "Index of the newest entry known to be committed."),
    Stat("raft", "applied_index", Kind.NUMBER, "Index of the newest entry applied to the state."),
    Stat("raft", "fsm_pending", Kind.NUMBER, "Committed entries that wait to be applied to the state."),
    Stat(
        "raft", "last_snapshot_index", Kind.NUMBER, "Index of the newest entry in the newest snapshot; 0 without one."
    ),
    Stat("raft", "last_snapshot_term", Kind.NUMBER, "Term of the newest entry in the newest snapshot; 0 without one."),
    Stat("raft", "protocol_version", Kind.NUMBER, "Raft protocol version in use."),
    Stat("raft", "protocol_version_min", Kind.NUMBER, "Lowest raft protocol version understood."),
    Stat("raft", "protocol_version_max", Kind.NUMBER, "Highest raft protocol version understood."),
    Stat("raft", "snapshot_version_min", Kind.NUMBER, "Lowest raft snapshot version understood."),
    Stat("raft", "snapshot_version_max", Kind.NUMBER, "Highest raft snapshot version understood."),
    Stat("raft", "latest_configuration", Kind.TEXT),
    Stat(
        "raft",
        "latest_configuration_index",
        Kind.NUMBER,
        "Index of the raft configuration in use; 0 on a young cluster.",
    ),
    Stat("raft", "raft_peers", Kind.TEXT, null_values=frozenset({""})),
    Stat(
        "raft", "num_peers", Kind.NUMBER, "Other voters in the raft configuration; 0 also on a server that is no voter."
    ),
    Stat(
        "raft",
        "last_contact",
        Kind.DURATION,
        "Time since this server last heard from the leader; 0 on the leader, absent where it never heard from one.",
        frozenset({"never"}),
    ),
    Stat("raft", "logstore_backend", Kind.TEXT, null_values=frozenset({""})),
    Stat("serf", "members", Kind.NUMBER, "Servers of all regions that gossip knows, failed and left ones included."),
    Stat("serf", "failed", Kind.NUMBER, "Servers that gossip holds for failed."),
    Stat("serf", "left", Kind.NUMBER, "Servers that left."),
    Stat("serf", "health_score", Kind.NUMBER, "How late this server is in gossip; 0 is well, higher is worse."),
    Stat("serf", "member_time", Kind.NUMBER, "Lamport clock of membership changes."),
    Stat("serf", "event_time", Kind.NUMBER, "Lamport clock of events."),
    Stat("serf", "query_time", Kind.NUMBER, "Lamport clock of queries."),
    Stat("serf", "intent_queue", Kind.NUMBER, "Membership messages that wait to be sent."),
    Stat("serf", "event_queue", Kind.NUMBER, "Event messages that wait to be sent."),
    Stat("serf", "query_queue", Kind.NUMBER, "Query messages that wait to be sent."),
    Stat("serf", "encrypted", Kind.BOOL, "Whether gossip is encrypted."),
    Stat("serf", "coordinate_resets", Kind.NUMBER, "Times that the network coordinates were reset."),
    Stat("client", "node_id", Kind.TEXT, null_values=frozenset({""})),
    Stat("client", "known_servers", Kind.TEXT),
    Stat(
        "client",
        "num_allocations",
        Kind.NUMBER,
        "Allocations on this client, finished ones that still await cleaning included.",
    ),
    Stat(
        "client",
        "last_heartbeat",
        Kind.DURATION,
        "Time since a server last answered a heartbeat; counted from the agent's start where none did yet.",
        frozenset({_NEVER_HEARD}),
    ),
    Stat(
        "client",
        "heartbeat_ttl",
        Kind.DURATION,
        "Time that the servers wait for the next heartbeat; absent before the client registered.",
        frozenset({"0s"}),
    ),
    Stat("runtime", "kernel.name", Kind.TEXT),
    Stat("runtime", "arch", Kind.TEXT),
    Stat("runtime", "version", Kind.TEXT),
    Stat("runtime", "max_procs", Kind.NUMBER, "Threads that may run Go code at once."),
    Stat("runtime", "goroutines", Kind.NUMBER, "Goroutines of the agent."),
    Stat("runtime", "cpu_count", Kind.NUMBER, "Processors that the agent may use."),
    Stat("vault", "tracked_for_revoked", Kind.NUMBER, "Vault tokens that wait to be revoked."),
    Stat("vault", "token_ttl", Kind.DURATION, "Remaining life of the server's Vault token.", frozenset({"0s"})),
    Stat("vault", "token_expire_time", Kind.TIME, "When the server's Vault token expires.", frozenset({""})),
    Stat("vault", "token_last_renewal_time", Kind.TIME, "When the Vault token was renewed last.", frozenset({""})),
    Stat("vault", "token_next_renewal_time", Kind.TIME, "When the Vault token will be renewed.", frozenset({""})),
)


def _number(text: str) -> Number:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return float(text) if "." in text else int(text)


def _truth(text: str) -> Number:
    if text not in {"true", "false"}:
        raise ValueError("neither true nor false")
    return int(text == "true")


def _time(text: str) -> Number:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("a time without its zone")
    return when.timestamp()


READERS = {Kind.NUMBER: _number, Kind.BOOL: _truth, Kind.DURATION: durations.seconds, Kind.TIME: _time}


def read(kind: Kind, text: str) -> Number:
    """``text`` as a number: durations in seconds, times as Unix time, truths as 0 or 1.

    Raises ValueError where the text is not of that kind.
    """
    return READERS[kind](text)


def infer_kind(text: str) -> Kind | None:
    """The kind that the value of an unknown stat proves; None where it proves none.

    ``"0"`` proves nothing: a duration can be written so.
    """
    if text == "0":
        return None
    for kind in (Kind.NUMBER, Kind.BOOL, Kind.DURATION):
        try:
            read(kind, text)
        except ValueError:
            continue
        return kind
    return None


def learn(known: Mapping[str, Kind], unknown: Mapping[str, str]) -> Mapping[str, Kind]:
    """``known`` and the kinds that the values of the ``unknown`` stats (path to text) prove; the first proof stands.

    Once ``KINDS_LIMIT`` kinds are known, nothing more is learned: an agent that makes up keys gains nothing by it.
    """
    if len(known) >= KINDS_LIMIT:
        return known
    told = {path: kind for path, text in unknown.items() if path not in known and (kind := infer_kind(text))}
    return {**known, **told} if told else known
