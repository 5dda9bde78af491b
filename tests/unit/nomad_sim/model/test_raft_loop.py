"""Raft's safety in a cluster under random faults, at every event."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from nomad_sim.model import raft_loop
from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.gossip import ALIVE
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import advance_by_event, client_setups, leaders, raft_of, server_setups
from tests.support.profiles import scaled
from tests.unit.nomad_sim.model.safety import SafetyProperties

NAMES = [f"s{number}.global" for number in range(1, 6)]

SERVER = st.integers(0, len(NAMES) - 1)
RAFT_PROTOCOL_2 = ["0.12"] * len(NAMES)
RAFT_PROTOCOL_3 = ["2.0", "2.0", "1.10", "1.6", "1.2"]


class RandomFaults(RuleBasedStateMachine):
    """Servers that are killed, paused, partitioned, removed and restarted at random."""

    @initialize(
        count=st.integers(1, len(NAMES)),
        seed=st.integers(0, 1000),
        versions=st.one_of(st.just(RAFT_PROTOCOL_2), st.permutations(RAFT_PROTOCOL_3)),
    )
    def begin(self, count: int, seed: int, versions: list[str]) -> None:
        setups = [
            setup
            for number, version in enumerate(versions)
            for setup in server_setups(count, VERSIONS[version])[number : number + 1]
        ]
        self.names = [setup.member for setup in setups]
        self.cluster = Cluster([*setups, *client_setups(1, setups)], Timing(), seed, 0.0)
        self.safety = SafetyProperties()
        self.pass_time(5)

    @rule(seconds=st.sampled_from([0.05, 0.5, 2, 5, 15, 45]))
    def pass_time(self, seconds: float) -> None:
        for _ in advance_by_event(self.cluster, seconds):
            self._check_safety()
        self.safety.check_log_matching()

    @rule(server=SERVER)
    def kill(self, server: int) -> None:
        self.cluster.kill(self._name(server))

    @rule(server=SERVER)
    def start(self, server: int) -> None:
        if self._state(server) is State.DEAD:
            self.cluster.start(self._name(server))
            self.safety.restarted(self._name(server))
            self._check_safety()

    @rule(server=SERVER)
    def pause(self, server: int) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.pause(self._name(server))

    @rule(server=SERVER)
    def resume(self, server: int) -> None:
        if self._state(server) is State.PAUSED:
            self.cluster.resume(self._name(server))

    @rule(server=SERVER, others=st.sets(SERVER))
    def partition(self, server: int, others: set[int]) -> None:
        self.cluster.partition(self._name(server), map(self._name, others))

    @rule(server=SERVER)
    def heal(self, server: int) -> None:
        self.cluster.heal(self._name(server))

    @rule(server=SERVER)
    def leave(self, server: int) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.leave(self._name(server))

    @rule(server=SERVER, other=SERVER, prune=st.booleans())
    def force_leave(self, server: int, other: int, prune: bool) -> None:
        if self._state(server) is State.RUNNING:
            self.cluster.force_leave(self._name(server), self._name(other), prune)

    @rule(count=st.integers(1, 3))
    def write(self, count: int) -> None:
        for name in leaders(self.cluster):
            raft_loop.propose(self.cluster.world, name, count)
            self._check_safety()

    @rule()
    def recover(self) -> None:
        """End all faults: one server leads, all servers are peers of each other, and all members are alive."""
        for server in range(len(self.names)):
            self.heal(server)
            self.resume(server)
        self.pass_time(5)
        for server in range(len(self.names)):
            self.start(server)
        self.pass_time(60)
        rafts = [raft_of(self.cluster, name) for name in self.names]
        assert len(leaders(self.cluster)) == 1
        assert len({raft.leader for raft in rafts}) == 1
        assert all(raft.log.configuration.peer(other.local_id) for raft in rafts for other in rafts)
        self.pass_time(2)
        for name in self.names:
            members = self.cluster.world.server(name).gossip.members
            assert {member: known.status for member, known in members.items()} == dict.fromkeys(self.names, ALIVE)

    def _check_safety(self) -> None:
        self.safety.check({name: raft_of(self.cluster, name) for name in self.names})

    def _name(self, server: int) -> str:
        return self.names[server % len(self.names)]

    def _state(self, server: int) -> State:
        return self.cluster.world.agents[self._name(server)].state


TestRandomFaults = pytest.mark.slow(RandomFaults.TestCase)
TestRandomFaults.settings = settings(
    max_examples=scaled(8),
    stateful_step_count=25,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
