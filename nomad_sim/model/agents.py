"""A simulated agent as an immutable value, and its start and restart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from nomad_sim.model import clients, gossip
from nomad_sim.model.autopilot import Autopilot
from nomad_sim.model.clients import Client
from nomad_sim.model.gossip import Gossip
from nomad_sim.model.raft import FOLLOWER, Raft
from nomad_sim.model.rng import Draw
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup


class State(Enum):
    """The state of an agent's process."""

    RUNNING = "running"
    PAUSED = "paused"
    """Stopped by SIGSTOP: connections stay open, requests get no response."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Server:
    """The server part of an agent."""

    raft: Raft
    gossip: Gossip
    autopilot: Autopilot = field(default_factory=Autopilot)

    @property
    def is_leader(self) -> bool:
        """Return whether the server is a leader that may serve requests."""
        return self.raft.is_ready


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent: its setup, the state and start time of its process, and its server and client parts."""

    setup: Setup
    started: float
    server: Server | None = None
    client: Client | None = None
    state: State = State.RUNNING

    @property
    def name(self) -> str:
        """Return the name by which the cluster knows the agent."""
        return self.setup.full_name

    @property
    def is_running(self) -> bool:
        """Return whether the process runs, neither paused nor dead."""
        return self.state is State.RUNNING


def create(setup: Setup, now: float, timing: Timing, draw: Draw) -> Agent:
    """Return an agent that starts for the first time."""
    server = Server(_new_raft(setup, now, timing, draw), gossip.create(setup, now)) if setup.server else None
    client = Client(_known_servers(setup), now, now + draw(timing.latency)) if setup.client else None
    return Agent(setup, now, server, client)


def restart(agent: Agent, setup: Setup, now: float, timing: Timing, draw: Draw) -> Agent:
    """Return an agent that restarts with the state on its disk: Raft log, term and vote, client registration."""
    server, client = agent.server, agent.client
    return Agent(
        setup,
        now,
        _restart_server(server, setup, now, timing, draw) if server else None,
        clients.restart(client, _known_servers(setup), now) if client else None,
    )


def _known_servers(setup: Setup) -> tuple[str, ...]:
    """Return the RPC addresses of the configured servers; an agent that is also a server adds its own."""
    # Nomad adds the agent's own address even if the configuration already contains it.
    return (*setup.servers, setup.rpc_address) if setup.server else setup.servers


def _new_raft(setup: Setup, now: float, timing: Timing, draw: Draw) -> Raft:
    return Raft(setup.raft_id, timing, setup.version.pre_vote, now + draw(timing.election_timeout))


def _restart_server(server: Server, setup: Setup, now: float, timing: Timing, draw: Draw) -> Server:
    """Return the server part after a restart, as a follower whose commit index is that of the last snapshot."""
    # Raft does not persist the commit index: the leader's next heartbeat restores it.
    raft = replace(
        server.raft,
        local_id=setup.raft_id,
        pre_vote=setup.version.pre_vote,
        state=FOLLOWER,
        leader=None,
        last_contact=None,
        pre_voting=False,
        peers={},
        commit_index=server.raft.snapshot[0],
        deadline=now + draw(timing.election_timeout),
    )
    return Server(raft, gossip.restart(server.gossip, setup, now))
