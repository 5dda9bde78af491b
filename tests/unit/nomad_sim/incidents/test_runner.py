"""Incidents on the stage: one at a time, step after step, and only where all was well."""

from __future__ import annotations

import asyncio
import socket

import pytest

from nomad_sim.faults import ConflictError, inject
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.incidents.scenario import Action, Incident, Role, Step
from nomad_sim.layout import new_server_setup
from nomad_sim.model.agents import State
from tests.support.sim_harness import SimHarness, run_with_harness

KILLED = INCIDENTS["leader-killed"]
REPLACED = INCIDENTS["server-replaced"]


def state(harness: SimHarness, role: Role) -> State:
    course = harness.runner.progress
    assert course
    return harness.cluster.world.agents[course.role_map[role].name].state


def test_a_scene_does_what_it_says_to_whom_plays_the_role_and_tells_it() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(KILLED, 1)

        assert state(harness, Role.LEADER) is State.DEAD
        assert harness.output[0].startswith("leader-killed, step 1 of 3:\nThe leader is killed;")
        assert "\n  kill s" in harness.output[0]

    run_with_harness(scenario)


def test_a_role_is_kept_until_the_end_though_another_server_leads() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(KILLED, 1)
        cast = harness.runner.progress and harness.runner.progress.role_map
        await harness.later(60.0)
        await harness.runner.run_step(KILLED, 2)
        await harness.runner.run_step(KILLED, 3)

        assert harness.runner.progress
        assert harness.runner.progress.role_map == cast
        assert harness.runner.progress.is_over
        assert state(harness, Role.LEADER) is State.RUNNING

    run_with_harness(scenario)


def test_a_scene_comes_only_after_the_one_before_it_of_the_same_incident() -> None:
    async def scenario(harness: SimHarness) -> None:
        for number in (2, 3):
            with pytest.raises(ConflictError, match=f"leader-killed has not come to its step {number}"):
                await harness.runner.run_step(KILLED, number)
        await harness.runner.run_step(KILLED, 1)
        with pytest.raises(ConflictError, match="leader-killed has not come to its step 3"):
            await harness.runner.run_step(KILLED, 3)
        with pytest.raises(ConflictError, match="quorum-lost has not come to its step 2"):
            await harness.runner.run_step(INCIDENTS["quorum-lost"], 2)

    run_with_harness(scenario)


def test_an_incident_begins_only_where_all_is_well() -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.cluster.kill("c1")
        with pytest.raises(ConflictError, match=r"first all must be well again: c1 does not run"):
            await harness.runner.run_step(KILLED, 1)
        harness.cluster.start("c1")
        harness.cluster.partition("c1", ["s1.global"])
        with pytest.raises(ConflictError, match="first all must be well again: some are partitioned"):
            harness.runner.start(KILLED)
        harness.cluster.heal("c1")
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_an_incident_begins_only_where_every_agent_is_set_up_as_at_first() -> None:
    async def scenario(harness: SimHarness) -> None:
        await inject(harness.server, "s2.global", "disable-gossip-encryption")
        await harness.later(5.0)
        with pytest.raises(ConflictError, match=r"first all must be well again: s2.global is not set up as at first"):
            await harness.runner.run_step(KILLED, 1)
        await inject(harness.server, "s2.global", "restart")
        await harness.later(5.0)
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_an_incident_begins_only_where_no_token_is_revoked() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(INCIDENTS["token-revoked"], 1)
        with pytest.raises(ConflictError, match="first all must be well again: a token is revoked"):
            await harness.runner.run_step(KILLED, 1)
        await harness.runner.run_step(INCIDENTS["token-revoked"], 2)
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario, acl=True)


def test_an_incident_waits_for_a_leader() -> None:
    async def scenario(harness: SimHarness) -> None:
        for name in ("s1.global", "s2.global", "s3.global"):
            harness.cluster.kill(name)
            harness.cluster.start(name)
        with pytest.raises(ConflictError, match="first there must be a leader"):
            await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_an_incident_that_needs_another_cluster_is_refused() -> None:
    async def scenario(harness: SimHarness) -> None:
        with pytest.raises(ConflictError, match=r"token-revoked needs access control \(--acl\)"):
            harness.runner.start(INCIDENTS["token-revoked"])

    run_with_harness(scenario)


async def over(harness: SimHarness) -> None:
    while harness.runner.is_running:
        await asyncio.sleep(0)


def test_a_whole_incident_goes_on_by_itself_and_says_when_it_is_over() -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.runner.start(KILLED)

        assert harness.runner.is_running
        await over(harness)
        assert [part.partition(":")[0] for part in harness.output] == [
            "leader-killed, step 1 of 3",
            "leader-killed, step 2 of 3",
            "leader-killed, step 3 of 3",
            "leader-killed is over.",
        ]
        assert harness.runner.progress
        assert harness.runner.progress.title(is_running=False) == "leader-killed is over; this was its end"
        assert harness.runner.progress.title(is_running=True) == "leader-killed, step 3 of 3"

    run_with_harness(scenario)


def test_while_one_plays_no_other_begins_and_its_end_can_be_had_at_once() -> None:
    async def scenario(harness: SimHarness) -> None:
        player = IncidentRunner(harness.server, harness.api, 1.0, harness.output.append)
        player.start(KILLED, after=60.0)
        for number in (1, 2):
            with pytest.raises(ConflictError, match="leader-killed is being played"):
                await player.run_step(INCIDENTS["quorum-lost"], number)
        with pytest.raises(ConflictError, match="leader-killed is being played"):
            player.start(KILLED)
        await player.stop()

        assert not player.is_running
        assert not harness.output

    run_with_harness(scenario)


def test_two_scenes_are_not_played_at_the_same_time() -> None:
    async def scenario(harness: SimHarness) -> None:
        first = asyncio.create_task(harness.runner.run_step(KILLED, 1))
        await asyncio.sleep(0)
        with pytest.raises(ConflictError, match="a step is being played"):
            await harness.runner.run_step(KILLED, 1)
        await first

    run_with_harness(scenario)


def test_what_cannot_be_done_ends_the_play_and_that_is_told() -> None:
    invalid = Incident("wrong", "It cannot be.", (Step("Who runs starts.", (Action("start", (Role.CLIENT,)),)),))

    async def scenario(harness: SimHarness) -> None:
        harness.runner.start(invalid)
        await over(harness)

        assert harness.output == ["wrong cannot go on: c1 is running."]

    run_with_harness(scenario)


def test_a_newcomer_is_added_knows_nobody_and_joins_whom_it_is_told() -> None:
    async def scenario(harness: SimHarness) -> None:
        for number in (1, 2, 3, 4):
            await harness.runner.run_step(REPLACED, number)
        course = harness.runner.progress
        assert course
        newcomer, leader = course.role_map[Role.NEWCOMER].name, course.role_map[Role.LEADER].name

        assert newcomer == "s4.global"
        assert not harness.cluster.world.agents[newcomer].setup.retry_join
        assert newcomer in harness.cluster.world.server(leader).gossip.members
        assert newcomer in harness.runner.agents
        assert course.role_map[Role.FOLLOWER].name not in harness.runner.agents

    run_with_harness(scenario)


def test_the_play_goes_on_where_nobody_listens() -> None:
    def deaf(_: str) -> None:
        raise BrokenPipeError

    async def scenario(harness: SimHarness) -> None:
        player = IncidentRunner(harness.server, harness.api, 1.0, deaf)
        await player.run_step(KILLED, 1)

        assert player.progress
        assert player.progress.position == "leader-killed, step 1 of 3"

    run_with_harness(scenario)


def test_a_newcomer_whose_port_is_taken_is_not_added_and_that_is_told() -> None:
    async def scenario(harness: SimHarness) -> None:
        for number in (1, 2, 3):
            await harness.runner.run_step(REPLACED, number)
        setup = new_server_setup(harness.server.setups, "global")
        with (
            socket.create_server((setup.host, setup.http)),
            pytest.raises(ConflictError, match="Address already in use"),
        ):
            await harness.runner.run_step(REPLACED, 4)

        assert setup.full_name not in harness.runner.agents

    run_with_harness(scenario)


def test_what_is_done_to_the_cluster_as_a_whole_is_done_once() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(INCIDENTS["token-revoked"], 1)
        assert harness.api.acl.revoked
        await harness.runner.run_step(INCIDENTS["token-revoked"], 2)
        assert not harness.api.acl.revoked

    run_with_harness(scenario, acl=True)
