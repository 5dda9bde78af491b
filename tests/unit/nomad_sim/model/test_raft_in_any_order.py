"""Raft servers whose messages come late, twice, in any order or never: its laws hold even so."""

from __future__ import annotations

from dataclasses import replace

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
from tests.unit.nomad_sim.model.laws import Laws

NAMES = "abcde"
ANY = st.sampled_from(NAMES)
PLACE = st.integers(0, 1000)
AMONG = st.sets(ANY, min_size=2)


def longest(between: Range) -> float:
    return between[1]


class AnyOrder(RuleBasedStateMachine):
    """Five servers, of which some begin a cluster; the others can be taken in."""

    @initialize(count=st.integers(1, 5), pre_voters=st.sets(ANY))
    def begin(self, count: int, pre_voters: set[str]) -> None:
        """Those who are ``pre_voters`` have pre-votes."""
        self.now = 0.0
        self.mail: list[tuple[str, str, Message]] = []
        series = {name: "2.0" if name in pre_voters else "1.2" for name in NAMES}
        self.setups = {name: Setup(name, name, version=VERSIONS[series[name]]) for name in NAMES}
        peers = tuple(Peer(name, name) for name in NAMES[:count])
        new = {name: Raft(name, Timing(), name in pre_voters, 0.0) for name in NAMES}
        self.rafts = {name: bootstrap(raft, peers) if name in NAMES[:count] else raft for name, raft in new.items()}
        self.laws = Laws()
        self.laws.hold(self.rafts)

    @rule(name=ANY)
    def act(self, name: str) -> None:
        self._take(name, tick(self.rafts[name], self.now, longest))

    @rule(name=ANY, among=AMONG)
    def campaign(self, name: str, among: set[str]) -> None:
        """After a while in which all was lost, some are out of patience, and answer the one of them that asks last."""
        self.wait()
        for one in sorted(among):
            self.act(one)
        self.lose()
        self.act(name)
        self.talk(among | {name})

    @rule(among=AMONG)
    def talk(self, among: set[str]) -> None:
        """All that some servers have to say to each other comes; what others say is still under way."""
        while letters := [letter for letter in self.mail if {letter[0], letter[1]} <= among]:
            self.mail.remove(letters[0])
            self._deliver(*letters[0])

    @rule(place=PLACE, twice=st.booleans())
    def deliver(self, place: int, twice: bool) -> None:
        if self.mail:
            letter = self.mail[place % len(self.mail)]
            if not twice:
                self.mail.remove(letter)
            self._deliver(*letter)

    @rule()
    def lose(self) -> None:
        self.mail.clear()

    @rule()
    def wait(self) -> None:
        """Long enough for a leader to lose its lease."""
        self.now += 1

    @rule(name=ANY)
    def restart(self, name: str) -> None:
        setup = self.setups[name]
        agent = Agent(setup, 0.0, Server(self.rafts[name], create(setup, 0.0)))
        server = agents.restart(agent, setup, self.now, Timing(), longest).server
        assert server
        self.laws.restarted(name)
        self._take(name, Outcome(server.raft))

    @rule(name=ANY, count=st.sampled_from([1, 2, SNAPSHOT_THRESHOLD]), among=AMONG)
    def write(self, name: str, count: int, among: set[str]) -> None:
        if self.rafts[name].state == LEADER:
            self._take(name, propose(self.rafts[name], self.now, longest, count))
            self.talk(among)

    @rule(name=ANY, other=ANY, suffrage=st.sampled_from([VOTER, NONVOTER, None]))
    def change(self, name: str, other: str, suffrage: str | None) -> None:
        """A leader takes a server in, gives or takes its vote, or drops it; one voter remains."""
        raft = self.rafts[name]
        configuration = raft.log.configuration
        peers = configuration.with_peer(Peer(other, other, suffrage)) if suffrage else configuration.without(other)
        if can_change_peers(raft) and replace(configuration, peers=peers).voters:
            self._take(name, propose(raft, self.now, longest, peers=peers))

    def teardown(self) -> None:
        self.laws.logs_match()

    def _deliver(self, sender: str, to: str, message: Message) -> None:
        self._take(to, step(self.rafts[to], message, self.now, longest))

    def _take(self, name: str, outcome: Outcome) -> None:
        self.rafts[name] = take_snapshot(outcome.raft)
        self.mail += [(name, to, message) for to, message in outcome.messages]
        self.laws.hold(self.rafts)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
