"""The HTTP servers of a simulated cluster: a listener for each agent, which listens while the agent runs."""

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
"""Seconds between two ticks if no request causes one."""

OnChange = Callable[[Sequence[Setup]], None]
"""Receives the setups of the monitored agents after a change."""


class ClusterServer:
    """The HTTP servers of the agents of ``api``.

    ``clock`` returns Unix time. ``tokens`` are the secrets of the ACL tokens by name. ``on_change`` is called when an
    agent is added or permanently removed.
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
        """The initial setups of all agents, including removed ones."""
        return tuple(self._initial_setups.values())

    @property
    def monitored(self) -> Sequence[Setup]:
        """The initial setups of the agents that the exporter monitors: all that were not removed."""
        return tuple(setup for name, setup in self._initial_setups.items() if name not in self._removed)

    async def tick(self) -> None:
        """Advance the cluster to the present; start and stop listeners accordingly. Raises ListenError."""
        self.cluster.advance(self._clock())
        async with self._lock:
            for name, listener in list(self._listeners.items()):
                if self.cluster.world.agents[name].state is State.DEAD:
                    await listener.stop()
                else:
                    await listener.start()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            with suppress(ListenError):  # The request that starts the agent reports it.
                await self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def stop(self) -> None:
        """Stop all listeners."""
        async with self._lock:
            for listener in self._listeners.values():
                await listener.stop()

    async def add(self, setup: Setup) -> None:
        """Add an agent and start it. Raises ListenError and adds nothing if the agent's port is in use."""
        self.cluster.advance(self._clock())
        listener = self._create_listener(setup)
        await listener.start()
        self.cluster.add(setup)
        self._initial_setups[setup.full_name] = setup
        self._listeners[setup.full_name] = listener
        self.on_change(self.monitored)

    async def remove(self, name: str) -> None:
        """Kill an agent for good; it stays in the state of the other agents until they remove it."""
        self.cluster.kill(name)
        self._removed.add(name)
        await self.tick()
        self.on_change(self.monitored)

    async def restart(self, name: str, **changes: Any) -> None:
        """Kill an agent, if it runs, and start it with its initial setup and ``changes``.

        ``changes`` are fields of ``Setup``, such as ``version`` or ``encrypted``. Raises ListenError.
        """
        self.cluster.kill(name)
        await self.tick()
        setup = replace(self._initial_setups[name], **changes)
        self.cluster.start(name, setup)
        self._listeners[name] = self._create_listener(setup)
        await self.tick()

    async def expire_certificate(self, name: str) -> None:
        """Serve an expired certificate from now on. Raises LookupError if the agent has no TLS, OSError for a file."""
        setup = self._initial_setups[name]
        await self._reload(name, expire_certificate(setup, self._tls(name), datetime.now(UTC)))

    async def renew_certificate(self, name: str) -> None:
        """Serve the initial certificate from now on. Raises LookupError if the agent has no TLS."""
        await self._reload(name, self._tls(name))

    def revoke_token(self, token: str) -> None:
        """Revoke the token with this name. Raises LookupError if there is no such token."""
        acl = self._api.acl
        self._api.acl = replace(acl, revoked=acl.revoked | {self._tokens[token]})

    def restore_token(self, token: str) -> None:
        """Restore a revoked token. Raises LookupError if there is no such token."""
        acl = self._api.acl
        self._api.acl = replace(acl, revoked=acl.revoked - {self._tokens[token]})

    async def _reload(self, name: str, tls: Tls) -> None:
        """Replace the agent's HTTP server and abort its connections, as Nomad does on SIGHUP."""
        setup = replace(self.cluster.world.agents[name].setup, tls=tls)
        self.cluster.reload(name, setup)
        async with self._lock:
            await self._listeners[name].stop()
            self._listeners[name] = self._create_listener(setup)
        await self.tick()

    def _tls(self, name: str) -> Tls:
        tls = self._initial_setups[name].tls
        if tls is None:
            raise LookupError(f"{name} has no TLS")
        return tls

    def _create_listener(self, setup: Setup) -> Listener:
        tls = server_context(setup.tls) if setup.tls else None
        refusal = TOO_MANY_CONNECTIONS if setup.version.sends_too_many_requests else b""
        app = application(self._api, setup.full_name, self._clock)
        return Listener(app, Address(setup.host, setup.http), tls, refusal=refusal)


def _ignore(_: Sequence[Setup]) -> None:
    """Ignore a change; the default of ``on_change``."""
