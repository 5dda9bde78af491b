"""Simulated agents on loopback sockets, in a thread, for tests that send requests like any client.

``serve_cluster`` follows the clock of the machine. ``serve_cluster_manually`` has a clock that only tests advance, so
that a request that Nomad holds for five seconds is answered at once.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from nomad_sim.api.application import application
from nomad_sim.api.routes import NomadApi
from nomad_sim.asgi import Application, Message, Receive, Send
from nomad_sim.certificates import server_context
from nomad_sim.listener import Listener
from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from nomad_sim.setup import Setup
from tests.support.event_loop import EventLoop, running_loop

T = TypeVar("T")


class SimCluster:
    """The agents of ``api``, each with a listener on its own port while the agent runs."""

    def __init__(self, api: NomadApi, event_loop: EventLoop) -> None:
        self.cluster = api.cluster
        self._api = api
        self._event_loop = event_loop
        self._lock = asyncio.Lock()
        self._ahead = 0.0
        self._listeners: Mapping[str, Listener] = {
            name: event_loop.start_listener(self._application(name), tls=_context(agent.setup))
            for name, agent in api.cluster.world.agents.items()
        }
        self.do(lambda _: None)

    def url(self, name: str) -> str:
        """Return the base URL of an agent (``s1.global``, ``c1``)."""
        scheme = "https" if self.cluster.world.agents[name].setup.tls else "http"
        return f"{scheme}://{self._listeners[name].address}"

    def do(self, work: Callable[[Cluster], T]) -> T:
        """Change the cluster at the present time; start and stop listeners accordingly."""

        async def change() -> T:
            self.cluster.advance(self._clock())
            result = work(self.cluster)
            async with self._lock:
                for name, listener in self._listeners.items():
                    await (listener.stop() if self.cluster.world.agents[name].state is State.DEAD else listener.start())
            return result

        return self._event_loop.do(change())

    def advance(self, seconds: float) -> None:
        """Advance the clock by ``seconds`` at once."""
        self._ahead += seconds
        self.do(lambda _: None)

    def _application(self, name: str) -> Application:
        return application(self._api, name, self._clock)

    def _clock(self) -> float:
        return time.time() + self._ahead


class ManualSimCluster(SimCluster):
    """Agents whose clock advances only on request, and while a request is held.

    A connection is aborted after ``client_timeout`` seconds of this clock, streams included. Each agent serves one
    request at a time.
    """

    def __init__(self, api: NomadApi, event_loop: EventLoop, client_timeout: float) -> None:
        self.client_timeout = client_timeout
        self._started_at = api.cluster.world.now
        super().__init__(api, event_loop)

    def _clock(self) -> float:
        return self._started_at + self._ahead

    def _application(self, name: str) -> Application:
        async def respond(scope: Message, receive: Receive, send: Send) -> None:
            end = self._ahead + self.client_timeout

            async def sleep(seconds: float) -> None:
                if self._ahead + seconds > end:
                    await self._abort(name)
                self._ahead += seconds
                await asyncio.sleep(0)

            await application(self._api, name, self._clock, sleep)(scope, receive, send)

        return respond

    async def _abort(self, name: str) -> None:
        """Restart the listener, which ends the request; never return."""
        restart = asyncio.create_task(self._restart_listener(self._listeners[name]))
        await asyncio.Event().wait()
        await restart

    async def _restart_listener(self, listener: Listener) -> None:
        async with self._lock:
            await listener.stop()
            await listener.start()


@contextmanager
def serve_cluster(api: NomadApi) -> Iterator[SimCluster]:
    """Serve agents whose clock is Unix time, plus what ``advance`` adds."""
    with running_loop() as event_loop:
        yield SimCluster(api, event_loop)


@contextmanager
def serve_cluster_manually(api: NomadApi, client_timeout: float = 12.0) -> Iterator[ManualSimCluster]:
    """Serve agents whose clock only the test advances."""
    with running_loop() as event_loop:
        yield ManualSimCluster(api, event_loop, client_timeout)


def _context(setup: Setup) -> ssl.SSLContext | None:
    return server_context(setup.tls) if setup.tls else None
