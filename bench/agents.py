"""Many recorded agents in one small process, each on a port of its own, that die, freeze and get well when told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import resource
import socket
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from tests.support.recordings import situation

FIRST_PORT = 20_000
"""Below the ports that the system gives to outgoing connections, so that none of these takes that of a dead agent."""

SITUATIONS = tuple(
    f"{version}/healthy/{agent}"
    for version, agents in (
        ("2.0.5", ("c1-client", "s1-follower", "s2-leader")),
        ("1.10.5", ("c1-client", "s1-follower", "s3-leader")),
    )
    for agent in agents
)
"""Who the agents are, in turn."""


class Mood(Enum):
    """How an agent is. A frozen one accepts and never answers; a dead one has its port closed."""

    WELL = 1
    FROZEN = 2
    DEAD = 3


def raise_limit() -> None:
    """Lets this process open as many files as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Agents:
    """The agents, from outside of their process: ``ports`` by number, and ``tell``, which changes a mood."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.ports: Sequence[int] = pipe.recv()

    def tell(self, number: int, mood: Mood) -> None:
        """The agent ``number`` is of this mood as soon as this returns."""
        self._pipe.send((number, mood))
        self._pipe.recv()


@contextlib.contextmanager
def running(number: int) -> Iterator[Agents]:
    """So many agents, all of them well; they end with the block."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, number))
    process.start()
    theirs.close()
    try:
        yield Agents(ours)
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection, number: int) -> None:
    raise_limit()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_obey(pipe, number))


async def _obey(pipe: Connection, number: int) -> None:
    agents = [_Agent(_responses(name)) for name in itertools.islice(itertools.cycle(SITUATIONS), number)]
    ports = iter(range(FIRST_PORT, 32_768))
    for agent in agents:
        await agent.open(ports)
    pipe.send([agent.port for agent in agents])
    with contextlib.suppress(EOFError):
        while True:
            told, mood = await asyncio.to_thread(pipe.recv)
            await agents[told].turn(mood)
            pipe.send(None)


def _responses(name: str) -> Mapping[bytes, bytes]:
    return {
        path.encode(): b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b"
        % (told.status or 500, len(told.body), told.body)
        for path, told in situation(name).answers.items()
    }


_NOT_FOUND = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"


class _Agent:
    def __init__(self, responses: Mapping[bytes, bytes]) -> None:
        self.responses, self.mood, self.port = responses, Mood.WELL, 0
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    async def open(self, ports: Iterator[int]) -> None:
        """Listens on the first of ``ports`` that is free."""
        for port in ports:
            with contextlib.suppress(OSError):
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
                self.port = port
                return
        raise OSError("no port is free")

    async def turn(self, mood: Mood) -> None:
        self.mood = mood
        if mood is Mood.DEAD:
            self._close()
        elif self._reserved:
            self._reserved.close()
            self._reserved = None
            await self.open(iter((self.port,)))
        for connection in tuple(self.connections):
            connection.answer()

    def _close(self) -> None:
        """Refuses all connections; the port is bound, lest another process takes it, but nobody listens there."""
        if self._server:
            self._server.close()
            self._server = None
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(("127.0.0.1", self.port))
        for connection in tuple(self.connections):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """One connection to an agent; what it was asked while it is frozen, it answers once it is well."""

    transport: asyncio.Transport

    def __init__(self, agent: _Agent) -> None:
        self._agent, self._asked = agent, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._agent.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._agent.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._asked += data
        self.answer()

    def answer(self) -> None:
        while self._agent.mood is Mood.WELL and b"\r\n\r\n" in self._asked:
            request, _, self._asked = self._asked.partition(b"\r\n\r\n")
            self.transport.write(self._agent.responses.get(request.split(b" ", 2)[1], _NOT_FOUND))
