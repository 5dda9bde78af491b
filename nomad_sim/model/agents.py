"""A simulated agent as a value, and how it starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from nomad_exporter.demo.model import clients, gossip
from nomad_exporter.demo.model.autopilot import Autopilot
from nomad_exporter.demo.model.chance import Draw
from nomad_exporter.demo.model.clients import Client
from nomad_exporter.demo.model.gossip import Gossip
from nomad_exporter.demo.model.raft import FOLLOWER, Raft
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.setup import Setup


class State(Enum):
    """What the process of an agent does."""

    RUNNING = "running"
    FROZEN = "frozen"
    """It was stopped by SIGSTOP: its connections stay, and nothing is answered."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Server:
    """The server part of an agent."""

    raft: Raft
    gossip: Gossip
    autopilot: Autopilot = field(default_factory=Autopilot)

    @property
    def leads(self) -> bool:
        return self.raft.ready


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent: its setup, its process, and the parts that it has."""

    setup: Setup
    started: float
    server: Server | None = None
    client: Client | None = None
    state: State = State.RUNNING

    @property
    def name(self) -> str:
        return self.setup.full_name

    @property
    def runs(self) -> bool:
        return self.state is State.RUNNING


def new(setup: Setup, now: float, timing: Timing, draw: Draw) -> Agent:
    """An agent that starts for the first time."""
    server = Server(_raft(setup, now, timing, draw), gossip.born(setup, now)) if setup.server else None
    client = Client(_known(setup), now, now + draw(timing.latency)) if setup.client else None
    return Agent(setup, now, server, client)


def again(agent: Agent, setup: Setup, now: float, timing: Timing, draw: Draw) -> Agent:
    """An agent that starts again with what is on its disk: its log, its vote, whom it knew."""
    server, client = agent.server, agent.client
    return Agent(
        setup,
        now,
        _restarted(server, setup, now, timing, draw) if server else None,
        clients.restarted(client, _known(setup), now) if client else None,
    )


def _known(setup: Setup) -> tuple[str, ...]:
    """An agent that is both adds its own server to those that it was told, even where it was told that one."""
    return (*setup.servers, setup.rpc_address) if setup.server else setup.servers


def _raft(setup: Setup, now: float, timing: Timing, draw: Draw) -> Raft:
    return Raft(setup.raft_id, timing, setup.version.pre_vote, now + draw(timing.patience))


def _restarted(server: Server, setup: Setup, now: float, timing: Timing, draw: Draw) -> Server:
    """What was committed is known again only from the leader; a snapshot is at once."""
    raft = replace(
        server.raft,
        me=setup.raft_id,
        pre_vote=setup.version.pre_vote,
        state=FOLLOWER,
        leader=None,
        contact=None,
        asking=False,
        peers={},
        commit=server.raft.snapshot[0],
        due=now + draw(timing.patience),
    )
    return Server(raft, gossip.reborn(server.gossip, setup, now))
