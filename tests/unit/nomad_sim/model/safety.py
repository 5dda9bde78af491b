"""Raft's safety properties, as assertions about the servers of a cluster after each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from nomad_sim.model.raft import CANDIDATE, LEADER, Raft
from nomad_sim.model.raft_log import Configuration, Log

Entries = tuple[tuple[tuple[int, int], ...], tuple[Configuration, ...]]


def entries(log: Log, last: int) -> Entries:
    """Return the term starts and configurations of a log up to the index ``last``."""
    starts = tuple(start for start in log.term_starts if start[0] <= last)
    return starts, tuple(configuration for configuration in log.configurations if configuration.index <= last)


def last_match(one: Log, other: Log) -> int:
    """Return the greatest index with the same term in both logs, or 0 if there is none."""
    common = range(min(one.last, other.last), 0, -1)
    return next((index for index in common if one.term(index) == other.term(index)), 0)


class SafetyProperties:
    """Checks Raft's safety properties after each step, with the previous states and all committed entries."""

    def __init__(self) -> None:
        self._previous: dict[str, Raft] = {}
        self._leader_of: dict[int, str] = {}
        self._committed = Log()

    def restarted(self, name: str) -> None:
        """Allow the commit index of a restarted server to fall back to that of its snapshot."""
        before = self._previous[name]
        self._previous[name] = replace(before, commit_index=before.snapshot[0])

    def check(self, rafts: Mapping[str, Raft]) -> None:
        """Check every server that changed since the last call; call this after each step with all servers by name."""
        for name, raft in rafts.items():
            before = self._previous.get(name)
            if raft is not before:
                self._previous[name] = raft
                self._check_server(name, raft, before, rafts)

    def check_log_matching(self) -> None:
        """Check that two logs with an entry of the same index and term agree in all entries before it."""
        for one, other in combinations([raft.log for raft in self._previous.values()], 2):
            last = last_match(one, other)
            assert entries(one, last) == entries(other, last)

    def _check_server(self, name: str, raft: Raft, before: Raft | None, rafts: Mapping[str, Raft]) -> None:
        if before:
            self._check_monotonicity(raft, before)
        if raft.state == CANDIDATE:
            assert raft.is_voter, "a non-voter started an election"
        if raft.state == LEADER:
            assert self._leader_of.setdefault(raft.term, name) == name, "two leaders in one term"
            if before is None or before.state != LEADER:
                self._check_election(raft, rafts)
        self._check_commit(raft, rafts)

    def _check_monotonicity(self, raft: Raft, before: Raft) -> None:
        """Check that term, snapshot and commit index never decrease, and that no server votes twice in a term."""
        assert raft.term >= before.term
        assert raft.snapshot >= before.snapshot
        assert raft.commit_index >= before.commit_index
        committed_before = last_match(before.log, self._committed)
        assert last_match(raft.log, self._committed) >= committed_before, "a committed entry was lost"
        if raft.term == before.term and before.voted_for:
            assert raft.voted_for == before.voted_for, "a second vote in one term"

    def _check_election(self, raft: Raft, rafts: Mapping[str, Raft]) -> None:
        """Check that a majority of the voters elected the leader, and that the leader's log is complete."""
        voters = [
            other.local_id for other in rafts.values() if other.voted_for == raft.local_id or other.term > raft.term
        ]
        configuration = raft.log.configuration
        assert sum(map(configuration.is_voter, voters)) >= configuration.majority
        if raft.term > self._committed.last_term:
            assert last_match(raft.log, self._committed) == self._committed.last, "a leader lacks a committed entry"

    def _check_commit(self, raft: Raft, rafts: Mapping[str, Raft]) -> None:
        """Check that the committed entries agree with earlier commits, and that a majority has the new entries."""
        assert raft.commit_index <= raft.log.last
        known = min(raft.commit_index, self._committed.last)
        assert entries(raft.log, known) == entries(self._committed, known)
        if raft.commit_index > self._committed.last:
            term = raft.log.term(raft.commit_index)
            holders = [other.local_id for other in rafts.values() if other.log.matches(raft.commit_index, term)]
            configuration = raft.log.configuration
            assert sum(map(configuration.is_voter, holders)) >= configuration.majority
            self._committed = Log(raft.commit_index, *entries(raft.log, raft.commit_index))
