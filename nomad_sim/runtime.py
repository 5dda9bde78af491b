"""The cluster on its sockets: one door for each agent, open while the agent's process is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nomad_sim.api.application import application
from nomad_sim.api.routes import NomadApi
from nomad_sim.certificates import expire_certificate, server_context
from nomad_sim.listener import TOO_MANY_CONNECTIONS, Listener
from nomad_sim.model.agents import State
from nomad_sim.setup import Setup, Tls
from nomad_sim.sockets import Address, ListenError

TICK_SECONDS = 0.25
"""Seconds between two turns of the clock while nobody asks."""

OnChange = Callable[[Sequence[Setup]], None]
"""Hears which agents are to be watched from now on."""


class ClusterServer:
    """The agents of a face, served. Everything happens on the loop that calls ``tick``.

    ``tokens`` are the token secrets by name. ``on_change`` is called when an agent is added or removed permanently.
    """

    def __init__(self, api: NomadApi, clock: Callable[[], float], tokens: Mapping[str, str] | None = None) -> None:
        self.cluster = api.cluster
        self.on_change: OnChange = _ignore
        self._api = api
        self._clock = clock
        self._tokens = tokens or {}
        self._initial_setups = {name: agent.setup for name, agent in api.cluster.world.agents.items()}
        self._removed: set[str] = set()
        self._listeners = {name: self._create_listener(setup) for name, setup in self._initial_setups.items()}
        self._lock = asyncio.Lock()

    @property
    def setups(self) -> Sequence[Setup]:
        """Of every agent that was ever here, as it was set up at first."""
        return tuple(self._initial_setups.values())

    @property
    def monitored(self) -> Sequence[Setup]:
        """Of the agents that are to be watched."""
        return tuple(setup for name, setup in self._initial_setups.items() if name not in self._removed)

    async def tick(self) -> None:
        """Lets happen what is due, and opens and shuts the doors accordingly. Raises ListenError."""
        self.cluster.advance(self._clock())
        async with self._lock:
            for name, listener in list(self._listeners.items()):
                if self.cluster.world.agents[name].state is State.DEAD:
                    await listener.stop()
                else:
                    await listener.start()

    async def run(self) -> None:
        """Goes on for ever. Where a door cannot be opened, who asked for it hears it."""
        while True:
            with suppress(ListenError):
                await self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def stop(self) -> None:
        """Shuts all doors."""
        async with self._lock:
            for listener in self._listeners.values():
                await listener.stop()

    async def add(self, setup: Setup) -> None:
        """Starts an agent that was never here. Raises ListenError, and then it is not here either."""
        self.cluster.advance(self._clock())
        listener = self._create_listener(setup)
        await listener.start()
        self.cluster.add(setup)
        self._initial_setups[setup.full_name] = setup
        self._listeners[setup.full_name] = listener
        self.on_change(self.monitored)

    async def remove(self, name: str) -> None:
        """Kills an agent that will not come back; the cluster may know it for long."""
        self.cluster.kill(name)
        self._removed.add(name)
        await self.tick()
        self.on_change(self.monitored)

    async def restart(self, name: str, **changes: Any) -> None:
        """Kills an agent where it lives, and starts it as it was set up at first but for the ``changes``.

        They are fields of ``Setup``, such as ``version`` or ``encrypted``. Raises ListenError.
        """
        self.cluster.kill(name)
        await self.tick()
        setup = replace(self._initial_setups[name], **changes)
        self.cluster.start(name, setup)
        self._listeners[name] = self._create_listener(setup)
        await self.tick()

    async def expire_certificate(self, name: str) -> None:
        """From now on the agent serves a certificate that has expired. Raises LookupError where it has none."""
        await self._reload(name, expire_certificate(self._tls(name), name, datetime.now(UTC)))

    async def renew_certificate(self, name: str) -> None:
        """From now on the agent serves its first certificate. Raises LookupError where it has none."""
        await self._reload(name, self._tls(name))

    def revoke_token(self, token: str) -> None:
        """No server knows the token of this name any more. Raises LookupError where there never was one."""
        acl = self._api.acl
        self._api.acl = replace(acl, revoked=acl.revoked | {self._tokens[token]})

    def restore_token(self, token: str) -> None:
        """The token that was revoked is known again. Raises LookupError where there never was one."""
        acl = self._api.acl
        self._api.acl = replace(acl, revoked=acl.revoked - {self._tokens[token]})

    async def _reload(self, name: str, tls: Tls) -> None:
        """As Nomad does on SIGHUP: the agent goes on, its HTTP server is another, and no connection outlives it."""
        setup = replace(self.cluster.world.agents[name].setup, tls=tls)
        self.cluster.reload(name, setup)
        async with self._lock:
            await self._listeners[name].stop()
            self._listeners[name] = self._create_listener(setup)
        await self.tick()

    def _tls(self, name: str) -> Tls:
        tls = self._initial_setups[name].tls
        if tls is None:
            raise LookupError(f"{name} serves no HTTPS")
        return tls

    def _create_listener(self, setup: Setup) -> Listener:
        tls = server_context(setup.tls) if setup.tls else None
        refusal = TOO_MANY_CONNECTIONS if setup.version.sends_too_many_requests else b""
        app = application(self._api, setup.full_name, self._clock)
        return Listener(app, Address(setup.host, setup.http), tls, refusal=refusal)


def _ignore(_: Sequence[Setup]) -> None:
    """Until somebody wants to hear it."""
