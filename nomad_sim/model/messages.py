"""The messages between Raft servers, and the log messages that servers write."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.model.agent_log import Value
from nomad_sim.model.raft_log import Log


@dataclass(frozen=True, slots=True)
class RequestVote:
    """A candidate's request for a vote, or for a pre-vote before the candidate increments its term."""

    term: int
    candidate: str
    last_index: int
    last_term: int
    is_pre_vote: bool = False


@dataclass(frozen=True, slots=True)
class VoteResponse:
    """A voter's response to RequestVote."""

    term: int
    voter: str
    granted: bool
    is_pre_vote: bool = False


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """A leader's heartbeat and log replication in one message."""

    # The log is an immutable value, so sending the whole log is free.
    term: int
    leader: str
    log: Log
    commit_index: int


@dataclass(frozen=True, slots=True)
class AppendEntriesResponse:
    """A follower's response to AppendEntries.

    ``match_index`` is the index up to which the follower has the leader's log, or None if the leader's term is stale.
    """

    term: int
    follower: str
    match_index: int | None


Message = RequestVote | VoteResponse | AppendEntries | AppendEntriesResponse


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A message for an agent's log: level, text, and key-value pairs."""

    level: str
    message: str
    pairs: tuple[tuple[str, Value], ...] = ()
