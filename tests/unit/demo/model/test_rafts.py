"""The rafts of a cluster, whatever is done to it: the laws of raft hold at every instant."""

from __future__ import annotations

from itertools import combinations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from nomad_exporter.demo.model import rafts
from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.gossip import ALIVE
from nomad_exporter.demo.model.log import Configuration, Log
from nomad_exporter.demo.model.raft import CANDIDATE, LEADER, Raft
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.versions import VERSIONS
from tests.support.clusters import client_setups, instants, leaders, server_setups

NAMES = [f"s{number}.global" for number in range(1, 6)]

Entries = tuple[tuple[tuple[int, int], ...], tuple[Configuration, ...]]


def entries(log: Log, last: int) -> Entries:
    """All that a log has up to an index."""
    starts = tuple(start for start in log.starts if start[0] <= last)
    return starts, tuple(one for one in log.configurations if one.index <= last)


def shared(one: Log, other: Log) -> int:
    """The greatest index that has the same term in both logs; 0 where there is none."""
    common = range(min(one.last, other.last), 0, -1)
    return next((index for index in common if one.term(index) == other.term(index)), 0)


class Laws:
    """What must hold at every instant; it remembers what was."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._before: dict[str, Agent] = {}
        self._leader_of: dict[int, str] = {}
        self._committed = Log()

    def hold(self) -> None:
        """To be called after everything that happens."""
        for name in NAMES:
            agent = self._cluster.world.agents.get(name)
            before = self._before.get(name)
            if agent and agent is not before:
                self._before[name] = agent
                self._holds(agent, before)

    def logs_match(self) -> None:
        """Where two logs have the same index and term, they agree in everything before it."""
        for one, other in combinations([raft.log for raft in self._rafts()], 2):
            last = shared(one, other)
            assert entries(one, last) == entries(other, last)

    def _rafts(self) -> list[Raft]:
        return [agent.server.raft for agent in self._cluster.world.servers() if agent.server]

    def _holds(self, agent: Agent, before: Agent | None) -> None:
        assert agent.server
        raft = agent.server.raft
        if before and before.server:
            self._nothing_fell(raft, before.server.raft, restarted=before.state is State.DEAD)
            self._nothing_committed_is_lost(raft, before.server.raft)
        if raft.state == CANDIDATE:
            assert raft.votes_itself, "a server without a vote campaigns"
        if raft.state == LEADER:
            assert self._leader_of.setdefault(raft.term, agent.name) == agent.name, "two leaders in a term"
        if raft.state == LEADER and not (before and before.server and before.server.raft.state == LEADER):
            self._was_elected(raft)
        self._commit_is_sound(raft)

    def _nothing_fell(self, raft: Raft, before: Raft, restarted: bool) -> None:
        assert raft.term >= before.term
        assert raft.snapshot >= before.snapshot
        assert raft.commit >= (before.snapshot[0] if restarted else before.commit)
        if raft.term == before.term and before.voted:
            assert raft.voted == before.voted, "a second vote in a term"

    def _nothing_committed_is_lost(self, raft: Raft, before: Raft) -> None:
        assert shared(raft.log, self._committed) >= shared(before.log, self._committed)

    def _was_elected(self, raft: Raft) -> None:
        """By a majority of the voters; and it has everything that is committed."""
        given = [one.me for one in self._rafts() if one.voted == raft.me or one.term > raft.term]
        configuration = raft.log.configuration
        assert sum(map(configuration.votes, given)) >= configuration.majority
        assert shared(raft.log, self._committed) == self._committed.last

    def _commit_is_sound(self, raft: Raft) -> None:
        """It agrees with all that was committed before; what is new has a majority of the voters."""
        assert raft.commit <= raft.log.last
        known = min(raft.commit, self._committed.last)
        assert entries(raft.log, known) == entries(self._committed, known)
        if raft.commit > self._committed.last:
            term = raft.log.term(raft.commit)
            having = [one.me for one in self._rafts() if one.log.agrees(raft.commit, term)]
            configuration = raft.log.configuration
            assert sum(map(configuration.votes, having)) >= configuration.majority
            self._committed = Log(raft.commit, *entries(raft.log, raft.commit))


SERVERS = st.integers(0, len(NAMES) - 1)
OLD = ["0.12"] * len(NAMES)
NEW = ["2.0", "2.0", "1.10", "1.6", "1.2"]


class Life(RuleBasedStateMachine):
    """Anything can happen to the servers, in any order."""

    @initialize(
        count=st.integers(1, len(NAMES)),
        seed=st.integers(0, 1000),
        versions=st.one_of(st.just(OLD), st.permutations(NEW)),
    )
    def begin(self, count: int, seed: int, versions: list[str]) -> None:
        setups = [
            setup
            for number, version in enumerate(versions)
            for setup in server_setups(count, VERSIONS[version])[number : number + 1]
        ]
        self.names = [setup.member for setup in setups]
        self.cluster = Cluster([*setups, *client_setups(1, setups)], Timing(), seed, 0.0)
        self.laws = Laws(self.cluster)
        self.passes(5)

    @rule(seconds=st.sampled_from([0.05, 0.5, 2, 5, 15, 45]))
    def passes(self, seconds: float) -> None:
        for _ in instants(self.cluster, seconds):
            self.laws.hold()
        self.laws.logs_match()

    @rule(server=SERVERS)
    def kill(self, server: int) -> None:
        self.cluster.kill(self._name(server))
        self.laws.hold()

    @rule(server=SERVERS)
    def start(self, server: int) -> None:
        if self._state(server) is State.DEAD:
            self.cluster.start(self._name(server))
            self.laws.hold()

    @rule(server=SERVERS)
    def freeze(self, server: int) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.freeze(self._name(server))

    @rule(server=SERVERS)
    def thaw(self, server: int) -> None:
        if self._state(server) is State.FROZEN:
            self.cluster.thaw(self._name(server))

    @rule(server=SERVERS, others=st.sets(SERVERS))
    def cut(self, server: int, others: set[int]) -> None:
        self.cluster.cut(self._name(server), map(self._name, others))

    @rule(server=SERVERS)
    def heal(self, server: int) -> None:
        self.cluster.heal(self._name(server))

    @rule(server=SERVERS)
    def leave(self, server: int) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.leave(self._name(server))

    @rule(server=SERVERS, other=SERVERS, prune=st.booleans())
    def force_leave(self, server: int, other: int, prune: bool) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.force_leave(self._name(server), self._name(other), prune)

    @rule(count=st.integers(1, 3))
    def write(self, count: int) -> None:
        for name in leaders(self.cluster):
            rafts.proposed(self.cluster.world, name, count)
            self.laws.hold()

    @rule()
    def recover(self) -> None:
        """All is well again: one leads, all have one log, and all take each other for alive."""
        for server in range(len(self.names)):
            self.heal(server)
            self.thaw(server)
        self.passes(5)
        for server in range(len(self.names)):
            self.start(server)
        self.passes(60)
        rafts_now = [self.cluster.world.server(name).raft for name in self.names]
        assert len(leaders(self.cluster)) == 1
        assert len({raft.leader for raft in rafts_now}) == 1
        assert all(raft.log.configuration.peer(one.me) for raft in rafts_now for one in rafts_now)
        self.passes(2)
        for name in self.names:
            members = self.cluster.world.server(name).gossip.members
            assert {member: known.status for member, known in members.items()} == dict.fromkeys(self.names, ALIVE)

    def _name(self, server: int) -> str:
        return self.names[server % len(self.names)]

    def _state(self, server: int) -> State:
        return self.cluster.world.agents[self._name(server)].state


TestAnyLife = Life.TestCase
TestAnyLife.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
