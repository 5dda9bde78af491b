"""The cluster on its sockets: one door for each agent, open while the agent's process is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nomad_exporter.demo.certificates import expired, server_context
from nomad_exporter.demo.face.application import application
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.setup import Setup, Tls
from nomad_exporter.serving.door import TOO_MANY, Door
from nomad_exporter.serving.listen import CannotListen, Listen

TURN = 0.25
"""Seconds between two turns of the clock while nobody asks."""

Told = Callable[[Sequence[Setup]], None]
"""Hears which agents are to be watched from now on."""


class Stage:
    """The agents of a face, served. Everything happens on the loop that calls ``turn``.

    ``tokens`` are the secrets of the tokens by their names. ``told`` is called when an agent comes or goes for good.
    """

    def __init__(self, face: Face, clock: Callable[[], float], tokens: Mapping[str, str] | None = None) -> None:
        self.cluster = face.cluster
        self.told: Told = _nobody
        self._face = face
        self._clock = clock
        self._tokens = tokens or {}
        self._first = {name: agent.setup for name, agent in face.cluster.world.agents.items()}
        self._gone: set[str] = set()
        self._doors = {name: self._door(setup) for name, setup in self._first.items()}
        self._turning = asyncio.Lock()

    @property
    def setups(self) -> Sequence[Setup]:
        """Of every agent that was ever here, as it was set up at first."""
        return tuple(self._first.values())

    @property
    def watched(self) -> Sequence[Setup]:
        """Of the agents that are to be watched."""
        return tuple(setup for name, setup in self._first.items() if name not in self._gone)

    async def turn(self) -> None:
        """Lets happen what is due, and opens and shuts the doors accordingly. Raises CannotListen."""
        self.cluster.advance(self._clock())
        async with self._turning:
            for name, door in list(self._doors.items()):
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
        async with self._turning:
            for door in self._doors.values():
                await door.shut()

    async def add(self, setup: Setup) -> None:
        """Starts an agent that was never here. Raises CannotListen, and then it is not here either."""
        self.cluster.advance(self._clock())
        door = self._door(setup)
        await door.open()
        self.cluster.add(setup)
        self._first[setup.full_name] = setup
        self._doors[setup.full_name] = door
        self.told(self.watched)

    async def remove(self, name: str) -> None:
        """Kills an agent that will not come back; the cluster may know it for long."""
        self.cluster.kill(name)
        self._gone.add(name)
        await self.turn()
        self.told(self.watched)

    async def restart(self, name: str, **changes: Any) -> None:
        """Kills an agent where it lives, and starts it as it was set up at first but for the ``changes``.

        They are fields of ``Setup``, such as ``version`` or ``encrypted``. Raises CannotListen.
        """
        self.cluster.kill(name)
        await self.turn()
        setup = replace(self._first[name], **changes)
        self.cluster.start(name, setup)
        self._doors[name] = self._door(setup)
        await self.turn()

    async def expire(self, name: str) -> None:
        """From now on the agent serves a certificate that has expired. Raises LookupError where it has none."""
        await self._reload(name, expired(self._tls(name), name, datetime.now(UTC)))

    async def renew(self, name: str) -> None:
        """From now on the agent serves its first certificate. Raises LookupError where it has none."""
        await self._reload(name, self._tls(name))

    def revoke(self, token: str) -> None:
        """No server knows the token of this name any more. Raises LookupError where there never was one."""
        acl = self._face.acl
        self._face.acl = replace(acl, revoked=acl.revoked | {self._tokens[token]})

    def restore(self, token: str) -> None:
        """The token that was revoked is known again. Raises LookupError where there never was one."""
        acl = self._face.acl
        self._face.acl = replace(acl, revoked=acl.revoked - {self._tokens[token]})

    async def _reload(self, name: str, tls: Tls) -> None:
        """As Nomad does on SIGHUP: the agent goes on, its HTTP server is another, and no connection outlives it."""
        setup = replace(self.cluster.world.agents[name].setup, tls=tls)
        self.cluster.reload(name, setup)
        async with self._turning:
            await self._doors[name].shut()
            self._doors[name] = self._door(setup)
        await self.turn()

    def _tls(self, name: str) -> Tls:
        tls = self._first[name].tls
        if tls is None:
            raise LookupError(f"{name} serves no HTTPS")
        return tls

    def _door(self, setup: Setup) -> Door:
        tls = server_context(setup.tls) if setup.tls else None
        refusal = TOO_MANY if setup.version.tells_too_many else b""
        served = application(self._face, setup.full_name, self._clock)
        return Door(served, Listen(setup.host, setup.http), tls, refusal=refusal)


def _nobody(_: Sequence[Setup]) -> None:
    """Until somebody wants to hear it."""
