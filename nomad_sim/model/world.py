"""The state of a simulated cluster: agents, network partitions, nodes, logs and the clock."""

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
    """The mutable state of the model; everything in it is an immutable value.

    Agents are keyed by name: a server's member name (``s1.global``), or the name of a client (``c1``). ``now`` is Unix
    time. All servers of a region share one state store (``nodes``); Raft replicates only its indexes.
    """

    def __init__(self, timing: Timing, seed: int, now: float) -> None:
        self.timing = timing
        self.now = now
        self.rng = random.Random(seed)  # noqa: S311  # randomness of a model, not a secret
        self.draw = draw_from(self.rng)
        self.events = EventQueue()
        self.agents: Mapping[str, Agent] = {}
        self.partitions: Partitions = frozenset()
        self.nodes: Mapping[str, Nodes] = {}
        self.logs: dict[str, AgentLog] = {}

    def schedule(self, time: float, callback: Callable[[], None]) -> None:
        """Schedule ``callback`` for ``time``, or for now if ``time`` is past; the clock is set to that time first."""

        def run(now: float) -> None:
            self.now = now
            callback()

        self.events.schedule(max(time, self.now), run)

    def put(self, agent: Agent) -> None:
        """Add or replace an agent."""
        self.agents = {**self.agents, agent.name: agent}

    def put_server(self, name: str, server: Server) -> None:
        """Replace the server part of an agent."""
        self.put(replace(self.agents[name], server=server))

    def put_nodes(self, region: str, nodes: Nodes) -> None:
        """Replace the nodes of a region."""
        self.nodes = {**self.nodes, region: nodes}

    def server(self, name: str) -> Server:
        """Return the server part of an agent. Raise LookupError if the agent is not a server."""
        server = self.agents[name].server
        if server is None:
            raise LookupError(f"{name} is not a server")
        return server

    def servers(self) -> list[Agent]:
        """Return all agents with a server part."""
        return [agent for agent in self.agents.values() if agent.server]

    def running(self) -> list[str]:
        """Return the names of the running servers."""
        return [agent.name for agent in self.servers() if agent.is_running]

    def reach(self, source: str, target: str) -> Reach:
        """Return the result of a connection from ``source`` to ``target``."""
        return network.reach(self.agents, self.partitions, source, target)

    def reach_agent(self, source: str, target: Agent | None) -> Reach:
        """Return the result of a connection to the agent found at an address; REFUSED if there is none."""
        return self.reach(source, target.name) if target else Reach.REFUSED

    def can_gossip(self, one: str, other: str) -> bool:
        """Return whether two servers can exchange gossip."""
        return network.can_gossip(self.agents, self.partitions, one, other)

    def gossip_reachable(self, name: str) -> frozenset[str]:
        """Return the servers that ``name`` reaches by gossip, including itself."""
        return network.gossip_reachable(self.agents, self.partitions, name)

    def by_rpc_address(self, address: str) -> Agent | None:
        """Return the server with this RPC address, or None."""
        return next((agent for agent in self.servers() if agent.setup.rpc_address == address), None)

    def by_serf_address(self, address: str) -> Agent | None:
        """Return the server with this serf address, or None."""
        return next((agent for agent in self.servers() if agent.setup.serf_address == address), None)

    def by_raft_id(self, raft_id: str | None) -> Agent | None:
        """Return the server with this ID in the Raft configuration, or None."""
        return next((agent for agent in self.servers() if agent.setup.raft_id == raft_id), None)

    def leader_of(self, name: str) -> Agent | None:
        """Return the leader as the server ``name`` knows it from Raft, or None."""
        return self.by_raft_id(self.server(name).raft.leader)

    def known_leader(self, name: str) -> Agent | None:
        """Return the leader to which the server ``name`` forwards requests, or None."""
        # Nomad looks up the leader's address among the gossip members.
        leader = self.leader_of(name)
        known = self.server(name).gossip.members.get(leader.name) if leader else None
        return leader if known and known.status in (gossip.ALIVE, gossip.LEAVING) else None

    def update_gossip(self, name: str, update: Callable[[Gossip], Gossip]) -> None:
        """Apply ``update`` to the gossip state of the server ``name``, and log the resulting events."""
        server = self.server(name)
        after = update(server.gossip)
        if after is not server.gossip:
            self.put_server(name, replace(server, gossip=after))
            self.log(name, "nomad", gossip.events(server.gossip, after))

    def log(self, name: str, module: str, messages: Iterable[LogMessage]) -> None:
        """Append log messages of ``module`` to an agent's log, at the current time."""
        for entry in messages:
            self.logs[name].append(LogLine(self.now, entry.level, module, entry.message, entry.pairs))
