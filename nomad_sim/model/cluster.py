"""A simulated cluster: advance its clock, and start, stop, partition or reconfigure its agents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nomad_sim.model import agents, gossip, gossip_loop, heartbeats, raft_loop
from nomad_sim.model.agent_log import AgentLog
from nomad_sim.model.agents import Agent, State
from nomad_sim.model.timing import Timing
from nomad_sim.model.world import World
from nomad_sim.setup import Setup

LOG_LINES = 128
"""Number of lines kept of each agent's log; a monitor reads the log several times a second."""


class Cluster:
    """Agents on one network with one clock. Time passes only in ``advance``; every other method acts at once."""

    def __init__(self, setups: Iterable[Setup], timing: Timing, seed: int, now: float) -> None:
        self.world = World(timing, seed, now)
        for setup in setups:
            self.add(setup)
        gossip_loop.start(self.world)
        heartbeats.start(self.world)

    def advance(self, now: float) -> None:
        """Advance the clock to ``now`` and run every event that is due by then."""
        self.world.events.run_until(now)
        self.world.now = max(self.world.now, now)

    def add(self, setup: Setup) -> None:
        """Add a new agent and start it."""
        self._start_agent(agents.create(setup, self.world.now, self.world.timing, self.world.draw))

    def start(self, name: str, setup: Setup | None = None) -> None:
        """Restart a dead agent with the state on its disk, and with another ``setup`` if given."""
        dead = self.world.agents[name]
        world = self.world
        restarted = agents.restart(dead, setup or dead.setup, world.now, world.timing, world.draw)
        self._start_agent(restarted, dead.server.gossip.alive_addresses if dead.server else ())

    def reload(self, name: str, setup: Setup) -> None:
        """Reload the configuration of an agent, as on SIGHUP."""
        self.world.put(replace(self.world.agents[name], setup=setup))

    def kill(self, name: str) -> None:
        """Kill the process of an agent, as SIGKILL does."""
        self._set_state(name, State.DEAD)

    def pause(self, name: str) -> None:
        """Pause the process of an agent, as SIGSTOP does."""
        self._set_state(name, State.PAUSED)

    def resume(self, name: str) -> None:
        """Resume a paused agent, as SIGCONT does."""
        self._set_state(name, State.RUNNING)
        self._schedule(self.world.agents[name])
        self.world.schedule(self.world.now, lambda: self._finish_leave(name))

    def partition(self, name: str, others: Iterable[str]) -> None:
        """Drop every packet between an agent and the ``others``."""
        self.world.partitions |= {frozenset((name, other)) for other in others if other != name}

    def heal(self, name: str) -> None:
        """Remove every partition between an agent and any other."""
        self.world.partitions = frozenset(pair for pair in self.world.partitions if name not in pair)

    def leave(self, name: str) -> None:
        """Let a server leave gracefully; its process ends after the leave delay."""
        world = self.world
        world.update_gossip(name, lambda known: gossip.with_status(known, name, gossip.LEAVING, world.now))
        world.schedule(world.now + world.timing.leave_delay, lambda: self._finish_leave(name))

    def force_leave(self, name: str, member: str, prune: bool = False) -> None:
        """Force ``member`` to leave, as requested on the server ``name``; with ``prune``, also remove the member."""
        world = self.world
        for server in sorted(world.gossip_reachable(name)) if prune else [name]:
            world.update_gossip(server, lambda known: gossip.force_leave(known, member, world.now))
            if prune:
                world.update_gossip(server, lambda known: gossip.prune(known, member))

    def join(self, name: str, other: str) -> None:
        """Exchange the gossip states of two servers if gossip can pass between them."""
        if self.world.can_gossip(name, other):
            gossip_loop.exchange(self.world, name, other)

    def set_servers(self, name: str, servers: tuple[str, ...]) -> None:
        """Replace the servers that a client knows, by RPC address; ignore agents without a client part."""
        agent = self.world.agents[name]
        if agent.client:
            self.world.put(replace(agent, client=replace(agent.client, servers=servers)))

    def _finish_leave(self, name: str) -> None:
        agent = self.world.agents[name]
        # The server may have been killed or paused since it began to leave.
        if agent.is_running and agent.server and agent.server.gossip.local_member.status == gossip.LEAVING:
            gossip_loop.finish_leave(self.world, name)
            self.kill(name)

    def _set_state(self, name: str, state: State) -> None:
        self.world.put(replace(self.world.agents[name], state=state))

    def _start_agent(self, agent: Agent, known: tuple[str, ...] = ()) -> None:
        """Add an agent and schedule its events; ``known`` are serf addresses of members from before a restart."""
        world = self.world
        world.logs.setdefault(agent.name, AgentLog(LOG_LINES))
        world.nodes = {agent.setup.region: {}, **world.nodes}
        world.put(agent)
        self._schedule(agent)
        if agent.server:
            world.schedule(world.now, lambda: self._join_at_start(agent, known))

    def _schedule(self, agent: Agent) -> None:
        if agent.server:
            raft_loop.schedule(self.world, agent.name)
        if agent.client:
            heartbeats.schedule(self.world, agent.name, agent.client)

    def _join_at_start(self, agent: Agent, known: tuple[str, ...] = ()) -> None:
        """Join every reachable server; retry until one joins, or until the agent is stopped or restarted."""
        # ``retry_join`` may contain the server's own address; like Nomad, the model counts that as joined.
        world = self.world
        if not world.agents[agent.name].is_running or world.agents[agent.name].started != agent.started:
            return
        servers = filter(None, map(world.by_serf_address, dict.fromkeys((*agent.setup.retry_join, *known))))
        reachable = [server.name for server in servers if world.can_gossip(agent.name, server.name)]
        for other in reachable:
            self.join(agent.name, other)
        if agent.setup.retry_join and not reachable:
            world.schedule(world.now + world.timing.retry_join_interval, lambda: self._join_at_start(agent))
