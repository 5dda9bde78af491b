"""Tests of the start of an agent, and of the restart with the state on its disk."""

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


def longest(bounds: Range) -> float:
    return bounds[1]


def new_agent(setup: Setup) -> Agent:
    return create(setup, 100.0, Timing(), longest)


def restarted_agent(agent: Agent, setup: Setup) -> Agent:
    return restart(agent, setup, 500.0, Timing(), longest)


@pytest.mark.parametrize(("setup", "name"), [(SERVER, "s1.global"), (CLIENT, "c1"), (BOTH, "s1.global")])
def test_server_has_its_member_name_and_client_its_own(setup: Setup, name: str) -> None:
    assert new_agent(setup).name == name


@pytest.mark.parametrize("setup", [SERVER, CLIENT, BOTH])
def test_agent_has_the_parts_of_its_setup(setup: Setup) -> None:
    agent = new_agent(setup)

    assert (agent.server is not None, agent.client is not None) == (setup.server, setup.client)
    assert agent.is_running


@pytest.mark.parametrize(("state", "runs"), [(State.RUNNING, True), (State.PAUSED, False), (State.DEAD, False)])
def test_paused_and_dead_agents_are_not_running(state: State, runs: bool) -> None:
    assert replace(new_agent(SERVER), state=state).is_running is runs


def test_new_server_is_a_follower_without_leader() -> None:
    server = new_agent(SERVER).server

    assert server
    assert (server.raft.state, server.raft.term, server.raft.deadline) == (FOLLOWER, 0, 102.0)
    assert not server.is_leader


def test_new_client_soon_sends_heartbeat_to_configured_servers() -> None:
    client = new_agent(CLIENT).client

    assert client
    assert (client.servers, client.last_heartbeat, client.ttl) == (("a:4647",), 100.0, 0.0)
    assert client.next_heartbeat == 100.0 + Timing().latency[1]


def test_restarted_server_keeps_only_log_term_vote_and_snapshot() -> None:
    before = new_agent(BOTH)
    assert before.server
    log = Log().append(1, peers=[Peer("id-s1", "a:4647")]).append(2, 9)
    leader = replace(
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
    dead = replace(
        before, server=replace(before.server, raft=leader, autopilot=Autopilot({"x": 1.0})), state=State.DEAD
    )

    agent = restarted_agent(dead, BOTH)

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


def test_restarted_server_is_alive_at_a_later_lamport_time() -> None:
    agent = restarted_agent(new_agent(SERVER), SERVER)

    assert agent.server
    own = agent.server.gossip.local_member
    assert (own.status, own.lamport_time, own.status_since) == (ALIVE, 2, 500.0)


def test_restarted_agent_follows_its_new_version() -> None:
    old = replace(SERVER, version=VERSIONS["0.12"])
    agent = restarted_agent(new_agent(old), SERVER)

    assert agent.server
    assert (agent.server.raft.pre_vote, agent.server.raft.local_id) == (True, "id-s1")
    assert agent.server.gossip.local_member.setup is SERVER


def test_restarted_client_keeps_its_registration() -> None:
    before = new_agent(CLIENT)
    assert before.client
    agent = restarted_agent(replace(before, client=replace(before.client, registered=True, ttl=9.0)), CLIENT)

    assert agent.server is None
    assert agent.client
    assert (agent.client.registered, agent.client.ttl, agent.client.last_heartbeat) == (True, 0.0, 500.0)
