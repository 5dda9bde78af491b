"""What raft servers say to each other, and what they write into their log."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter.demo.model.journal import Value
from nomad_exporter.demo.model.log import Log


@dataclass(frozen=True, slots=True)
class RequestVote:
    """A candidate asks for a vote; before that, with ``pre``, whether it would be given one."""

    term: int
    candidate: str
    last_index: int
    last_term: int
    pre: bool = False


@dataclass(frozen=True, slots=True)
class Vote:
    term: int
    voter: str
    granted: bool
    pre: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """A leader's heartbeat, with its log as a whole: as a value it costs nothing to send."""

    term: int
    leader: str
    log: Log
    commit: int


@dataclass(frozen=True, slots=True)
class Appended:
    """A follower has the leader's log up to ``match``; None where it has a newer term than the leader."""

    term: int
    follower: str
    match: int | None


Message = RequestVote | Vote | Append | Appended


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the server's log: a level, a message, and pairs of key and value."""

    level: str
    message: str
    pairs: tuple[tuple[str, Value], ...] = ()
