"""The demo within a test: a cluster on loopback sockets whose clock the test advances, and its control page."""

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
from tests.support.clusters import ELECTION_SECONDS
from tests.support.sim_requests import MANAGER, MONITOR
from tests.support.waiting import PATIENCE

EXPORTER = "http://127.0.0.1:9441"
"""The URL of the exporter on the page; nothing listens there."""

INSTANT_PACE = 1e12
"""A pace at which a complete incident runs without waiting."""

HOST = "127.0.0.1:14640"


@dataclass(frozen=True)
class Reply:
    """A response of the control page, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class SimHarness:
    """A served cluster, its incident runner and its control page.

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
        """Return the current setup of an agent."""
        return self.cluster.world.agents[name].setup

    async def later(self, seconds: float) -> None:
        """Advance the clock by ``seconds``."""
        self.now += seconds
        await self.server.tick()

    async def ask(self, method: str, path: str, **headers: str) -> Reply:
        """Send a request to the control page; ``_`` in a header name means ``-``."""
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        async def receive() -> Message:
            raise AssertionError("the page reads no body")

        request_headers = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        pairs = [(name.encode(), value.encode()) for name, value in request_headers.items()]
        await control_page(self.runner, EXPORTER)({"method": method, "path": path, "headers": pairs}, receive, send)
        start, body = messages
        reply_headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], reply_headers, body["body"].decode())


def run_with_harness(
    scenario: Callable[[SimHarness], Awaitable[None]], files: CertificateFiles | None = None, **chosen: Any
) -> None:
    """Run ``scenario`` with a cluster that has a leader."""

    async def run() -> None:
        harness = SimHarness(files, **chosen)
        try:
            async with asyncio.timeout(PATIENCE):
                await harness.later(ELECTION_SECONDS)
                await scenario(harness)
        finally:
            await harness.runner.stop()
            await harness.server.stop()

    asyncio.run(run())
