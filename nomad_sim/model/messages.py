"""What raft servers say to each other, and what they write into their log."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.model.agent_log import Value
from nomad_sim.model.raft_log import Log


@dataclass(frozen=True, slots=True)
class RequestVote:
    """A candidate asks for a vote; before that, with ``is_pre_vote``, whether it would be given one."""

    term: int
    candidate: str
    last_index: int
    last_term: int
    is_pre_vote: bool = False


@dataclass(frozen=True, slots=True)
class VoteResponse:
    term: int
    voter: str
    granted: bool
    is_pre_vote: bool = False


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """A leader's heartbeat, with its log as a whole: as a value it costs nothing to send."""

    term: int
    leader: str
    log: Log
    commit_index: int


@dataclass(frozen=True, slots=True)
class AppendEntriesResponse:
    """A follower has the leader's log up to ``match_index``; None where it has a newer term than the leader."""

    term: int
    follower: str
    match_index: int | None


Message = RequestVote | VoteResponse | AppendEntries | AppendEntriesResponse


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A line for the server's log: a level, a message, and pairs of key and value."""

    level: str
    message: str
    pairs: tuple[tuple[str, Value], ...] = ()
