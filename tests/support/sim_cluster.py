"""Simulated agents on sockets of loopback, in a thread of their own, so that a test asks them as any client would.

Two kinds of time: ``serving`` follows the clock of the machine, ``serving_by_hand`` stands still but for what a test
lets pass, and whoever waits for an answer costs no time: what is held for five seconds is answered at once.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from nomad_exporter.demo.certificates import server_context
from nomad_exporter.demo.face.application import application
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.setup import Setup
from nomad_exporter.serving.asgi import Application, Message, Receive, Send
from nomad_exporter.serving.door import Door
from tests.support.house import House, housed

T = TypeVar("T")


class Nomads:
    """The agents of a face, each behind a door on a port of its own that is open while its process is there."""

    def __init__(self, face: Face, house: House) -> None:
        self.cluster = face.cluster
        self._face = face
        self._house = house
        self._turning = asyncio.Lock()
        self._ahead = 0.0
        self._doors: Mapping[str, Door] = {
            name: house.open(self._application(name), tls=_context(agent.setup))
            for name, agent in face.cluster.world.agents.items()
        }
        self.do(lambda _: None)

    def url(self, name: str) -> str:
        """Where the agent of that name (``s1.global``, ``c1``) is asked, without a slash at the end."""
        scheme = "https" if self.cluster.world.agents[name].setup.tls else "http"
        return f"{scheme}://{self._doors[name].address}"

    def do(self, work: Callable[[Cluster], T]) -> T:
        """Does something to the cluster at its present, and opens and shuts the doors accordingly."""

        async def done() -> T:
            self.cluster.advance(self._clock())
            result = work(self.cluster)
            async with self._turning:
                for name, door in self._doors.items():
                    await (door.shut() if self.cluster.world.agents[name].state is State.DEAD else door.open())
            return result

        return self._house.do(done())

    def advance(self, seconds: float) -> None:
        """Lets so much time pass at once."""
        self._ahead += seconds
        self.do(lambda _: None)

    def _application(self, name: str) -> Application:
        return application(self._face, name, self._clock)

    def _clock(self) -> float:
        return time.time() + self._ahead


class NomadsByHand(Nomads):
    """Agents in a time that stands still, but that a question which is held lets it pass.

    Who asks gives up after ``patience`` seconds of that time, also on a stream: the connection is cut. So no agent is
    asked two things at a time.
    """

    def __init__(self, face: Face, house: House, patience: float) -> None:
        self.patience = patience
        self._begun = face.cluster.world.now
        super().__init__(face, house)

    def _clock(self) -> float:
        return self._begun + self._ahead

    def _application(self, name: str) -> Application:
        async def respond(scope: Message, receive: Receive, send: Send) -> None:
            end = self._ahead + self.patience

            async def pause(seconds: float) -> None:
                if self._ahead + seconds > end:
                    await self._give_up(name)
                self._ahead += seconds
                await asyncio.sleep(0)

            await application(self._face, name, self._clock, pause)(scope, receive, send)

        return respond

    async def _give_up(self, name: str) -> None:
        """Never returns: the door is shut and opened again, and with that the request ends."""
        cutting = asyncio.create_task(self._cut(self._doors[name]))
        await asyncio.Event().wait()
        await cutting

    async def _cut(self, door: Door) -> None:
        async with self._turning:
            await door.shut()
            await door.open()


@contextmanager
def serving(face: Face) -> Iterator[Nomads]:
    """Agents that live on as time goes; ``advance`` leaps over some of it. Their cluster's time is Unix time."""
    with housed() as house:
        yield Nomads(face, house)


@contextmanager
def serving_by_hand(face: Face, patience: float = 12.0) -> Iterator[NomadsByHand]:
    """Agents whose time the test turns by hand."""
    with housed() as house:
        yield NomadsByHand(face, house, patience)


def _context(setup: Setup) -> ssl.SSLContext | None:
    return server_context(setup.tls) if setup.tls else None
