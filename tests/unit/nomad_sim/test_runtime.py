"""The stage: agents on sockets that come and go, and what can be done to them while they are served."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.demo.certificates import Files, make
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.layout import one_more, setups, with_ports
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.log import VOTER
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.setup import Setup
from nomad_exporter.demo.stage import Stage
from nomad_exporter.demo.versions import VERSIONS
from nomad_exporter.serving.listen import CannotListen, Listen, listen
from tests.support.clusters import followers, leader, status, suffrage
from tests.support.questions import MANAGER, MONITOR, STRANGER
from tests.support.stages import Theatre, staged

S1, S2, S4 = "s1.global", "s2.global", "s4.global"
SELF = "/v1/agent/self"


async def ask(setup: Setup, path: str = SELF, token: str = MONITOR, tls: ssl.SSLContext | None = None) -> Any:
    """What an agent answers: JSON where all is well, else the status."""
    reader, writer = await asyncio.open_connection(setup.host, setup.http, ssl=tls)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: demo\r\nX-Nomad-Token: {token}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answered = int((await reader.readline()).split()[1])
        _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return json.loads(body) if answered == 200 else answered
    finally:
        writer.close()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Waits for the end of a connection on which nothing was said."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def test_a_server_that_is_added_is_served_joins_and_is_to_be_watched() -> None:
    async def story(theatre: Theatre) -> None:
        more = one_more(theatre.stage.setups, "global")
        await theatre.stage.add(more)
        assert (await ask(more))["stats"]["nomad"]["server"] == "true"
        assert theatre.watched == [[S1, S2, "s3.global", "c1", S4]]
        assert theatre.stage.setups[-1] == theatre.stage.watched[-1] == more

        await theatre.later(1.0)
        assert status(theatre.cluster, S1, S4) == "alive"
        await theatre.later(25.0)
        assert suffrage(theatre.cluster, leader(theatre.cluster), S4) == VOTER

    staged(story)


def test_a_server_whose_port_is_taken_is_not_added() -> None:
    async def story(theatre: Theatre) -> None:
        more = one_more(theatre.stage.setups, "global")
        with listen(Listen(more.host, more.http)), pytest.raises(CannotListen):
            await theatre.stage.add(more)

        assert S4 not in theatre.cluster.world.agents
        assert more not in theatre.stage.setups
        assert not theatre.watched

    staged(story)


def test_an_agent_that_is_removed_is_dead_and_not_to_be_watched_and_its_name_is_not_given_again() -> None:
    async def story(theatre: Theatre) -> None:
        gone = theatre.setup("s3.global")
        await theatre.stage.remove("s3.global")
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(gone)

        assert theatre.watched == [[S1, S2, "c1"]]
        assert theatre.stage.watched == tuple(map(theatre.setup, (S1, S2, "c1")))
        assert theatre.cluster.world.agents["s3.global"].state is State.DEAD
        assert one_more(theatre.stage.setups, "global").name == "s4"

    staged(story)


def test_where_nobody_wants_to_hear_it_agents_come_and_go_all_the_same() -> None:
    async def story() -> None:
        placed = setups(with_ports(Options(servers=1, clients=0, port=0)), None)
        stage = Stage(Face(Cluster(placed, Timing(), 1, 0.0)), lambda: 0.0)
        await stage.turn()
        await stage.add(one_more(stage.setups, "global"))
        await stage.remove(S2)
        assert stage.watched == tuple(placed)
        await stage.end()

    asyncio.run(story())


def test_an_agent_is_restarted_in_another_version_and_then_as_it_was_at_first() -> None:
    async def version(theatre: Theatre, name: str) -> str:
        return str((await ask(theatre.setup(name)))["config"]["Version"]["Version"])

    async def story(theatre: Theatre) -> None:
        name = followers(theatre.cluster)[0]
        first = theatre.setup(name)
        await theatre.stage.restart(name, version=VERSIONS["1.10"])
        assert await version(theatre, name) == "1.10.5"
        assert await version(theatre, leader(theatre.cluster)) == "2.0.5"
        await theatre.later(2.0)
        assert status(theatre.cluster, leader(theatre.cluster), name) == "alive"

        await theatre.stage.restart(name)
        assert await version(theatre, name) == "2.0.5"
        assert theatre.setup(name) == first
        assert not theatre.watched

    staged(story)


def test_a_restart_cuts_every_connection_and_starts_what_was_dead() -> None:
    async def story(theatre: Theatre) -> None:
        reader, writer = await asyncio.open_connection(theatre.setup(S1).host, theatre.setup(S1).http)
        await theatre.stage.restart(S1)
        assert await is_cut(reader)
        writer.close()
        theatre.cluster.kill("c1")
        await theatre.stage.turn()
        await theatre.stage.restart("c1")
        assert (await ask(theatre.setup("c1")))["stats"]["client"]["node_id"] == theatre.setup("c1").id

    staged(story)


def test_a_server_is_restarted_without_the_key_of_gossip() -> None:
    async def encrypted(theatre: Theatre, name: str) -> str:
        return str((await ask(theatre.setup(name)))["stats"]["serf"]["encrypted"])

    async def story(theatre: Theatre) -> None:
        name = followers(theatre.cluster)[0]
        assert await encrypted(theatre, name) == "true"
        await theatre.stage.restart(name, encrypted=False)
        assert await encrypted(theatre, name) == "false"
        await theatre.stage.restart(name)
        assert await encrypted(theatre, name) == "true"

    staged(story)


def test_a_token_is_unknown_while_it_is_revoked_and_the_others_are_not() -> None:
    async def story(theatre: Theatre) -> None:
        server = theatre.setup(S1)
        theatre.stage.revoke("monitoring")
        assert [await ask(server), (await ask(server, token=MANAGER))["member"]["Name"]] == [403, S1]
        theatre.stage.restore("monitoring")
        assert (await ask(server))["member"]["Name"] == S1
        assert await ask(server, token=STRANGER) == 403
        with pytest.raises(LookupError):
            theatre.stage.revoke("nobody's")
        with pytest.raises(LookupError):
            theatre.stage.restore("nobody's")

    staged(story, acl=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("tls"), ["127.0.0.1"], ["global"], datetime.now(UTC))


def test_a_certificate_expires_at_one_agent_alone_which_goes_on_and_is_renewed(files: Files) -> None:
    tls = ssl.create_default_context(cafile=files.ca_file)

    async def story(theatre: Theatre) -> None:
        before = theatre.cluster.world.agents[S1]
        reader, writer = await asyncio.open_connection(before.setup.host, before.setup.http, ssl=tls)
        await theatre.stage.expire(S1)
        assert await is_cut(reader)
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
            await ask(before.setup, tls=tls)
        assert (await ask(theatre.setup(S2), tls=tls))["member"]["Name"] == S2
        assert theatre.cluster.world.agents[S1].started == before.started
        assert Path(theatre.setup(S1).tls.cert_file).name == "s1.global-expired.pem"  # type: ignore[union-attr]  # it has one

        await theatre.stage.renew(S1)
        assert (await ask(before.setup, tls=tls))["member"]["Name"] == S1
        assert theatre.setup(S1) == before.setup

    staged(story, files)


def test_a_certificate_can_expire_while_the_clock_is_turned(files: Files) -> None:
    tls = ssl.create_default_context(cafile=files.ca_file)

    async def story(theatre: Theatre) -> None:
        turns = [theatre.stage.turn() for _ in range(3)]
        await asyncio.gather(turns[0], theatre.stage.expire(S1), turns[1], theatre.stage.renew(S1), turns[2])
        assert (await ask(theatre.setup(S1), tls=tls))["member"]["Name"] == S1

    staged(story, files)


def test_a_dead_agent_whose_certificate_expires_stays_dead(files: Files) -> None:
    async def story(theatre: Theatre) -> None:
        theatre.cluster.kill("c1")
        await theatre.stage.turn()
        await theatre.stage.expire("c1")
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(theatre.setup("c1"))

    staged(story, files)


def test_an_agent_without_tls_has_no_certificate_to_expire() -> None:
    async def story(theatre: Theatre) -> None:
        for deed in (theatre.stage.expire, theatre.stage.renew):
            with pytest.raises(LookupError, match=r"s1\.global serves no HTTPS"):
                await deed(S1)

    staged(story)
