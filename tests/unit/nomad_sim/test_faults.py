"""What can be done to the agents, and what not."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nomad_exporter.demo import certificates
from nomad_exporter.demo.deeds import DEEDS, Refused, do, do_to_all, possible
from nomad_exporter.demo.model.agents import State
from tests.support.stages import Theatre, staged

S1, C1 = "s1.global", "c1"


@pytest.mark.parametrize(
    ("prepared", "deed", "words"),
    [
        ([], "start", "c1 is running"),
        ([], "thaw", "c1 is running"),
        (["kill"], "kill", "c1 is dead"),
        (["kill"], "freeze", "c1 is dead"),
        (["freeze"], "freeze", "c1 is frozen"),
        ([], "leave", "c1 is a client, and only a server can leave"),
        ([], "decrypt", "c1 is a client, and only a server can decrypt"),
        ([], "expire", "c1 serves no HTTPS"),
    ],
)
def test_what_makes_no_sense_now_is_refused_in_a_sentence(prepared: list[str], deed: str, words: str) -> None:
    async def story(theatre: Theatre) -> None:
        for before in prepared:
            await do(theatre.stage, C1, before)
        state = theatre.cluster.world.agents[C1].state
        with pytest.raises(Refused, match=f"^{words}$"):
            await do(theatre.stage, C1, deed)

        assert theatre.cluster.world.agents[C1].state is state
        assert deed not in possible(theatre.cluster.world.agents[C1])

    staged(story)


def test_every_deed_can_be_done_to_some_server_that_serves_https(tmp_path: Path) -> None:
    files = certificates.make(tmp_path, ["127.0.0.1"], ["global"], datetime.now(UTC))
    order = ["cut", "heal", "freeze", "thaw", "kill", "start", "expire", "renew", "downgrade", "decrypt", "restart"]

    async def story(theatre: Theatre) -> None:
        for deed in (*order, "leave"):
            assert deed in possible(theatre.cluster.world.agents[S1])
            await do(theatre.stage, S1, deed)
            await theatre.later(1.0)
        await theatre.later(5.0)

        assert theatre.cluster.world.agents[S1].state is State.DEAD
        await do(theatre.stage, S1, "remove")
        assert S1 not in theatre.player.agents

    assert {*order, "leave", "remove"} == DEEDS.keys()
    staged(story, files, tls=True)


def test_a_downgrade_and_a_lost_key_are_undone_by_a_restart() -> None:
    async def story(theatre: Theatre) -> None:
        first = theatre.cluster.world.agents[S1].setup
        await do(theatre.stage, S1, "downgrade")
        assert theatre.cluster.world.agents[S1].setup.version.series == "1.10"
        await do(theatre.stage, S1, "decrypt")
        assert not theatre.cluster.world.agents[S1].setup.encrypted
        await theatre.later(0.0)
        await do(theatre.stage, S1, "restart")
        assert theatre.cluster.world.agents[S1].setup == first

    staged(story)


def test_an_agent_whose_port_was_taken_stays_dead_and_that_is_told() -> None:
    async def story(theatre: Theatre) -> None:
        await do(theatre.stage, C1, "kill")
        setup = theatre.cluster.world.agents[C1].setup
        with socket.create_server((setup.host, setup.http)), pytest.raises(Refused, match="Address already in use"):
            await do(theatre.stage, C1, "start")

        assert theatre.cluster.world.agents[C1].state is State.DEAD
        await do(theatre.stage, C1, "start")

    staged(story)


def knows(theatre: Theatre) -> bool:
    return theatre.face.acl.may(next(iter(theatre.face.acl.tokens)), "agent:read")


def test_the_token_of_the_exporter_is_revoked_and_restored() -> None:
    async def story(theatre: Theatre) -> None:
        do_to_all(theatre.stage, "revoke")
        assert not knows(theatre)
        do_to_all(theatre.stage, "restore")
        assert knows(theatre)

    staged(story, acl=True)


def test_without_access_control_there_is_no_token_to_revoke() -> None:
    async def story(theatre: Theatre) -> None:
        with pytest.raises(Refused, match=r"^the cluster has no access control$"):
            do_to_all(theatre.stage, "revoke")

    staged(story)
