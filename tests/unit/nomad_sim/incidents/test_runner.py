"""Incidents on the stage: one at a time, scene after scene, and only where all was well."""

from __future__ import annotations

import asyncio
import socket

import pytest

from nomad_exporter.demo.deeds import Refused, do
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.player import Player
from nomad_exporter.demo.incidents.story import Deed, Incident, Role, Scene
from nomad_exporter.demo.layout import one_more
from nomad_exporter.demo.model.agents import State
from tests.support.stages import Theatre, staged

KILLED = INCIDENTS["leader-killed"]
REPLACED = INCIDENTS["server-replaced"]


def state(theatre: Theatre, role: Role) -> State:
    course = theatre.player.course
    assert course
    return theatre.cluster.world.agents[course.cast[role].name].state


def test_a_scene_does_what_it_says_to_whom_plays_the_role_and_tells_it() -> None:
    async def story(theatre: Theatre) -> None:
        await theatre.player.play_scene(KILLED, 1)

        assert state(theatre, Role.LEADER) is State.DEAD
        assert theatre.told[0].startswith("leader-killed, scene 1 of 3:\nThe leader is killed;")
        assert "\n  kill s" in theatre.told[0]

    staged(story)


def test_a_role_is_kept_until_the_end_though_another_server_leads() -> None:
    async def story(theatre: Theatre) -> None:
        await theatre.player.play_scene(KILLED, 1)
        cast = theatre.player.course and theatre.player.course.cast
        await theatre.later(60.0)
        await theatre.player.play_scene(KILLED, 2)
        await theatre.player.play_scene(KILLED, 3)

        assert theatre.player.course
        assert theatre.player.course.cast == cast
        assert theatre.player.course.over
        assert state(theatre, Role.LEADER) is State.RUNNING

    staged(story)


def test_a_scene_comes_only_after_the_one_before_it_of_the_same_incident() -> None:
    async def story(theatre: Theatre) -> None:
        for number in (2, 3):
            with pytest.raises(Refused, match=f"leader-killed has not come to its scene {number}"):
                await theatre.player.play_scene(KILLED, number)
        await theatre.player.play_scene(KILLED, 1)
        with pytest.raises(Refused, match="leader-killed has not come to its scene 3"):
            await theatre.player.play_scene(KILLED, 3)
        with pytest.raises(Refused, match="quorum-lost has not come to its scene 2"):
            await theatre.player.play_scene(INCIDENTS["quorum-lost"], 2)

    staged(story)


def test_an_incident_begins_only_where_all_is_well() -> None:
    async def story(theatre: Theatre) -> None:
        theatre.cluster.kill("c1")
        with pytest.raises(Refused, match=r"first all must be well again: c1 does not run"):
            await theatre.player.play_scene(KILLED, 1)
        theatre.cluster.start("c1")
        theatre.cluster.cut("c1", ["s1.global"])
        with pytest.raises(Refused, match="first all must be well again: some are cut off"):
            theatre.player.play(KILLED)
        theatre.cluster.heal("c1")
        await theatre.player.play_scene(KILLED, 1)

    staged(story)


def test_an_incident_begins_only_where_every_agent_is_set_up_as_at_first() -> None:
    async def story(theatre: Theatre) -> None:
        await do(theatre.stage, "s2.global", "decrypt")
        await theatre.later(5.0)
        with pytest.raises(Refused, match=r"first all must be well again: s2.global is not set up as at first"):
            await theatre.player.play_scene(KILLED, 1)
        await do(theatre.stage, "s2.global", "restart")
        await theatre.later(5.0)
        await theatre.player.play_scene(KILLED, 1)

    staged(story)


def test_an_incident_begins_only_where_no_token_is_revoked() -> None:
    async def story(theatre: Theatre) -> None:
        await theatre.player.play_scene(INCIDENTS["token-revoked"], 1)
        with pytest.raises(Refused, match="first all must be well again: a token is revoked"):
            await theatre.player.play_scene(KILLED, 1)
        await theatre.player.play_scene(INCIDENTS["token-revoked"], 2)
        await theatre.player.play_scene(KILLED, 1)

    staged(story, acl=True)


def test_an_incident_waits_for_a_leader() -> None:
    async def story(theatre: Theatre) -> None:
        for name in ("s1.global", "s2.global", "s3.global"):
            theatre.cluster.kill(name)
            theatre.cluster.start(name)
        with pytest.raises(Refused, match="first there must be a leader"):
            await theatre.player.play_scene(KILLED, 1)

    staged(story)


def test_an_incident_that_needs_another_cluster_is_refused() -> None:
    async def story(theatre: Theatre) -> None:
        with pytest.raises(Refused, match=r"token-revoked needs access control \(--acl\)"):
            theatre.player.play(INCIDENTS["token-revoked"])

    staged(story)


async def over(theatre: Theatre) -> None:
    while theatre.player.plays:
        await asyncio.sleep(0)


def test_a_whole_incident_goes_on_by_itself_and_says_when_it_is_over() -> None:
    async def story(theatre: Theatre) -> None:
        theatre.player.play(KILLED)

        assert theatre.player.plays
        await over(theatre)
        assert [part.partition(":")[0] for part in theatre.told] == [
            "leader-killed, scene 1 of 3",
            "leader-killed, scene 2 of 3",
            "leader-killed, scene 3 of 3",
            "leader-killed is over.",
        ]
        assert theatre.player.course
        assert theatre.player.course.title(plays=False) == "leader-killed is over; this was its end"
        assert theatre.player.course.title(plays=True) == "leader-killed, scene 3 of 3"

    staged(story)


def test_while_one_plays_no_other_begins_and_its_end_can_be_had_at_once() -> None:
    async def story(theatre: Theatre) -> None:
        player = Player(theatre.stage, theatre.face, 1.0, theatre.told.append)
        player.play(KILLED, after=60.0)
        for number in (1, 2):
            with pytest.raises(Refused, match="leader-killed is being played"):
                await player.play_scene(INCIDENTS["quorum-lost"], number)
        with pytest.raises(Refused, match="leader-killed is being played"):
            player.play(KILLED)
        await player.end()

        assert not player.plays
        assert not theatre.told

    staged(story)


def test_two_scenes_are_not_played_at_the_same_time() -> None:
    async def story(theatre: Theatre) -> None:
        first = asyncio.create_task(theatre.player.play_scene(KILLED, 1))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="a scene is being played"):
            await theatre.player.play_scene(KILLED, 1)
        await first

    staged(story)


def test_what_cannot_be_done_ends_the_play_and_that_is_told() -> None:
    wrong = Incident("wrong", "It cannot be.", (Scene("Who runs starts.", (Deed("start", (Role.CLIENT,)),)),))

    async def story(theatre: Theatre) -> None:
        theatre.player.play(wrong)
        await over(theatre)

        assert theatre.told == ["wrong cannot go on: c1 is running."]

    staged(story)


def test_a_newcomer_is_added_knows_nobody_and_joins_whom_it_is_told() -> None:
    async def story(theatre: Theatre) -> None:
        for number in (1, 2, 3, 4):
            await theatre.player.play_scene(REPLACED, number)
        course = theatre.player.course
        assert course
        newcomer, leader = course.cast[Role.NEWCOMER].name, course.cast[Role.LEADER].name

        assert newcomer == "s4.global"
        assert not theatre.cluster.world.agents[newcomer].setup.retry_join
        assert newcomer in theatre.cluster.world.server(leader).gossip.members
        assert newcomer in theatre.player.agents
        assert course.cast[Role.FOLLOWER].name not in theatre.player.agents

    staged(story)


def test_the_play_goes_on_where_nobody_listens() -> None:
    def deaf(_: str) -> None:
        raise BrokenPipeError

    async def story(theatre: Theatre) -> None:
        player = Player(theatre.stage, theatre.face, 1.0, deaf)
        await player.play_scene(KILLED, 1)

        assert player.course
        assert player.course.place == "leader-killed, scene 1 of 3"

    staged(story)


def test_a_newcomer_whose_port_is_taken_is_not_added_and_that_is_told() -> None:
    async def story(theatre: Theatre) -> None:
        for number in (1, 2, 3):
            await theatre.player.play_scene(REPLACED, number)
        setup = one_more(theatre.stage.setups, "global")
        with socket.create_server((setup.host, setup.http)), pytest.raises(Refused, match="Address already in use"):
            await theatre.player.play_scene(REPLACED, 4)

        assert setup.full_name not in theatre.player.agents

    staged(story)


def test_what_is_done_to_the_cluster_as_a_whole_is_done_once() -> None:
    async def story(theatre: Theatre) -> None:
        await theatre.player.play_scene(INCIDENTS["token-revoked"], 1)
        assert theatre.face.acl.revoked
        await theatre.player.play_scene(INCIDENTS["token-revoked"], 2)
        assert not theatre.face.acl.revoked

    staged(story, acl=True)
