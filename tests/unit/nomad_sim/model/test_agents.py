"""How an agent starts: for the first time, and with what is on its disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.model.agents import Agent, State, create, restart
from nomad_sim.model.autopilot import Autopilot
from nomad_sim.model.gossip import ALIVE
from nomad_sim.model.raft import FOLLOWER, LEADER, Progress
from nomad_sim.model.raft_log import Log, Peer
from nomad_sim.model.timing import Range, Timing
from nomad_sim.setup import Setup
from nomad_sim.versions import VERSIONS

SERVER = Setup("s1", "id-s1")
CLIENT = Setup("c1", "id-c1", server=False, client=True, servers=("a:4647",))
BOTH = replace(SERVER, client=True)


def longest(between: Range) -> float:
    return between[1]


def started(setup: Setup) -> Agent:
    return create(setup, 100.0, Timing(), longest)


def restarted(agent: Agent, setup: Setup) -> Agent:
    return restart(agent, setup, 500.0, Timing(), longest)


@pytest.mark.parametrize(("setup", "name"), [(SERVER, "s1.global"), (CLIENT, "c1"), (BOTH, "s1.global")])
def test_an_agent_is_called_as_in_gossip_where_it_is_a_server(setup: Setup, name: str) -> None:
    assert started(setup).name == name


@pytest.mark.parametrize("setup", [SERVER, CLIENT, BOTH])
def test_an_agent_has_the_parts_of_its_setup(setup: Setup) -> None:
    agent = started(setup)

    assert (agent.server is not None, agent.client is not None) == (setup.server, setup.client)
    assert agent.is_running


@pytest.mark.parametrize(("state", "runs"), [(State.RUNNING, True), (State.PAUSED, False), (State.DEAD, False)])
def test_only_a_running_agent_runs(state: State, runs: bool) -> None:
    assert replace(started(SERVER), state=state).is_running is runs


def test_a_new_server_waits_for_a_leader() -> None:
    server = started(SERVER).server

    assert server
    assert (server.raft.state, server.raft.term, server.raft.deadline) == (FOLLOWER, 0, 102.0)
    assert not server.is_leader


def test_a_new_client_sends_a_heartbeat_soon_to_the_servers_it_was_told() -> None:
    client = started(CLIENT).client

    assert client
    assert (client.servers, client.last_heartbeat, client.ttl) == (("a:4647",), 100.0, 0.0)
    assert client.next_heartbeat == 100.0 + Timing().latency[1]


def test_a_server_that_starts_again_keeps_its_log_and_its_vote_and_forgets_the_rest() -> None:
    before = started(BOTH)
    assert before.server
    log = Log().append(1, peers=[Peer("id-s1", "a:4647")]).append(2, 9)
    lived = replace(
        before.server.raft,
        state=LEADER,
        term=2,
        log=log,
        commit_index=10,
        snapshot=(4, 2),
        voted_for="id-s1",
        leader="id-s1",
        last_contact=1.0,
        peers={"x": Progress(1, 1.0)},
    )
    dead = replace(before, server=replace(before.server, raft=lived, autopilot=Autopilot({"x": 1.0})), state=State.DEAD)

    agent = restarted(dead, BOTH)

    assert agent.server
    raft = agent.server.raft
    assert (raft.log, raft.term, raft.voted_for, raft.snapshot) == (log, 2, "id-s1", (4, 2))
    assert (raft.state, raft.commit_index, raft.leader, raft.last_contact, raft.deadline) == (
        FOLLOWER,
        4,
        None,
        None,
        502.0,
    )
    assert raft.peers == {}
    assert agent.server.autopilot == Autopilot()
    assert (agent.is_running, agent.started) == (True, 500.0)


def test_an_agent_that_starts_again_is_known_as_alive_and_newer() -> None:
    agent = restarted(started(SERVER), SERVER)

    assert agent.server
    own = agent.server.gossip.local_member
    assert (own.status, own.lamport_time, own.since) == (ALIVE, 2, 500.0)


def test_an_agent_that_starts_again_with_another_version_behaves_as_that_does() -> None:
    old = replace(SERVER, version=VERSIONS["0.12"])
    agent = restarted(started(old), SERVER)

    assert agent.server
    assert (agent.server.raft.pre_vote, agent.server.raft.local_id) == (True, "id-s1")
    assert agent.server.gossip.local_member.setup is SERVER


def test_a_client_that_starts_again_keeps_that_it_was_registered() -> None:
    before = started(CLIENT)
    assert before.client
    agent = restarted(replace(before, client=replace(before.client, registered=True, ttl=9.0)), CLIENT)

    assert agent.server is None
    assert agent.client
    assert (agent.client.registered, agent.client.ttl, agent.client.last_heartbeat) == (True, 0.0, 500.0)
