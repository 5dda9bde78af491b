"""The log of a raft server: not what its entries say, only their terms and the configurations of the cluster."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

VOTER, NONVOTER = "Voter", "Nonvoter"


@dataclass(frozen=True, slots=True)
class Peer:
    """One server of a raft configuration."""

    id: str
    address: str
    suffrage: str = VOTER


@dataclass(frozen=True, slots=True)
class Configuration:
    """The servers of a cluster, as the entry ``index`` of the log has them."""

    index: int
    peers: tuple[Peer, ...]

    @property
    def voters(self) -> tuple[str, ...]:
        return tuple(peer.id for peer in self.peers if peer.suffrage == VOTER)

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def peer(self, id: str) -> Peer | None:
        return next((peer for peer in self.peers if peer.id == id), None)

    def is_voter(self, id: str) -> bool:
        return id in self.voters

    def without(self, id: str) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer.id != id)

    def with_peer(self, new: Peer) -> tuple[Peer, ...]:
        """The peers with ``new`` in the place of the peer of that ID, or else at the end."""
        if self.peer(new.id) is None:
            return (*self.peers, new)
        return tuple(new if peer.id == new.id else peer for peer in self.peers)


EMPTY = Configuration(0, ())


@dataclass(frozen=True, slots=True)
class Log:
    """Entries from 1 to ``last``. ``term_starts`` has (index, term) wherever a term begins, in rising order."""

    last: int = 0
    term_starts: tuple[tuple[int, int], ...] = ()
    configurations: tuple[Configuration, ...] = ()

    def term(self, index: int) -> int:
        """The term of the entry; 0 for the one before the first."""
        position = bisect_right(self.term_starts, (index, 1 << 62))
        return self.term_starts[position - 1][1] if position and index else 0

    @property
    def last_term(self) -> int:
        return self.term(self.last)

    @property
    def configuration(self) -> Configuration:
        """The newest; a server follows it as soon as it has it, committed or not."""
        return self.configurations[-1] if self.configurations else EMPTY

    def append(self, term: int, count: int = 1, peers: Iterable[Peer] | None = None) -> Log:
        """With ``count`` entries of ``term`` more; with ``peers``, the last of them changes the configuration."""
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
        """Whether this log has the entry ``index``, of that term."""
        return index <= self.last and self.term(index) == term

    def follow(self, leader_log: Log) -> Log:
        """What a follower has once it took the ``leader_log`` log.

        A follower that has the leader's last entry has all those before it (raft's log matching property): then a
        message was overtaken by a later one, and nothing is taken back. Else its own entries that differ are dropped.
        """
        return self if self.matches(leader_log.last, leader_log.last_term) else leader_log
