"""The laws of raft, to be held up against servers that live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from nomad_sim.model.raft import CANDIDATE, LEADER, Raft
from nomad_sim.model.raft_log import Configuration, Log

Entries = tuple[tuple[tuple[int, int], ...], tuple[Configuration, ...]]


def entries(log: Log, last: int) -> Entries:
    """All that a log has up to an index."""
    starts = tuple(start for start in log.term_starts if start[0] <= last)
    return starts, tuple(one for one in log.configurations if one.index <= last)


def shared(one: Log, other: Log) -> int:
    """The greatest index that has the same term in both logs; 0 where there is none."""
    common = range(min(one.last, other.last), 0, -1)
    return next((index for index in common if one.term(index) == other.term(index)), 0)


class Laws:
    """What must hold at every instant; it remembers what was."""

    def __init__(self) -> None:
        self._before: dict[str, Raft] = {}
        self._leader_of: dict[int, str] = {}
        self._committed = Log()

    def restarted(self, name: str) -> None:
        """A server that starts again knows of no commit but that of its snapshot."""
        before = self._before[name]
        self._before[name] = replace(before, commit_index=before.snapshot[0])

    def hold(self, rafts: Mapping[str, Raft]) -> None:
        """To be called after everything that happens, with all servers by name."""
        for name, raft in rafts.items():
            before = self._before.get(name)
            if raft is not before:
                self._before[name] = raft
                self._holds(name, raft, before, rafts)

    def logs_match(self) -> None:
        """Where two logs have the same index and term, they agree in everything before it."""
        for one, other in combinations([raft.log for raft in self._before.values()], 2):
            last = shared(one, other)
            assert entries(one, last) == entries(other, last)

    def _holds(self, name: str, raft: Raft, before: Raft | None, rafts: Mapping[str, Raft]) -> None:
        if before:
            self._nothing_fell(raft, before)
        if raft.state == CANDIDATE:
            assert raft.is_voter, "a server without a vote campaigns"
        if raft.state == LEADER:
            assert self._leader_of.setdefault(raft.term, name) == name, "two leaders in a term"
            if before is None or before.state != LEADER:
                self._was_elected(raft, rafts)
        self._commit_is_sound(raft, rafts)

    def _nothing_fell(self, raft: Raft, before: Raft) -> None:
        assert raft.term >= before.term
        assert raft.snapshot >= before.snapshot
        assert raft.commit_index >= before.commit_index
        assert shared(raft.log, self._committed) >= shared(before.log, self._committed), "a committed entry was lost"
        if raft.term == before.term and before.voted_for:
            assert raft.voted_for == before.voted_for, "a second vote in a term"

    def _was_elected(self, raft: Raft, rafts: Mapping[str, Raft]) -> None:
        """By a majority of the voters; and it has everything that was committed in the terms before its own."""
        arguments = [one.local_id for one in rafts.values() if one.voted_for == raft.local_id or one.term > raft.term]
        configuration = raft.log.configuration
        assert sum(map(configuration.is_voter, arguments)) >= configuration.majority
        if raft.term > self._committed.last_term:
            assert shared(raft.log, self._committed) == self._committed.last, "a leader lacks a committed entry"

    def _commit_is_sound(self, raft: Raft, rafts: Mapping[str, Raft]) -> None:
        """It agrees with all that was committed before; what is new has a majority of the voters."""
        assert raft.commit_index <= raft.log.last
        known = min(raft.commit_index, self._committed.last)
        assert entries(raft.log, known) == entries(self._committed, known)
        if raft.commit_index > self._committed.last:
            term = raft.log.term(raft.commit_index)
            having = [one.local_id for one in rafts.values() if one.log.matches(raft.commit_index, term)]
            configuration = raft.log.configuration
            assert sum(map(configuration.is_voter, having)) >= configuration.majority
            self._committed = Log(raft.commit_index, *entries(raft.log, raft.commit_index))
