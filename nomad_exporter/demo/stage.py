"""The cluster on its sockets: one door for each agent, open while the agent's process is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from nomad_exporter.demo.certificates import server_context
from nomad_exporter.demo.face.application import application
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.setup import Setup
from nomad_exporter.serving.asgi import Application
from nomad_exporter.serving.door import TOO_MANY, Door
from nomad_exporter.serving.listen import CannotListen, Listen

TURN = 0.25
"""Seconds between two turns of the clock while nobody asks."""


class Stage:
    """The agents of a face, served. Everything happens on the loop that calls ``turn``."""

    def __init__(self, face: Face, clock: Callable[[], float]) -> None:
        self.cluster = face.cluster
        self._clock = clock
        agents = face.cluster.world.agents
        self._doors: Mapping[str, Door] = {
            name: _door(application(face, name, clock), agent.setup) for name, agent in agents.items()
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
        """Goes on for ever. Where a door cannot be opened, who asked for it hears it."""
        while True:
            with suppress(CannotListen):
                await self.turn()
            await asyncio.sleep(TURN)

    async def end(self) -> None:
        """Shuts all doors."""
        for door in self._doors.values():
            await door.shut()


def _door(served: Application, setup: Setup) -> Door:
    tls = server_context(setup.tls) if setup.tls else None
    refusal = TOO_MANY if setup.version.tells_too_many else b""
    return Door(served, Listen(setup.host, setup.http), tls, refusal=refusal)
