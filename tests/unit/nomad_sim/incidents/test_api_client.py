"""Questions to the agents from within."""

from __future__ import annotations

import asyncio

import pytest

from nomad_exporter.demo.deeds import Refused
from nomad_exporter.demo.incidents.asking import ask
from tests.support.stages import Theatre, staged

S1, S2 = "s1.global", "s2.global"


def test_what_is_asked_is_done() -> None:
    async def story(theatre: Theatre) -> None:
        theatre.cluster.kill(S2)
        await theatre.later(60.0)
        await ask(theatre.face, S1, "PUT", f"/v1/agent/force-leave?node={S2}")

        assert theatre.cluster.world.server(S1).gossip.members[S2].status == "left"

    staged(story)


def test_behind_access_control_a_token_is_shown_that_may() -> None:
    async def story(theatre: Theatre) -> None:
        await ask(theatre.face, S1, "PUT", f"/v1/agent/force-leave?node={S2}")

    staged(story, acl=True)


def test_an_agent_that_refuses_is_told_in_its_own_words() -> None:
    async def story(theatre: Theatre) -> None:
        with pytest.raises(Refused, match=r"^s1.global answers 400 to PUT /v1/agent/join: missing address to join$"):
            await ask(theatre.face, S1, "PUT", "/v1/agent/join")

    staged(story)


def test_an_answer_that_is_held_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(theatre: Theatre) -> None:
        waited = []

        async def pause(seconds: float) -> None:
            waited.append(seconds)
            theatre.cluster.thaw(S1)

        monkeypatch.setattr(asyncio, "sleep", pause)
        theatre.cluster.freeze(S1)
        await ask(theatre.face, S1, "GET", "/v1/agent/members")

        assert waited

    staged(story)
