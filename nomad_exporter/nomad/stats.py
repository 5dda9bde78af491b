"""The stats of ``/v1/agent/self``: every key of Nomad 0.5 to 2.0, with its kind and its HELP text.

Nomad formats every stat as a text. The kind of a known stat is in ``STATS``. The kind of a stat that a later Nomad
adds is learned from its first unambiguous value (``learn``).
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

_NO_HEARTBEAT = "2562047h47m16.854775807s"
"""The longest Go duration, 292 years: the value of clients before 0.11.2 until a heartbeat is answered."""

KINDS_LIMIT = 100
"""Maximum number of learned kinds for one agent; a new Nomad adds a handful of stats."""

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")


class Kind(StrEnum):
    """The type of a stat; the values are those shown in the documentation."""

    NUMBER = "number"
    BOOL = "true or false"
    DURATION = "duration"
    TIME = "time"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Stat:
    """A key of a group of stats. A value in ``null_values`` is treated as absent."""

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
    Stat("nomad", "bootstrap", Kind.BOOL, "Whether this server is configured as a cluster of one."),
    Stat(
        "nomad", "known_regions", Kind.NUMBER, "Regions with at least one alive server, including this server's region."
    ),
    Stat("raft", "state", Kind.TEXT),
    Stat("raft", "term", Kind.NUMBER, "Current Raft election term."),
    Stat("raft", "last_log_index", Kind.NUMBER, "Index of the newest entry in the Raft log."),
    Stat("raft", "last_log_term", Kind.NUMBER, "Term of the newest entry in the Raft log."),
    Stat("raft", "commit_index", Kind.NUMBER, "Index of the newest Raft log entry known to be committed."),
    Stat("raft", "applied_index", Kind.NUMBER, "Index of the newest Raft log entry applied to the state."),
    Stat("raft", "fsm_pending", Kind.NUMBER, "Committed Raft log entries waiting to be applied to the state."),
    Stat(
        "raft",
        "last_snapshot_index",
        Kind.NUMBER,
        "Index of the newest entry in the newest Raft snapshot (0 without a snapshot).",
    ),
    Stat(
        "raft",
        "last_snapshot_term",
        Kind.NUMBER,
        "Term of the newest entry in the newest Raft snapshot (0 without a snapshot).",
    ),
    Stat("raft", "protocol_version", Kind.NUMBER, "Raft protocol version in use."),
    Stat("raft", "protocol_version_min", Kind.NUMBER, "Lowest supported Raft protocol version."),
    Stat("raft", "protocol_version_max", Kind.NUMBER, "Highest supported Raft protocol version."),
    Stat("raft", "snapshot_version_min", Kind.NUMBER, "Lowest supported Raft snapshot version."),
    Stat("raft", "snapshot_version_max", Kind.NUMBER, "Highest supported Raft snapshot version."),
    Stat("raft", "latest_configuration", Kind.TEXT),
    Stat(
        "raft",
        "latest_configuration_index",
        Kind.NUMBER,
        "Index of the Raft configuration in use (0 in a new cluster).",
    ),
    Stat("raft", "raft_peers", Kind.TEXT, null_values=frozenset({""})),
    Stat("raft", "num_peers", Kind.NUMBER, "Other voters in the Raft configuration (also 0 on a nonvoter)."),
    Stat(
        "raft",
        "last_contact",
        Kind.DURATION,
        "Time since this server last heard from the leader (0 on the leader).",
        frozenset({"never"}),
    ),
    Stat("raft", "logstore_backend", Kind.TEXT, null_values=frozenset({""})),
    Stat("serf", "members", Kind.NUMBER, "Servers of all regions known to gossip, including failed and left ones."),
    Stat("serf", "failed", Kind.NUMBER, 'Servers with gossip status "failed".'),
    Stat("serf", "left", Kind.NUMBER, 'Servers with gossip status "left".'),
    Stat("serf", "health_score", Kind.NUMBER, "Gossip health score of this server (0 is healthy, higher is slower)."),
    Stat("serf", "member_time", Kind.NUMBER, "Lamport clock of gossip membership changes."),
    Stat("serf", "event_time", Kind.NUMBER, "Lamport clock of gossip events."),
    Stat("serf", "query_time", Kind.NUMBER, "Lamport clock of gossip queries."),
    Stat("serf", "intent_queue", Kind.NUMBER, "Gossip membership messages waiting to be sent."),
    Stat("serf", "event_queue", Kind.NUMBER, "Gossip event messages waiting to be sent."),
    Stat("serf", "query_queue", Kind.NUMBER, "Gossip query messages waiting to be sent."),
    Stat("serf", "encrypted", Kind.BOOL, "Whether gossip is encrypted."),
    Stat("serf", "coordinate_resets", Kind.NUMBER, "Resets of the gossip network coordinates."),
    Stat("client", "node_id", Kind.TEXT, null_values=frozenset({""})),
    Stat("client", "known_servers", Kind.TEXT),
    Stat(
        "client",
        "num_allocations",
        Kind.NUMBER,
        "Allocations on this client, including terminal ones not yet garbage-collected.",
    ),
    Stat(
        "client",
        "last_heartbeat",
        Kind.DURATION,
        "Time since the last answered heartbeat (before the first: since the agent started).",
        frozenset({_NO_HEARTBEAT}),
    ),
    Stat(
        "client",
        "heartbeat_ttl",
        Kind.DURATION,
        "Heartbeat TTL set by the servers (absent until the client is registered).",
        frozenset({"0s"}),
    ),
    Stat("runtime", "kernel.name", Kind.TEXT),
    Stat("runtime", "arch", Kind.TEXT),
    Stat("runtime", "version", Kind.TEXT),
    Stat("runtime", "max_procs", Kind.NUMBER, "Threads that can run Go code at the same time (GOMAXPROCS)."),
    Stat("runtime", "goroutines", Kind.NUMBER, "Goroutines in the agent."),
    Stat("runtime", "cpu_count", Kind.NUMBER, "CPUs available to the agent."),
    Stat("vault", "tracked_for_revoked", Kind.NUMBER, "Vault tokens waiting to be revoked."),
    Stat("vault", "token_ttl", Kind.DURATION, "Remaining TTL of the server's Vault token.", frozenset({"0s"})),
    Stat("vault", "token_expire_time", Kind.TIME, "Expiry time of the server's Vault token.", frozenset({""})),
    Stat(
        "vault",
        "token_last_renewal_time",
        Kind.TIME,
        "Time of the last renewal of the server's Vault token.",
        frozenset({""}),
    ),
    Stat(
        "vault",
        "token_next_renewal_time",
        Kind.TIME,
        "Time of the next renewal of the server's Vault token.",
        frozenset({""}),
    ),
)


def _parse_number(text: str) -> Number:
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a number")
    return float(text) if "." in text else int(text)


def _parse_bool(text: str) -> Number:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return int(text == "true")


def _parse_time(text: str) -> Number:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("must be a time with a time zone")
    return time.timestamp()


_PARSERS = {
    Kind.NUMBER: _parse_number,
    Kind.BOOL: _parse_bool,
    Kind.DURATION: durations.seconds,
    Kind.TIME: _parse_time,
}


def read(kind: Kind, text: str) -> Number:
    """Parse ``text`` as a number: a duration in seconds, a time as Unix time, a boolean as 0 or 1.

    Raises ValueError if the text is not of this kind.
    """
    return _PARSERS[kind](text)


def infer_kind(text: str) -> Kind | None:
    """Return the kind of an unknown stat with this value; None if the value does not determine the kind."""
    if text == "0":  # Go formats a duration of zero like this, too.
        return None
    for kind in (Kind.NUMBER, Kind.BOOL, Kind.DURATION):
        try:
            read(kind, text)
        except ValueError:
            continue
        return kind
    return None


def learn(known: Mapping[str, Kind], unknown: Mapping[str, str]) -> Mapping[str, Kind]:
    """Return ``known`` extended by the kinds of the ``unknown`` stats (path to text).

    A kind that is known never changes. Nothing is learned once ``KINDS_LIMIT`` kinds are known.
    """
    if len(known) >= KINDS_LIMIT:  # An agent that sends new keys at every poll must not fill the memory.
        return known
    learned = {path: kind for path, text in unknown.items() if path not in known and (kind := infer_kind(text))}
    return {**known, **learned} if learned else known
