"""The demo without its processes: a cluster on sockets of loopback whose clock a test turns, and its own page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_sim.api.acl import MANAGEMENT, MONITORING, Acl
from nomad_sim.api.routes import NomadApi
from nomad_sim.asgi import Message
from nomad_sim.certificates import CertificateFiles
from nomad_sim.control import control_page
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.layout import resolve_ports, setups
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from nomad_sim.runtime import ClusterServer
from nomad_sim.setup import Setup
from tests.support.sim_requests import MANAGER, MONITOR
from tests.support.waiting import PATIENCE

EXPORTER = "http://127.0.0.1:9441"
"""What the page takes for the exporter; nobody is there."""

INSTANT_PACE = 1e12
"""A pace at which a whole incident is played without waiting."""

HOST = "127.0.0.1:14640"


@dataclass(frozen=True)
class Reply:
    """What the demo's own page answered; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class SimHarness:
    """A stage, a player on it, and the page before it.

    ``output`` has the printed texts, ``monitored`` the names of the monitored agents after each change.
    """

    def __init__(self, files: CertificateFiles | None, **chosen: Any) -> None:
        self.now = 0.0
        self.output: list[str] = []
        self.monitored: list[list[str]] = []
        options = Options(**{"clients": 1, "port": 0, "pace": INSTANT_PACE, **chosen})
        tokens = {MONITOR: MONITORING, MANAGER: MANAGEMENT} if options.acl else {}
        cluster = Cluster(setups(resolve_ports(options), files), Timing(), 1, 0.0)
        self.api = NomadApi(cluster, Acl(tokens))
        self.server = ClusterServer(self.api, lambda: self.now, {"monitoring": MONITOR} if options.acl else {})
        self.server.on_change = lambda setups: self.monitored.append([setup.full_name for setup in setups])
        self.runner = IncidentRunner(self.server, self.api, options.pace, self.output.append)
        self.cluster = cluster

    def setup(self, name: str) -> Setup:
        """How an agent is set up now."""
        return self.cluster.world.agents[name].setup

    async def later(self, seconds: float) -> None:
        """Lets so much time pass."""
        self.now += seconds
        await self.server.tick()

    async def ask(self, method: str, path: str, **headers: str) -> Reply:
        """Asks the page; ``_`` in the name of a header stands for ``-``."""
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        async def receive() -> Message:
            raise AssertionError("nobody reads a body")

        arguments = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        pairs = [(name.encode(), value.encode()) for name, value in arguments.items()]
        await control_page(self.runner, EXPORTER)({"method": method, "path": path, "headers": pairs}, receive, send)
        start, body = messages
        result = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], result, body["body"].decode())


def run_with_harness(
    scenario: Callable[[SimHarness], Awaitable[None]], files: CertificateFiles | None = None, **chosen: Any
) -> None:
    """Plays ``scenario`` on a cluster that has a leader."""

    async def run_incident() -> None:
        harness = SimHarness(files, **chosen)
        try:
            async with asyncio.timeout(PATIENCE):
                await harness.later(30.0)
                await scenario(harness)
        finally:
            await harness.runner.stop()
            await harness.server.stop()

    asyncio.run(run_incident())
