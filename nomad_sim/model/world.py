"""All agents of a cluster and what lies between them, at one time: the state that the course of things changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from nomad_sim.model import gossip, network
from nomad_sim.model.agent_log import AgentLog, LogLine
from nomad_sim.model.agents import Agent, Server
from nomad_sim.model.event_queue import EventQueue
from nomad_sim.model.gossip import Gossip
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.network import Partitions, Reach
from nomad_sim.model.nodes import Nodes
from nomad_sim.model.rng import draw_from
from nomad_sim.model.timing import Timing


class World:
    """Agents by name: ``s1.global`` for a server, as in gossip, ``c1`` for a client alone. ``now`` is Unix time.

    Everything in it is a value; only this object changes. The state store of a region (``nodes``) is one for all its
    servers: of what is written into it, raft carries the indexes alone.
    """

    def __init__(self, timing: Timing, seed: int, now: float) -> None:
        self.timing = timing
        self.now = now
        self.rng = random.Random(seed)  # noqa: S311  # chance in a model, not a secret
        self.draw = draw_from(self.rng)
        self.events = EventQueue()
        self.agents: Mapping[str, Agent] = {}
        self.partitions: Partitions = frozenset()
        self.nodes: Mapping[str, Nodes] = {}
        self.logs: dict[str, AgentLog] = {}

    def schedule(self, time: float, callback: Callable[[], None]) -> None:
        """Sets what is to happen at ``time``; then that is the present."""

        def run(now: float) -> None:
            self.now = now
            callback()

        self.events.schedule(max(time, self.now), run)

    def put(self, agent: Agent) -> None:
        """An agent is from now on as given."""
        self.agents = {**self.agents, agent.name: agent}

    def put_server(self, name: str, server: Server) -> None:
        self.put(replace(self.agents[name], server=server))

    def put_nodes(self, region: str, nodes: Nodes) -> None:
        self.nodes = {**self.nodes, region: nodes}

    def server(self, name: str) -> Server:
        """The server part of an agent. Raises LookupError where it has none."""
        server = self.agents[name].server
        if server is None:
            raise LookupError(f"{name} is no server")
        return server

    def servers(self) -> list[Agent]:
        return [agent for agent in self.agents.values() if agent.server]

    def running(self) -> list[str]:
        """The servers that run, by name."""
        return [agent.name for agent in self.servers() if agent.is_running]

    def reach(self, source: str, target: str) -> Reach:
        """What comes of a connection from ``source`` to ``target``."""
        return network.reach(self.agents, self.partitions, source, target)

    def reach_agent(self, source: str, target: Agent | None) -> Reach:
        """The same to whoever was found at an address; where nobody is, it is refused."""
        return self.reach(source, target.name) if target else Reach.REFUSED

    def can_gossip(self, one: str, other: str) -> bool:
        """Whether gossip passes between two servers."""
        return network.can_gossip(self.agents, self.partitions, one, other)

    def gossip_reachable(self, name: str) -> frozenset[str]:
        """The servers that ``name`` hears of, itself included."""
        return network.gossip_reachable(self.agents, self.partitions, name)

    def by_rpc_address(self, address: str) -> Agent | None:
        """The server with this RPC address."""
        return next((agent for agent in self.servers() if agent.setup.rpc_address == address), None)

    def by_serf_address(self, address: str) -> Agent | None:
        """The server with this serf address."""
        return next((agent for agent in self.servers() if agent.setup.serf_address == address), None)

    def by_raft_id(self, raft_id: str | None) -> Agent | None:
        """The server with this ID in the raft configuration."""
        return next((agent for agent in self.servers() if agent.setup.raft_id == raft_id), None)

    def leader_of(self, name: str) -> Agent | None:
        """The agent that the server ``name`` takes for its leader."""
        return self.by_raft_id(self.server(name).raft.leader)

    def known_leader(self, name: str) -> Agent | None:
        """The leader that the server ``name`` takes questions to: it is looked up among those that gossip tells of."""
        leader = self.leader_of(name)
        known = self.server(name).gossip.members.get(leader.name) if leader else None
        return leader if known and known.status in (gossip.ALIVE, gossip.LEAVING) else None

    def gossip(self, name: str, step: Callable[[Gossip], Gossip]) -> None:
        """Changes what the server ``name`` knows of the members, and writes the events into its log."""
        server = self.server(name)
        after = step(server.gossip)
        if after is not server.gossip:
            self.put_server(name, replace(server, gossip=after))
            self.log(name, "nomad", gossip.events(server.gossip, after))

    def log(self, name: str, module: str, lines: Iterable[LogMessage]) -> None:
        """Writes into the log of an agent."""
        for line in lines:
            self.logs[name].append(LogLine(self.now, line.level, module, line.message, line.pairs))
