"""The Raft algorithm: leader election, log replication and configuration changes, as pure functions.

Each function takes the state of one server and returns an outcome. The rules are those of hashicorp/raft as Nomad uses
it: pre-votes, non-voters, the leader lease, and no votes while a leader is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nomad_sim.model.messages import (
    AppendEntries,
    AppendEntriesResponse,
    LogMessage,
    Message,
    RequestVote,
    VoteResponse,
)
from nomad_sim.model.raft_log import Log, Peer
from nomad_sim.model.rng import Draw
from nomad_sim.model.timing import Timing

FOLLOWER, CANDIDATE, LEADER = "Follower", "Candidate", "Leader"

SNAPSHOT_THRESHOLD = 8192
"""Number of committed entries after which a server takes the next snapshot."""

_LOST_QUORUM = LogMessage("warn", "failed to contact quorum of nodes, stepping down")
_REMOVED = LogMessage("info", "removed ourself, stepping down")


@dataclass(frozen=True, slots=True)
class Progress:
    """A leader's view of a peer: the index up to which their logs match, and the time of the last response."""

    match_index: int
    last_contact: float


@dataclass(frozen=True, slots=True)
class Raft:
    """The Raft state of one server. Times are on the cluster's clock; ``deadline`` is the time of the next tick."""

    local_id: str
    timing: Timing
    pre_vote: bool
    deadline: float
    state: str = FOLLOWER
    term: int = 0
    log: Log = field(default_factory=Log)
    commit_index: int = 0
    voted_for: str | None = None
    leader: str | None = None
    last_contact: float | None = None
    votes: frozenset[str] = frozenset()
    pre_voting: bool = False
    """Whether the candidate requests pre-votes and has not incremented its term yet."""
    peers: Mapping[str, Progress] = field(default_factory=dict)
    snapshot: tuple[int, int] = (0, 0)
    """Index and term of the last snapshot."""

    @property
    def is_voter(self) -> bool:
        """Return whether this server is a voter in its latest configuration."""
        return self.log.configuration.is_voter(self.local_id)

    @property
    def is_ready(self) -> bool:
        """Return whether this server is a leader that has committed an entry of its own term and may serve requests."""
        return self.state == LEADER and self.log.term(self.commit_index) == self.term

    @property
    def others(self) -> tuple[str, ...]:
        """Return the IDs of all other servers in the latest configuration."""
        return tuple(peer.id for peer in self.log.configuration.peers if peer.id != self.local_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a step: the new state, the messages to send by recipient, and the log messages to write."""

    raft: Raft
    messages: tuple[tuple[str, Message], ...] = ()
    logs: tuple[LogMessage, ...] = ()

    def then(self, step: Callable[[Raft], Outcome]) -> Outcome:
        """Return the combined outcome of this step and the next ``step``."""
        after = step(self.raft)
        return Outcome(after.raft, self.messages + after.messages, self.logs + after.logs)


def bootstrap(raft: Raft, peers: tuple[Peer, ...]) -> Raft:
    """Return a server whose first log entry is the configuration with these ``peers``."""
    return replace(raft, term=1, log=Log().append(1, peers=peers))


def tick(raft: Raft, now: float, draw: Draw) -> Outcome:
    """Process the deadline: a leader sends heartbeats, any other voter starts an election."""
    if raft.state == LEADER:
        return (
            _broadcast_heartbeat(raft, now, draw)
            if _has_lease(raft, now)
            else _step_down(raft, now, draw, _LOST_QUORUM)
        )
    leaderless = replace(raft, deadline=now + draw(raft.timing.election_timeout), leader=None)
    if not raft.is_voter:
        return Outcome(leaderless)
    log = LogMessage("warn", "heartbeat timeout reached, starting election", (("last-leader-id", raft.leader or ""),))
    candidate = replace(leaderless, state=CANDIDATE, pre_voting=raft.pre_vote)
    return Outcome(candidate, logs=(log,) if raft.state == FOLLOWER else ()).then(
        lambda r: _start_election(r, now, draw)
    )


def step(raft: Raft, message: Message, now: float, draw: Draw) -> Outcome:
    """Process a message from another server."""
    match message:
        case RequestVote():
            return _on_request_vote(raft, message, now, draw)
        case VoteResponse():
            return _on_vote_response(raft, message, now, draw)
        case AppendEntries():
            return _on_append_entries(raft, message, now, draw)
        case AppendEntriesResponse():
            return _on_append_response(raft, message, now, draw)


def propose(raft: Raft, now: float, draw: Draw, count: int = 1, peers: tuple[Peer, ...] | None = None) -> Outcome:
    """Append ``count`` entries to the leader's log and replicate them; ``peers`` makes the last a configuration change.

    A removed peer receives the configuration change as its last message from the leader.
    """
    appended = replace(raft, log=raft.log.append(raft.term, count, peers))
    return _broadcast_heartbeat(_advance_commit(appended), now, draw, raft.others)


def take_snapshot(raft: Raft) -> Raft:
    """Return the server with a new snapshot if SNAPSHOT_THRESHOLD entries were committed since the last one."""
    if raft.commit_index - raft.snapshot[0] < SNAPSHOT_THRESHOLD:
        return raft
    return replace(raft, snapshot=(raft.commit_index, raft.log.term(raft.commit_index)))


def can_change_peers(raft: Raft) -> bool:
    """Return whether the server is a ready leader whose last configuration change is committed."""
    return raft.is_ready and raft.log.configuration.index <= raft.commit_index


def _start_election(raft: Raft, now: float, draw: Draw) -> Outcome:
    """Request a vote, or a pre-vote, from every other voter; a single voter wins immediately."""
    candidate = raft if raft.pre_voting else replace(raft, term=raft.term + 1, voted_for=raft.local_id)
    candidate = replace(candidate, votes=frozenset({raft.local_id}))
    request = RequestVote(
        candidate.term + raft.pre_voting, raft.local_id, raft.log.last, raft.log.last_term, raft.pre_voting
    )
    voters = [voter for voter in raft.log.configuration.voters if voter != raft.local_id]
    log = LogMessage("info", "entering candidate state", (("node", raft.local_id), ("term", request.term)))
    return Outcome(candidate, tuple((voter, request) for voter in voters), (log,)).then(
        lambda r: _count_votes(r, now, draw)
    )


def _count_votes(raft: Raft, now: float, draw: Draw) -> Outcome:
    """Start the election after a majority of pre-votes; become the leader after a majority of votes."""
    if len(raft.votes) < raft.log.configuration.majority:
        return Outcome(raft)
    if raft.pre_voting:
        return _start_election(replace(raft, pre_voting=False), now, draw)
    peers = {peer: Progress(0, now) for peer in raft.others}
    leader = replace(raft, state=LEADER, leader=raft.local_id, peers=peers, log=raft.log.append(raft.term))
    log = LogMessage("info", "election won", (("term", raft.term), ("tally", len(raft.votes))))
    return Outcome(leader, logs=(log, LogMessage("info", "entering leader state", (("leader", raft.local_id),)))).then(
        lambda r: _broadcast_heartbeat(_advance_commit(r), now, draw)
    )


def _on_request_vote(raft: Raft, request: RequestVote, now: float, draw: Draw) -> Outcome:
    """Grant the vote if the term is current, no leader is known, and the candidate's log is up to date."""
    # Without the check for a leader, a server that rejoins the cluster would depose a working leader.
    if request.term < raft.term or (raft.leader and raft.leader != request.candidate):
        return Outcome(
            raft,
            (
                (
                    request.candidate,
                    VoteResponse(raft.term, raft.local_id, granted=False, is_pre_vote=request.is_pre_vote),
                ),
            ),
        )
    voter = raft if request.is_pre_vote else _update_term(raft, request.term, now, draw)
    is_up_to_date = (request.last_term, request.last_index) >= (raft.log.last_term, raft.log.last)
    granted = is_up_to_date and (request.is_pre_vote or voter.voted_for in (None, request.candidate))
    if granted and not request.is_pre_vote:
        voter = replace(voter, voted_for=request.candidate, deadline=now + draw(raft.timing.election_timeout))
    term = request.term if granted else voter.term
    return Outcome(voter, ((request.candidate, VoteResponse(term, raft.local_id, granted, request.is_pre_vote)),))


def _on_vote_response(raft: Raft, vote: VoteResponse, now: float, draw: Draw) -> Outcome:
    if vote.term > raft.term and not (vote.is_pre_vote and vote.granted):
        return Outcome(_update_term(raft, vote.term, now, draw))
    is_expected = raft.state == CANDIDATE and vote.granted and vote.is_pre_vote == raft.pre_voting
    if not is_expected or vote.term != raft.term + raft.pre_voting or not raft.log.configuration.is_voter(vote.voter):
        return Outcome(raft)
    return _count_votes(replace(raft, votes=raft.votes | {vote.voter}), now, draw)


def _on_append_entries(raft: Raft, heartbeat: AppendEntries, now: float, draw: Draw) -> Outcome:
    if heartbeat.term < raft.term:
        return Outcome(raft, ((heartbeat.leader, AppendEntriesResponse(raft.term, raft.local_id, None)),))
    log = (
        ()
        if raft.leader == heartbeat.leader
        else (LogMessage("info", "entering follower state", (("leader-id", heartbeat.leader),)),)
    )
    follower = replace(
        _update_term(raft, heartbeat.term, now, draw),
        state=FOLLOWER,
        leader=heartbeat.leader,
        last_contact=now,
        deadline=now + draw(raft.timing.election_timeout),
        pre_voting=False,
        log=raft.log.follow(heartbeat.log),
        commit_index=max(raft.commit_index, min(heartbeat.commit_index, heartbeat.log.last)),
    )
    return Outcome(
        follower, ((heartbeat.leader, AppendEntriesResponse(heartbeat.term, raft.local_id, heartbeat.log.last)),), log
    )


def _on_append_response(raft: Raft, response: AppendEntriesResponse, now: float, draw: Draw) -> Outcome:
    if response.term > raft.term:
        return Outcome(_update_term(raft, response.term, now, draw))
    if (
        raft.state != LEADER
        or response.match_index is None
        or response.term < raft.term
        or response.follower not in raft.peers
    ):
        return Outcome(raft)
    match_index = max(response.match_index, raft.peers[response.follower].match_index)
    updated = replace(raft, peers={**raft.peers, response.follower: Progress(match_index, now)})
    leader = _advance_commit(updated)
    configuration = leader.log.configuration
    is_removed = configuration.peer(raft.local_id) is None and configuration.index <= leader.commit_index
    return _step_down(leader, now, draw, _REMOVED) if is_removed else Outcome(leader)


def _broadcast_heartbeat(raft: Raft, now: float, draw: Draw, removed: tuple[str, ...] = ()) -> Outcome:
    """Send a heartbeat to every peer and to the peers ``removed``; start to track the progress of new peers."""
    heartbeat = AppendEntries(raft.term, raft.local_id, raft.log, raft.commit_index)
    peers = {peer: raft.peers.get(peer, Progress(0, now)) for peer in raft.others}
    leader = replace(raft, peers=peers, deadline=now + draw(raft.timing.heartbeat_interval))
    return Outcome(leader, tuple((peer, heartbeat) for peer in dict.fromkeys((*raft.others, *removed))))


def _has_lease(raft: Raft, now: float) -> bool:
    """Return whether a majority of the voters, including the leader, responded within the lease timeout."""
    contacted = [
        peer for peer, progress in raft.peers.items() if now - progress.last_contact <= raft.timing.leader_lease_timeout
    ]
    configuration = raft.log.configuration
    return sum(map(configuration.is_voter, [*contacted, raft.local_id])) >= configuration.majority


def _step_down(raft: Raft, now: float, draw: Draw, reason: LogMessage) -> Outcome:
    deadline = now + draw(raft.timing.election_timeout)
    follower = replace(raft, state=FOLLOWER, leader=None, last_contact=now, deadline=deadline)
    return Outcome(
        follower, logs=(reason, LogMessage("info", "entering follower state", (("follower", raft.local_id),)))
    )


def _update_term(raft: Raft, term: int, now: float, draw: Draw) -> Raft:
    """Return the server as a follower in a newer ``term``, without a vote or a leader; unchanged if it is the same."""
    if term == raft.term:
        return raft
    deadline = now + draw(raft.timing.election_timeout)
    last_contact = now if raft.state == LEADER else raft.last_contact
    return replace(
        raft,
        state=FOLLOWER,
        term=term,
        voted_for=None,
        leader=None,
        pre_voting=False,
        last_contact=last_contact,
        deadline=deadline,
    )


def _advance_commit(raft: Raft) -> Raft:
    """Commit every entry that a majority of the voters has, if the last of them is of the leader's own term."""
    matches = {**{peer: progress.match_index for peer, progress in raft.peers.items()}, raft.local_id: raft.log.last}
    configuration = raft.log.configuration
    indexes = sorted((matches.get(voter, 0) for voter in configuration.voters), reverse=True)
    majority_index = indexes[configuration.majority - 1] if indexes else 0
    return (
        replace(raft, commit_index=majority_index)
        if majority_index > raft.commit_index and raft.log.term(majority_index) == raft.term
        else raft
    )
