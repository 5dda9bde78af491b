"""The log of a Raft server, reduced to the terms of its entries and the cluster configurations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

VOTER, NONVOTER = "Voter", "Nonvoter"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server in a Raft configuration."""

    id: str
    address: str
    suffrage: str = VOTER


@dataclass(frozen=True)
class Configuration:
    """The servers of a cluster as of the log entry ``index``."""

    index: int
    peers: tuple[Peer, ...]

    @cached_property
    def voters(self) -> tuple[str, ...]:
        """Return the IDs of the voters."""
        return tuple(peer.id for peer in self.peers if peer.suffrage == VOTER)

    @property
    def majority(self) -> int:
        """Return the number of votes that make a quorum."""
        return len(self.voters) // 2 + 1

    def peer(self, id: str) -> Peer | None:
        """Return the peer with this ID, or None."""
        return next((peer for peer in self.peers if peer.id == id), None)

    def is_voter(self, id: str) -> bool:
        """Return whether the server with this ID is a voter."""
        return id in self.voters

    def without(self, id: str) -> tuple[Peer, ...]:
        """Return the peers except the peer with this ID."""
        return tuple(peer for peer in self.peers if peer.id != id)

    def with_peer(self, new: Peer) -> tuple[Peer, ...]:
        """Return the peers with ``new`` in place of the peer with the same ID, or appended if there is none."""
        if self.peer(new.id) is None:
            return (*self.peers, new)
        return tuple(new if peer.id == new.id else peer for peer in self.peers)


EMPTY = Configuration(0, ())


@dataclass(frozen=True, slots=True)
class Log:
    """The entries from 1 to ``last``.

    ``term_starts`` contains (index, term) of the first entry of each term, in ascending order.
    """

    last: int = 0
    term_starts: tuple[tuple[int, int], ...] = ()
    configurations: tuple[Configuration, ...] = ()

    def term(self, index: int) -> int:
        """Return the term of the entry ``index``; 0 for index 0."""
        position = bisect_right(self.term_starts, (index, 1 << 62))
        return self.term_starts[position - 1][1] if position and index else 0

    @property
    def last_term(self) -> int:
        """Return the term of the last entry."""
        return self.term(self.last)

    @property
    def configuration(self) -> Configuration:
        """Return the latest configuration, committed or not."""
        # A server uses a new configuration as soon as the entry is in its log (Raft paper, section 6).
        return self.configurations[-1] if self.configurations else EMPTY

    def append(self, term: int, count: int = 1, peers: Iterable[Peer] | None = None) -> Log:
        """Return the log with ``count`` new entries of ``term``.

        If ``peers`` is given, the last new entry is a configuration change to these peers.
        """
        term_starts = self.term_starts if self.last_term == term else (*self.term_starts, (self.last + 1, term))
        last = self.last + count
        configurations = (
            self.configurations
            if peers is None
            else (
                *self.configurations,
                Configuration(last, tuple(peers)),
            )
        )
        return Log(last, term_starts, configurations)

    def matches(self, index: int, term: int) -> bool:
        """Return whether this log has an entry ``index`` of the term ``term``."""
        return index <= self.last and self.term(index) == term

    def follow(self, leader_log: Log) -> Log:
        """Return a follower's log after AppendEntries with ``leader_log``; conflicting entries are dropped."""
        # A follower that has the leader's last entry has all entries before it (Raft's log matching property).
        # In that case a later message has overtaken this one, and the follower must not truncate its log.
        return self if self.matches(leader_log.last, leader_log.last_term) else leader_log
