"""Raft's safety under delayed, duplicated, reordered and lost messages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from nomad_sim.model import agents
from nomad_sim.model.agents import Agent, Server
from nomad_sim.model.gossip import create
from nomad_sim.model.messages import Message
from nomad_sim.model.raft import (
    LEADER,
    SNAPSHOT_THRESHOLD,
    Outcome,
    Raft,
    bootstrap,
    can_change_peers,
    propose,
    step,
    take_snapshot,
    tick,
)
from nomad_sim.model.raft_log import NONVOTER, VOTER, Peer
from nomad_sim.model.timing import Range, Timing
from nomad_sim.setup import Setup
from nomad_sim.versions import VERSIONS
from tests.support.profiles import scaled
from tests.unit.nomad_sim.model.safety import SafetyProperties

NAMES = "abcde"
SERVER_NAME = st.sampled_from(NAMES)
POSITION = st.integers(0, 1000)
SOME_SERVERS = st.sets(SERVER_NAME, min_size=2)


def longest(bounds: Range) -> float:
    return bounds[1]


class UnreliableNetwork(RuleBasedStateMachine):
    """Five servers; some bootstrap a cluster, the others can be added."""

    @initialize(count=st.integers(1, 5), pre_voters=st.sets(SERVER_NAME))
    def begin(self, count: int, pre_voters: set[str]) -> None:
        """Bootstrap a cluster of ``count`` servers; the ``pre_voters`` use pre-votes."""
        self.now = 0.0
        self.in_flight: list[tuple[str, str, Message]] = []
        series = {name: "2.0" if name in pre_voters else "1.2" for name in NAMES}
        self.setups = {name: Setup(name, name, version=VERSIONS[series[name]]) for name in NAMES}
        peers = tuple(Peer(name, name) for name in NAMES[:count])
        new = {name: Raft(name, Timing(), name in pre_voters, 0.0) for name in NAMES}
        self.rafts = {name: bootstrap(raft, peers) if name in NAMES[:count] else raft for name, raft in new.items()}
        self.safety = SafetyProperties()
        self.safety.check(self.rafts)

    @rule(name=SERVER_NAME)
    def run_tick(self, name: str) -> None:
        self._apply(name, tick(self.rafts[name], self.now, longest))

    @rule(name=SERVER_NAME, participants=SOME_SERVERS)
    def hold_election(self, name: str, participants: set[str]) -> None:
        """Let some election timeouts expire on a lossy network; the last candidate's messages are delivered."""
        self.expire_leases()
        for other in sorted(participants):
            self.run_tick(other)
        self.lose_messages()
        self.run_tick(name)
        self.exchange(participants | {name})

    @rule(participants=SOME_SERVERS)
    def exchange(self, participants: set[str]) -> None:
        """Deliver all messages between some servers until none is left; other messages stay in flight."""
        while envelopes := [envelope for envelope in self.in_flight if {envelope[0], envelope[1]} <= participants]:
            self.in_flight.remove(envelopes[0])
            self._deliver(*envelopes[0])

    @rule(position=POSITION, duplicate=st.booleans())
    def deliver(self, position: int, duplicate: bool) -> None:
        if self.in_flight:
            envelope = self.in_flight[position % len(self.in_flight)]
            if not duplicate:
                self.in_flight.remove(envelope)
            self._deliver(*envelope)

    @rule()
    def lose_messages(self) -> None:
        self.in_flight.clear()

    @rule()
    def expire_leases(self) -> None:
        """Advance the clock past every leader lease."""
        self.now += 1

    @rule(name=SERVER_NAME)
    def restart(self, name: str) -> None:
        setup = self.setups[name]
        agent = Agent(setup, 0.0, Server(self.rafts[name], create(setup, 0.0)))
        server = agents.restart(agent, setup, self.now, Timing(), longest).server
        assert server
        self.safety.restarted(name)
        self._apply(name, Outcome(server.raft))

    @rule(name=SERVER_NAME, count=st.sampled_from([1, 2, SNAPSHOT_THRESHOLD]), participants=SOME_SERVERS)
    def write(self, name: str, count: int, participants: set[str]) -> None:
        if self.rafts[name].state == LEADER:
            self._apply(name, propose(self.rafts[name], self.now, longest, count))
            self.exchange(participants)

    @rule(name=SERVER_NAME, other=SERVER_NAME, suffrage=st.sampled_from([VOTER, NONVOTER, None]))
    def change_peers(self, name: str, other: str, suffrage: str | None) -> None:
        """Let a leader add, promote, demote or remove a server; at least one voter remains."""
        raft = self.rafts[name]
        configuration = raft.log.configuration
        peers = configuration.with_peer(Peer(other, other, suffrage)) if suffrage else configuration.without(other)
        if can_change_peers(raft) and replace(configuration, peers=peers).voters:
            self._apply(name, propose(raft, self.now, longest, peers=peers))

    def teardown(self) -> None:
        self.safety.check_log_matching()

    def _deliver(self, sender: str, to: str, message: Message) -> None:
        self._apply(to, step(self.rafts[to], message, self.now, longest))

    def _apply(self, name: str, outcome: Outcome) -> None:
        self.rafts[name] = take_snapshot(outcome.raft)
        self.in_flight += [(name, to, message) for to, message in outcome.messages]
        self.safety.check(self.rafts)


TestUnreliableNetwork = pytest.mark.slow(UnreliableNetwork.TestCase)
TestUnreliableNetwork.settings = settings(
    max_examples=scaled(250), stateful_step_count=40, derandomize=True, database=None
)
