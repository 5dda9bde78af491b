"""The demo without its processes: a cluster on sockets of loopback whose clock a test turns, and its own page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_exporter.demo.certificates import Files
from nomad_exporter.demo.control import control
from nomad_exporter.demo.face.acl import MANAGEMENT, MONITORING, Acl
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.incidents.player import Player
from nomad_exporter.demo.layout import setups, with_ports
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.setup import Setup
from nomad_exporter.demo.stage import Stage
from nomad_exporter.serving.asgi import Message
from tests.support.questions import MANAGER, MONITOR
from tests.support.waiting import PATIENCE

EXPORTER = "http://127.0.0.1:9441"
"""What the page takes for the exporter; nobody is there."""

AT_ONCE = 1e12
"""A pace at which a whole incident is played without waiting."""

HOST = "127.0.0.1:14640"


@dataclass(frozen=True)
class Reply:
    """What the demo's own page answered; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class Theatre:
    """A stage, a player on it, and the page before it.

    ``told`` is what the player told, part by part, ``watched`` the names of those that were to be watched, each time.
    """

    def __init__(self, files: Files | None, **chosen: Any) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.watched: list[list[str]] = []
        options = Options(**{"clients": 1, "port": 0, "pace": AT_ONCE, **chosen})
        tokens = {MONITOR: MONITORING, MANAGER: MANAGEMENT} if options.acl else {}
        cluster = Cluster(setups(with_ports(options), files), Timing(), 1, 0.0)
        self.face = Face(cluster, Acl(tokens))
        self.stage = Stage(self.face, lambda: self.now, {"monitoring": MONITOR} if options.acl else {})
        self.stage.told = lambda setups: self.watched.append([setup.full_name for setup in setups])
        self.player = Player(self.stage, self.face, options.pace, self.told.append)
        self.cluster = cluster

    def setup(self, name: str) -> Setup:
        """How an agent is set up now."""
        return self.cluster.world.agents[name].setup

    async def later(self, seconds: float) -> None:
        """Lets so much time pass."""
        self.now += seconds
        await self.stage.turn()

    async def ask(self, method: str, path: str, **headers: str) -> Reply:
        """Asks the page; ``_`` in the name of a header stands for ``-``."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("nobody reads a body")

        given = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        pairs = [(name.encode(), value.encode()) for name, value in given.items()]
        await control(self.player, EXPORTER)({"method": method, "path": path, "headers": pairs}, receive, send)
        start, body = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], told, body["body"].decode())


def staged(story: Callable[[Theatre], Awaitable[None]], files: Files | None = None, **chosen: Any) -> None:
    """Plays ``story`` on a cluster that has a leader."""

    async def played() -> None:
        theatre = Theatre(files, **chosen)
        try:
            async with asyncio.timeout(PATIENCE):
                await theatre.later(30.0)
                await story(theatre)
        finally:
            await theatre.player.end()
            await theatre.stage.end()

    asyncio.run(played())
