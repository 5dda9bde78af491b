"""The HTTP servers of a simulated cluster: agents are added, removed, restarted and reloaded."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nomad_sim.api.routes import NomadApi
from nomad_sim.certificates import CertificateFiles, make_certificates
from nomad_sim.layout import new_server_setup, resolve_ports, setups
from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.raft_log import VOTER
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from nomad_sim.runtime import ClusterServer
from nomad_sim.setup import Setup
from nomad_sim.sockets import Address, ListenError, listen
from nomad_sim.versions import VERSIONS
from tests.support.clusters import followers, leader, status, suffrage
from tests.support.sim_harness import SimHarness, run_with_harness
from tests.support.sim_requests import MANAGER, MONITOR, UNKNOWN_TOKEN

pytestmark = pytest.mark.slow  # Real sockets.

S1, S2, S4 = "s1.global", "s2.global", "s4.global"
SELF = "/v1/agent/self"


async def request(setup: Setup, path: str = SELF, token: str = MONITOR, tls: ssl.SSLContext | None = None) -> Any:
    """Send a GET request to an agent; return the JSON of the response, or the status if it is not 200."""
    reader, writer = await asyncio.open_connection(setup.host, setup.http, ssl=tls)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: demo\r\nX-Nomad-Token: {token}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        status_code = int((await reader.readline()).split()[1])
        _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return json.loads(body) if status_code == 200 else status_code
    finally:
        writer.close()


async def is_aborted(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection; return whether it ended without a response."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def test_added_server_joins_and_is_monitored() -> None:
    async def scenario(harness: SimHarness) -> None:
        new = new_server_setup(harness.server.setups, "global")
        await harness.server.add(new)
        assert (await request(new))["stats"]["nomad"]["server"] == "true"
        assert harness.monitored == [[S1, S2, "s3.global", "c1", S4]]
        assert harness.server.setups[-1] == harness.server.monitored[-1] == new

        await harness.later(1.0)
        assert status(harness.cluster, S1, S4) == "alive"
        await harness.later(25.0)
        assert suffrage(harness.cluster, leader(harness.cluster), S4) == VOTER

    run_with_harness(scenario)


def test_server_is_not_added_if_port_is_in_use() -> None:
    async def scenario(harness: SimHarness) -> None:
        new = new_server_setup(harness.server.setups, "global")
        with listen(Address(new.host, new.http)), pytest.raises(ListenError):
            await harness.server.add(new)

        assert S4 not in harness.cluster.world.agents
        assert new not in harness.server.setups
        assert not harness.monitored

    run_with_harness(scenario)


def test_removed_agent_is_dead_and_not_monitored() -> None:
    async def scenario(harness: SimHarness) -> None:
        removed = harness.setup("s3.global")
        await harness.server.remove("s3.global")
        with pytest.raises(OSError, match="Connect call failed"):
            await request(removed)

        assert harness.monitored == [[S1, S2, "c1"]]
        assert harness.server.monitored == tuple(map(harness.setup, (S1, S2, "c1")))
        assert harness.cluster.world.agents["s3.global"].state is State.DEAD
        assert new_server_setup(harness.server.setups, "global").name == "s4"

    run_with_harness(scenario)


def test_agents_are_added_and_removed_without_callback() -> None:
    async def scenario() -> None:
        initial = setups(resolve_ports(Options(servers=1, clients=0, port=0)), None)
        server = ClusterServer(NomadApi(Cluster(initial, Timing(), 1, 0.0)), lambda: 0.0)
        await server.tick()
        await server.add(new_server_setup(server.setups, "global"))
        await server.remove(S2)
        assert server.monitored == tuple(initial)
        await server.stop()

    asyncio.run(scenario())


def test_agent_restarts_with_older_version_and_back() -> None:
    async def version(harness: SimHarness, name: str) -> str:
        return str((await request(harness.setup(name)))["config"]["Version"]["Version"])

    async def scenario(harness: SimHarness) -> None:
        name = followers(harness.cluster)[0]
        first = harness.setup(name)
        await harness.server.restart(name, version=VERSIONS["1.10"])
        assert await version(harness, name) == "1.10.5"
        assert await version(harness, leader(harness.cluster)) == "2.0.5"
        await harness.later(2.0)
        assert status(harness.cluster, leader(harness.cluster), name) == "alive"

        await harness.server.restart(name)
        assert await version(harness, name) == "2.0.5"
        assert harness.setup(name) == first
        assert not harness.monitored

    run_with_harness(scenario)


def test_restart_aborts_connections_and_starts_dead_agent() -> None:
    async def scenario(harness: SimHarness) -> None:
        reader, writer = await asyncio.open_connection(harness.setup(S1).host, harness.setup(S1).http)
        await harness.server.restart(S1)
        assert await is_aborted(reader)
        writer.close()
        harness.cluster.kill("c1")
        await harness.server.tick()
        await harness.server.restart("c1")
        assert (await request(harness.setup("c1")))["stats"]["client"]["node_id"] == harness.setup("c1").id

    run_with_harness(scenario)


def test_server_restarts_without_gossip_key() -> None:
    async def encrypted(harness: SimHarness, name: str) -> str:
        return str((await request(harness.setup(name)))["stats"]["serf"]["encrypted"])

    async def scenario(harness: SimHarness) -> None:
        name = followers(harness.cluster)[0]
        assert await encrypted(harness, name) == "true"
        await harness.server.restart(name, encrypted=False)
        assert await encrypted(harness, name) == "false"
        await harness.server.restart(name)
        assert await encrypted(harness, name) == "true"

    run_with_harness(scenario)


def test_revoked_token_is_refused_until_restored() -> None:
    async def scenario(harness: SimHarness) -> None:
        server = harness.setup(S1)
        harness.server.revoke_token("monitoring")
        assert [await request(server), (await request(server, token=MANAGER))["member"]["Name"]] == [403, S1]
        harness.server.restore_token("monitoring")
        assert (await request(server))["member"]["Name"] == S1
        assert await request(server, token=UNKNOWN_TOKEN) == 403
        with pytest.raises(LookupError):
            harness.server.revoke_token("unknown")
        with pytest.raises(LookupError):
            harness.server.restore_token("unknown")

    run_with_harness(scenario, acl=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificates(tmp_path_factory.mktemp("tls"), ["127.0.0.1"], ["global"], datetime.now(UTC))


def test_certificate_expires_and_is_renewed(files: CertificateFiles) -> None:
    tls = ssl.create_default_context(cafile=files.ca_file)

    async def scenario(harness: SimHarness) -> None:
        before = harness.cluster.world.agents[S1]
        reader, writer = await asyncio.open_connection(before.setup.host, before.setup.http, ssl=tls)
        await harness.server.expire_certificate(S1)
        assert await is_aborted(reader)
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
            await request(before.setup, tls=tls)
        assert (await request(harness.setup(S2), tls=tls))["member"]["Name"] == S2
        assert harness.cluster.world.agents[S1].started == before.started
        assert Path(harness.setup(S1).tls.cert_file).name == "s1.global-expired.pem"  # type: ignore[union-attr]  # the agent has TLS

        await harness.server.renew_certificate(S1)
        assert (await request(before.setup, tls=tls))["member"]["Name"] == S1
        assert harness.setup(S1) == before.setup

    run_with_harness(scenario, files)


def test_certificate_can_expire_during_ticks(files: CertificateFiles) -> None:
    tls = ssl.create_default_context(cafile=files.ca_file)

    async def scenario(harness: SimHarness) -> None:
        ticks = [harness.server.tick() for _ in range(3)]
        await asyncio.gather(
            ticks[0], harness.server.expire_certificate(S1), ticks[1], harness.server.renew_certificate(S1), ticks[2]
        )
        assert (await request(harness.setup(S1), tls=tls))["member"]["Name"] == S1

    run_with_harness(scenario, files)


def test_dead_agent_stays_dead_if_certificate_expires(files: CertificateFiles) -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.cluster.kill("c1")
        await harness.server.tick()
        await harness.server.expire_certificate("c1")
        with pytest.raises(OSError, match="Connect call failed"):
            await request(harness.setup("c1"))

    run_with_harness(scenario, files)


def test_certificate_faults_require_tls() -> None:
    async def scenario(harness: SimHarness) -> None:
        for action in (harness.server.expire_certificate, harness.server.renew_certificate):
            with pytest.raises(LookupError, match=r"s1\.global has no TLS"):
                await action(S1)

    run_with_harness(scenario)
