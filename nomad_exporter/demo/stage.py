"""The cluster on its sockets: one door for each agent, open while the agent's process is there."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping

from nomad_exporter.demo.certificates import server_context
from nomad_exporter.demo.face.application import application
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.setup import Setup
from nomad_exporter.serving.door import Door
from nomad_exporter.serving.listen import Listen

TURN = 0.25
"""Seconds between two turns of the clock while nobody asks."""


class Stage:
    """The agents of a face, served. Everything happens on the loop that calls ``turn``."""

    def __init__(self, face: Face, clock: Callable[[], float] = time.time) -> None:
        self.cluster = face.cluster
        self._clock = clock
        agents = face.cluster.world.agents
        self._doors: Mapping[str, Door] = {
            name: Door(application(face, name, clock), _address(agent.setup), _context(agent.setup))
            for name, agent in agents.items()
        }

    async def turn(self) -> None:
        """Lets happen what is due, and opens and shuts the doors accordingly. Raises CannotListen."""
        self.cluster.advance(self._clock())
        for name, door in self._doors.items():
            if self.cluster.world.agents[name].state is State.DEAD:
                await door.shut()
            else:
                await door.open()

    async def play(self) -> None:
        """Goes on for ever."""
        while True:
            await self.turn()
            await asyncio.sleep(TURN)

    async def end(self) -> None:
        """Shuts all doors."""
        for door in self._doors.values():
            await door.shut()


def _address(setup: Setup) -> Listen:
    return Listen(setup.host, setup.http)


def _context(setup: Setup) -> ssl.SSLContext | None:
    return server_context(setup.tls) if setup.tls else None
