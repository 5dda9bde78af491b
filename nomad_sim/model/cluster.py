"""The cluster, as one turns its clock and does something to it."""

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
"""Of each agent's log; who watches it reads several times a second."""


class Cluster:
    """Agents that live together. Nothing happens but in ``advance``; what is done to them is done at its present."""

    def __init__(self, setups: Iterable[Setup], timing: Timing, seed: int, now: float) -> None:
        self.world = World(timing, seed, now)
        for setup in setups:
            self.add(setup)
        gossip_loop.start(self.world)
        heartbeats.start(self.world)

    def advance(self, now: float) -> None:
        """Lets everything happen that is due up to ``now``."""
        self.world.events.run_until(now)
        self.world.now = max(self.world.now, now)

    def add(self, setup: Setup) -> None:
        """Starts an agent that was never here."""
        self._start_agent(agents.create(setup, self.world.now, self.world.timing, self.world.draw))

    def start(self, name: str, setup: Setup | None = None) -> None:
        """Starts an agent that has ended, with what is on its disk; with another ``setup`` where one is given."""
        before = self.world.agents[name]
        world = self.world
        restarted = agents.restart(before, setup or before.setup, world.now, world.timing, world.draw)
        self._start_agent(restarted, before.server.gossip.alive_addresses if before.server else ())

    def reload(self, name: str, setup: Setup) -> None:
        """An agent reads its configuration again, as on SIGHUP, and goes on."""
        self.world.put(replace(self.world.agents[name], setup=setup))

    def kill(self, name: str) -> None:
        """Ends the process of an agent, as SIGKILL does."""
        self._set_state(name, State.DEAD)

    def pause(self, name: str) -> None:
        """Stops the process of an agent, as SIGSTOP does."""
        self._set_state(name, State.PAUSED)

    def resume(self, name: str) -> None:
        """Lets a paused agent go on, as SIGCONT does."""
        self._set_state(name, State.RUNNING)
        self._schedule(self.world.agents[name])
        self.world.schedule(self.world.now, lambda: self._finish_leave(name))

    def partition(self, name: str, others: Iterable[str]) -> None:
        """Loses every packet between an agent and the ``others``."""
        self.world.partitions |= {frozenset((name, other)) for other in others if other != name}

    def heal(self, name: str) -> None:
        """Loses no packet any more between an agent and the others."""
        self.world.partitions = frozenset(pair for pair in self.world.partitions if name not in pair)

    def leave(self, name: str) -> None:
        """A server leaves in good order, and ends."""
        world = self.world
        world.gossip(name, lambda known: gossip.with_status(known, name, gossip.LEAVING, world.now))
        world.schedule(world.now + world.timing.leave_delay, lambda: self._finish_leave(name))

    def force_leave(self, name: str, member: str, prune: bool = False) -> None:
        """The server ``name`` tells that ``member`` has left; with ``prune`` all that hear of it forget it then."""
        world = self.world
        for server in sorted(world.gossip_reachable(name)) if prune else [name]:
            world.gossip(server, lambda known: gossip.force_leave(known, member, world.now))
            if prune:
                world.gossip(server, lambda known: gossip.prune(known, member))

    def join(self, name: str, other: str) -> None:
        """Two servers tell each other whom they know, if they can."""
        if self.world.can_gossip(name, other):
            gossip_loop.exchange(self.world, name, other)

    def set_servers(self, name: str, servers: tuple[str, ...]) -> None:
        """A client is told to know these servers and no others, by RPC address."""
        agent = self.world.agents[name]
        if agent.client:
            self.world.put(replace(agent, client=replace(agent.client, servers=servers)))

    def _finish_leave(self, name: str) -> None:
        """Not where it was killed or paused meanwhile."""
        agent = self.world.agents[name]
        if agent.is_running and agent.server and agent.server.gossip.local_member.status == gossip.LEAVING:
            gossip_loop.finish_leave(self.world, name)
            self.kill(name)

    def _set_state(self, name: str, state: State) -> None:
        self.world.put(replace(self.world.agents[name], state=state))

    def _start_agent(self, agent: Agent, known: tuple[str, ...] = ()) -> None:
        """``known`` are the serf addresses of those whom it knew before."""
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
        """Goes on until it has joined one, itself included, as Nomad counts; or until it was killed."""
        world = self.world
        if not world.agents[agent.name].is_running or world.agents[agent.name].started != agent.started:
            return
        found = filter(None, map(world.by_serf_address, dict.fromkeys((*agent.setup.retry_join, *known))))
        reached = [one.name for one in found if world.can_gossip(agent.name, one.name)]
        for other in reached:
            self.join(agent.name, other)
        if agent.setup.retry_join and not reached:
            world.schedule(world.now + world.timing.retry_join_interval, lambda: self._join_at_start(agent))
