"""The cluster, as one turns its clock and does something to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nomad_exporter.demo.model import agents, gossip, rafts, rounds, work
from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.journal import Journal
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.model.world import World
from nomad_exporter.demo.setup import Setup

KEPT_LINES = 128
"""Of each agent's log; who watches it reads several times a second."""


class Cluster:
    """Agents that live together. Nothing happens but in ``advance``; what is done to them is done at its present."""

    def __init__(self, setups: Iterable[Setup], timing: Timing, seed: int, now: float) -> None:
        self.world = World(timing, seed, now)
        for setup in setups:
            self.add(setup)
        rounds.begun(self.world)
        work.begun(self.world)

    def advance(self, now: float) -> None:
        """Lets everything happen that is due up to ``now``."""
        self.world.agenda.do_until(now)
        self.world.now = max(self.world.now, now)

    def add(self, setup: Setup) -> None:
        """Starts an agent that was never here."""
        self._started(agents.new(setup, self.world.now, self.world.timing, self.world.draw))

    def start(self, name: str, setup: Setup | None = None) -> None:
        """Starts an agent that has ended, with what is on its disk; with another ``setup`` where one is given."""
        before = self.world.agents[name]
        world = self.world
        again = agents.again(before, setup or before.setup, world.now, world.timing, world.draw)
        self._started(again, before.server.gossip.addresses if before.server else ())

    def reload(self, name: str, setup: Setup) -> None:
        """An agent reads its configuration again, as on SIGHUP, and goes on."""
        self.world.put(replace(self.world.agents[name], setup=setup))

    def kill(self, name: str) -> None:
        """Ends the process of an agent, as SIGKILL does."""
        self._put(name, State.DEAD)

    def freeze(self, name: str) -> None:
        """Stops the process of an agent, as SIGSTOP does."""
        self._put(name, State.FROZEN)

    def thaw(self, name: str) -> None:
        """Lets a frozen agent go on, as SIGCONT does."""
        self._put(name, State.RUNNING)
        self._await(self.world.agents[name])
        self.world.at(self.world.now, lambda: self._end_leaving(name))

    def cut(self, name: str, others: Iterable[str]) -> None:
        """Loses every packet between an agent and the ``others``."""
        self.world.cuts |= {frozenset((name, other)) for other in others if other != name}

    def heal(self, name: str) -> None:
        """Loses no packet any more between an agent and the others."""
        self.world.cuts = frozenset(pair for pair in self.world.cuts if name not in pair)

    def leave(self, name: str) -> None:
        """A server leaves in good order, and ends."""
        world = self.world
        world.gossip(name, lambda known: gossip.with_status(known, name, gossip.LEAVING, world.now))
        world.at(world.now + world.timing.leave, lambda: self._end_leaving(name))

    def force_leave(self, name: str, member: str, prune: bool = False) -> None:
        """The server ``name`` tells that ``member`` has left; with ``prune`` all that hear of it forget it then."""
        world = self.world
        for server in sorted(world.heard(name)) if prune else [name]:
            world.gossip(server, lambda known: gossip.force_left(known, member, world.now))
            if prune:
                world.gossip(server, lambda known: gossip.pruned(known, member))

    def join(self, name: str, other: str) -> None:
        """Two servers tell each other whom they know, if they can."""
        if self.world.gossips(name, other):
            rounds.exchanged(self.world, name, other)

    def tell_servers(self, name: str, servers: tuple[str, ...]) -> None:
        """A client is told to know these servers and no others, by RPC address."""
        agent = self.world.agents[name]
        if agent.client:
            self.world.put(replace(agent, client=replace(agent.client, servers=servers)))

    def _end_leaving(self, name: str) -> None:
        """Not where it was killed or frozen meanwhile."""
        agent = self.world.agents[name]
        if agent.runs and agent.server and agent.server.gossip.own.status == gossip.LEAVING:
            rounds.left(self.world, name)
            self.kill(name)

    def _put(self, name: str, state: State) -> None:
        self.world.put(replace(self.world.agents[name], state=state))

    def _started(self, agent: Agent, known: tuple[str, ...] = ()) -> None:
        """``known`` are the serf addresses of those whom it knew before."""
        world = self.world
        world.journals.setdefault(agent.name, Journal(KEPT_LINES))
        world.nodes = {agent.setup.region: {}, **world.nodes}
        world.put(agent)
        self._await(agent)
        if agent.server:
            world.at(world.now, lambda: self._join_at_start(agent, known))

    def _await(self, agent: Agent) -> None:
        if agent.server:
            rafts.awaited(self.world, agent.name)
        if agent.client:
            work.awaited(self.world, agent.name, agent.client)

    def _join_at_start(self, agent: Agent, known: tuple[str, ...] = ()) -> None:
        """Goes on until it has joined one, itself included, as Nomad counts; or until it was killed."""
        world = self.world
        if not world.agents[agent.name].runs or world.agents[agent.name].started != agent.started:
            return
        found = filter(None, map(world.at_serf, dict.fromkeys((*agent.setup.retry_join, *known))))
        reached = [one.name for one in found if world.gossips(agent.name, one.name)]
        for other in reached:
            self.join(agent.name, other)
        if agent.setup.retry_join and not reached:
            world.at(world.now + world.timing.rejoin, lambda: self._join_at_start(agent))
