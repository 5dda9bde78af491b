"""Raft in small: how one server becomes a leader, follows one, and agrees with the others on a log.

Every function is pure: it takes the server as it is and gives an outcome. The rules are those of raft as Nomad has
it, with pre-votes, non-voters, the leader's lease and the refusal to vote while a leader is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nomad_exporter.demo.model.chance import Draw
from nomad_exporter.demo.model.log import Log, Peer
from nomad_exporter.demo.model.messages import Append, Appended, Message, RequestVote, Said, Vote
from nomad_exporter.demo.model.timing import Timing

FOLLOWER, CANDIDATE, LEADER = "Follower", "Candidate", "Leader"

SNAPSHOT_EVERY = 8192
"""Entries between two snapshots."""

_ALONE = Said("warn", "failed to contact quorum of nodes, stepping down")
_REMOVED = Said("info", "removed ourself, stepping down")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a leader knows of a peer: up to which index their logs agree, and when it was last heard."""

    match: int
    heard: float


@dataclass(frozen=True, slots=True)
class Raft:
    """One server. Times are those of the cluster's clock; ``due`` is when it next acts of itself."""

    me: str
    timing: Timing
    pre_vote: bool
    due: float
    state: str = FOLLOWER
    term: int = 0
    log: Log = field(default_factory=Log)
    commit: int = 0
    voted: str | None = None
    leader: str | None = None
    contact: float | None = None
    votes: frozenset[str] = frozenset()
    asking: bool = False
    """Whether a candidate asks for pre-votes and has not raised its term."""
    peers: Mapping[str, Progress] = field(default_factory=dict)
    snapshot: tuple[int, int] = (0, 0)
    """The index and the term of the last snapshot."""

    @property
    def votes_itself(self) -> bool:
        return self.log.configuration.votes(self.me)

    @property
    def ready(self) -> bool:
        """Whether this is a leader that has committed an entry of its own term: only then it may be asked."""
        return self.state == LEADER and self.log.term(self.commit) == self.term

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(peer.id for peer in self.log.configuration.peers if peer.id != self.me)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A server after something happened, what it says to whom, and what it writes into its log."""

    raft: Raft
    sent: tuple[tuple[str, Message], ...] = ()
    said: tuple[Said, ...] = ()

    def then(self, step: Callable[[Raft], Outcome]) -> Outcome:
        after = step(self.raft)
        return Outcome(after.raft, self.sent + after.sent, self.said + after.said)


def bootstrapped(raft: Raft, peers: tuple[Peer, ...]) -> Raft:
    """A server without a log that begins with these ``peers``."""
    return replace(raft, term=1, log=Log().appended(1, peers=peers))


def acted(raft: Raft, now: float, draw: Draw) -> Outcome:
    """Its time ``due`` has come: a leader sends heartbeats, another starts an election where it has a vote."""
    if raft.state == LEADER:
        return _beaten(raft, now, draw) if _has_lease(raft, now) else _stepped_down(raft, now, draw, _ALONE)
    waiting = replace(raft, due=now + draw(raft.timing.patience), leader=None)
    if not raft.votes_itself:
        return Outcome(waiting)
    said = Said("warn", "heartbeat timeout reached, starting election", (("last-leader-id", raft.leader or ""),))
    asking = replace(waiting, state=CANDIDATE, asking=raft.pre_vote)
    return Outcome(asking, said=(said,) if raft.state == FOLLOWER else ()).then(lambda r: _election(r, now, draw))


def received(raft: Raft, message: Message, now: float, draw: Draw) -> Outcome:
    """A message came."""
    match message:
        case RequestVote():
            return _asked_for_vote(raft, message, now, draw)
        case Vote():
            return _voted(raft, message, now, draw)
        case Append():
            return _appended(raft, message, now, draw)
        case Appended():
            return _acknowledged(raft, message, now, draw)


def proposed(raft: Raft, now: float, draw: Draw, count: int = 1, peers: tuple[Peer, ...] | None = None) -> Outcome:
    """A leader takes ``count`` new entries into its log; with ``peers``, they change the configuration.

    A peer that is no more among them is sent that as the last.
    """
    longer = replace(raft, log=raft.log.appended(raft.term, count, peers))
    return _beaten(_with_commit(longer), now, draw, raft.others)


def with_snapshot(raft: Raft) -> Raft:
    """A server that has committed many entries since its last snapshot takes another."""
    if raft.commit - raft.snapshot[0] < SNAPSHOT_EVERY:
        return raft
    return replace(raft, snapshot=(raft.commit, raft.log.term(raft.commit)))


def settled(raft: Raft) -> bool:
    """Whether a leader may change the configuration: the last change is committed, and it is ready itself."""
    return raft.ready and raft.log.configuration.index <= raft.commit


def _election(raft: Raft, now: float, draw: Draw) -> Outcome:
    """Asks all voters; alone it has won at once."""
    raised = raft if raft.asking else replace(raft, term=raft.term + 1, voted=raft.me)
    asking = replace(raised, votes=frozenset({raft.me}))
    question = RequestVote(raised.term + raft.asking, raft.me, raft.log.last, raft.log.last_term, raft.asking)
    voters = [voter for voter in raft.log.configuration.voters if voter != raft.me]
    said = Said("info", "entering candidate state", (("node", raft.me), ("term", question.term)))
    return Outcome(asking, tuple((voter, question) for voter in voters), (said,)).then(lambda r: _counted(r, now, draw))


def _counted(raft: Raft, now: float, draw: Draw) -> Outcome:
    """With a majority of votes a candidate goes on to the election, or leads."""
    if len(raft.votes) < raft.log.configuration.majority:
        return Outcome(raft)
    if raft.asking:
        return _election(replace(raft, asking=False), now, draw)
    peers = {peer: Progress(0, now) for peer in raft.others}
    leading = replace(raft, state=LEADER, leader=raft.me, peers=peers, log=raft.log.appended(raft.term))
    said = Said("info", "election won", (("term", raft.term), ("tally", len(raft.votes))))
    return Outcome(leading, said=(said, Said("info", "entering leader state", (("leader", raft.me),)))).then(
        lambda r: _beaten(_with_commit(r), now, draw)
    )


def _asked_for_vote(raft: Raft, asked: RequestVote, now: float, draw: Draw) -> Outcome:
    """Nobody gets a vote while a leader is known: so a server that comes back does not unseat one."""
    if asked.term < raft.term or (raft.leader and raft.leader != asked.candidate):
        return Outcome(raft, ((asked.candidate, Vote(raft.term, raft.me, granted=False, pre=asked.pre)),))
    newer = raft if asked.pre else _of_term(raft, asked.term, now, draw)
    current = (asked.last_term, asked.last_index) >= (raft.log.last_term, raft.log.last)
    granted = current and (asked.pre or newer.voted in (None, asked.candidate))
    if granted and not asked.pre:
        newer = replace(newer, voted=asked.candidate, due=now + draw(raft.timing.patience))
    term = asked.term if granted else newer.term
    return Outcome(newer, ((asked.candidate, Vote(term, raft.me, granted, asked.pre)),))


def _voted(raft: Raft, vote: Vote, now: float, draw: Draw) -> Outcome:
    if vote.term > raft.term and not (vote.pre and vote.granted):
        return Outcome(_of_term(raft, vote.term, now, draw))
    counts = raft.state == CANDIDATE and vote.granted and vote.pre == raft.asking
    if not counts or vote.term != raft.term + raft.asking or not raft.log.configuration.votes(vote.voter):
        return Outcome(raft)
    return _counted(replace(raft, votes=raft.votes | {vote.voter}), now, draw)


def _appended(raft: Raft, beat: Append, now: float, draw: Draw) -> Outcome:
    if beat.term < raft.term:
        return Outcome(raft, ((beat.leader, Appended(raft.term, raft.me, None)),))
    said = (
        () if raft.leader == beat.leader else (Said("info", "entering follower state", (("leader-id", beat.leader),)),)
    )
    following = replace(
        _of_term(raft, beat.term, now, draw),
        state=FOLLOWER,
        leader=beat.leader,
        contact=now,
        due=now + draw(raft.timing.patience),
        asking=False,
        log=raft.log.following(beat.log),
        commit=max(raft.commit, min(beat.commit, beat.log.last)),
    )
    return Outcome(following, ((beat.leader, Appended(beat.term, raft.me, beat.log.last)),), said)


def _acknowledged(raft: Raft, answer: Appended, now: float, draw: Draw) -> Outcome:
    if answer.term > raft.term:
        return Outcome(_of_term(raft, answer.term, now, draw))
    if raft.state != LEADER or answer.match is None or answer.term < raft.term or answer.follower not in raft.peers:
        return Outcome(raft)
    match = max(answer.match, raft.peers[answer.follower].match)
    heard = replace(raft, peers={**raft.peers, answer.follower: Progress(match, now)})
    after = _with_commit(heard)
    configuration = after.log.configuration
    gone = configuration.peer(raft.me) is None and configuration.index <= after.commit
    return _stepped_down(after, now, draw, _REMOVED) if gone else Outcome(after)


def _beaten(raft: Raft, now: float, draw: Draw, before: tuple[str, ...] = ()) -> Outcome:
    """A heartbeat to every peer and to those ``before``; a peer that is new is known from now on."""
    beat = Append(raft.term, raft.me, raft.log, raft.commit)
    peers = {peer: raft.peers.get(peer, Progress(0, now)) for peer in raft.others}
    beating = replace(raft, peers=peers, due=now + draw(raft.timing.heartbeat))
    return Outcome(beating, tuple((peer, beat) for peer in dict.fromkeys((*raft.others, *before))))


def _has_lease(raft: Raft, now: float) -> bool:
    heard = [peer for peer, known in raft.peers.items() if now - known.heard <= raft.timing.lease]
    voters = raft.log.configuration
    return sum(map(voters.votes, [*heard, raft.me])) >= voters.majority


def _stepped_down(raft: Raft, now: float, draw: Draw, why: Said) -> Outcome:
    due = now + draw(raft.timing.patience)
    following = replace(raft, state=FOLLOWER, leader=None, contact=now, due=due)
    return Outcome(following, said=(why, Said("info", "entering follower state", (("follower", raft.me),))))


def _of_term(raft: Raft, term: int, now: float, draw: Draw) -> Raft:
    """A follower of ``term``: without a vote given or a leader known in it, where it is newer than its own."""
    if term == raft.term:
        return raft
    due = now + draw(raft.timing.patience)
    contact = now if raft.state == LEADER else raft.contact
    return replace(raft, state=FOLLOWER, term=term, voted=None, leader=None, asking=False, contact=contact, due=due)


def _with_commit(raft: Raft) -> Raft:
    """An entry of the leader's own term that a majority of the voters has is committed, and all before it."""
    matches = {**{peer: known.match for peer, known in raft.peers.items()}, raft.me: raft.log.last}
    configuration = raft.log.configuration
    held = sorted((matches.get(voter, 0) for voter in configuration.voters), reverse=True)
    reached = held[configuration.majority - 1] if held else 0
    return replace(raft, commit=reached) if reached > raft.commit and raft.log.term(reached) == raft.term else raft
