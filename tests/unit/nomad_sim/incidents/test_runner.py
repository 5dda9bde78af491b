"""The runner of incidents: one at a time, steps in order, from a healthy cluster."""

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
    progress = harness.runner.progress
    assert progress
    return harness.cluster.world.agents[progress.role_map[role].name].state


def test_step_applies_faults_and_is_printed() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(KILLED, 1)

        assert state(harness, Role.LEADER) is State.DEAD
        assert harness.output[0].startswith("leader-killed, step 1 of 3:\nThe leader is killed;")
        assert "\n  kill s" in harness.output[0]

    run_with_harness(scenario)


def test_roles_are_kept_after_an_election() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(KILLED, 1)
        role_map = harness.runner.progress and harness.runner.progress.role_map
        await harness.later(60.0)
        await harness.runner.run_step(KILLED, 2)
        await harness.runner.run_step(KILLED, 3)

        assert harness.runner.progress
        assert harness.runner.progress.role_map == role_map
        assert harness.runner.progress.is_complete
        assert state(harness, Role.LEADER) is State.RUNNING

    run_with_harness(scenario)


def test_steps_run_in_order_only() -> None:
    async def scenario(harness: SimHarness) -> None:
        for number in (2, 3):
            with pytest.raises(ConflictError, match=f"leader-killed cannot run step {number} now"):
                await harness.runner.run_step(KILLED, number)
        await harness.runner.run_step(KILLED, 1)
        with pytest.raises(ConflictError, match="leader-killed cannot run step 3 now"):
            await harness.runner.run_step(KILLED, 3)
        with pytest.raises(ConflictError, match="quorum-lost cannot run step 2 now"):
            await harness.runner.run_step(INCIDENTS["quorum-lost"], 2)

    run_with_harness(scenario)


def test_incident_requires_running_agents_and_no_partition() -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.cluster.kill("c1")
        with pytest.raises(ConflictError, match=r"repair the cluster first \(not running: c1\)"):
            await harness.runner.run_step(KILLED, 1)
        harness.cluster.start("c1")
        harness.cluster.partition("c1", ["s1.global"])
        with pytest.raises(ConflictError, match=r"repair the cluster first \(agents are partitioned\)"):
            harness.runner.start(KILLED)
        harness.cluster.heal("c1")
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_incident_requires_initial_setups() -> None:
    async def scenario(harness: SimHarness) -> None:
        await inject(harness.server, "s2.global", "disable-gossip-encryption")
        await harness.later(5.0)
        with pytest.raises(ConflictError, match=r"repair the cluster first \(changed setup: s2\.global\)"):
            await harness.runner.run_step(KILLED, 1)
        await inject(harness.server, "s2.global", "restart")
        await harness.later(5.0)
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_incident_requires_that_no_token_is_revoked() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(INCIDENTS["token-revoked"], 1)
        with pytest.raises(ConflictError, match=r"repair the cluster first \(a token is revoked\)"):
            await harness.runner.run_step(KILLED, 1)
        await harness.runner.run_step(INCIDENTS["token-revoked"], 2)
        await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario, acl=True)


def test_incident_requires_a_leader() -> None:
    async def scenario(harness: SimHarness) -> None:
        for name in ("s1.global", "s2.global", "s3.global"):
            harness.cluster.kill(name)
            harness.cluster.start(name)
        with pytest.raises(ConflictError, match="no leader; wait for an election"):
            await harness.runner.run_step(KILLED, 1)

    run_with_harness(scenario)


def test_incident_requires_suitable_cluster() -> None:
    async def scenario(harness: SimHarness) -> None:
        with pytest.raises(ConflictError, match=r"token-revoked requires ACLs \(--acl\)"):
            harness.runner.start(INCIDENTS["token-revoked"])

    run_with_harness(scenario)


async def wait_until_complete(harness: SimHarness) -> None:
    while harness.runner.is_running:
        await asyncio.sleep(0)


def test_complete_run_prints_steps_and_end() -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.runner.start(KILLED)

        assert harness.runner.is_running
        await wait_until_complete(harness)
        assert [text.partition(":")[0] for text in harness.output] == [
            "leader-killed, step 1 of 3",
            "leader-killed, step 2 of 3",
            "leader-killed, step 3 of 3",
            "leader-killed is complete.",
        ]
        assert harness.runner.progress
        assert harness.runner.progress.title(is_running=False) == "leader-killed, step 3 of 3, complete"
        assert harness.runner.progress.title(is_running=True) == "leader-killed, step 3 of 3"

    run_with_harness(scenario)


def test_only_one_incident_runs_until_it_is_stopped() -> None:
    async def scenario(harness: SimHarness) -> None:
        runner = IncidentRunner(harness.server, harness.api, 1.0, harness.output.append)
        runner.start(KILLED, after=60.0)
        for number in (1, 2):
            with pytest.raises(ConflictError, match="leader-killed is running"):
                await runner.run_step(INCIDENTS["quorum-lost"], number)
        with pytest.raises(ConflictError, match="leader-killed is running"):
            runner.start(KILLED)
        await runner.stop()

        assert not runner.is_running
        assert not harness.output

    run_with_harness(scenario)


def test_only_one_step_runs_at_a_time() -> None:
    async def scenario(harness: SimHarness) -> None:
        first = asyncio.create_task(harness.runner.run_step(KILLED, 1))
        await asyncio.sleep(0)
        with pytest.raises(ConflictError, match="a step is running"):
            await harness.runner.run_step(KILLED, 1)
        await first

    run_with_harness(scenario)


def test_refused_action_stops_run() -> None:
    invalid = Incident("wrong", "A test.", (Step("A running client starts.", (Action("start", (Role.CLIENT,)),)),))

    async def scenario(harness: SimHarness) -> None:
        harness.runner.start(invalid)
        await wait_until_complete(harness)

        assert harness.output == ["wrong stopped: c1 is running."]

    run_with_harness(scenario)


def test_new_server_joins_by_api_call() -> None:
    async def scenario(harness: SimHarness) -> None:
        for number in (1, 2, 3, 4):
            await harness.runner.run_step(REPLACED, number)
        progress = harness.runner.progress
        assert progress
        new_server, leader = progress.role_map[Role.NEW_SERVER].name, progress.role_map[Role.LEADER].name

        assert new_server == "s4.global"
        assert not harness.cluster.world.agents[new_server].setup.retry_join
        assert new_server in harness.cluster.world.server(leader).gossip.members
        assert new_server in harness.runner.agents
        assert progress.role_map[Role.FOLLOWER].name not in harness.runner.agents

    run_with_harness(scenario)


def test_closed_output_does_not_stop_run() -> None:
    def closed_output(_: str) -> None:
        raise BrokenPipeError

    async def scenario(harness: SimHarness) -> None:
        runner = IncidentRunner(harness.server, harness.api, 1.0, closed_output)
        await runner.run_step(KILLED, 1)

        assert runner.progress
        assert runner.progress.position == "leader-killed, step 1 of 3"

    run_with_harness(scenario)


def test_new_server_is_refused_if_port_is_in_use() -> None:
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


def test_cluster_faults_are_applied_once() -> None:
    async def scenario(harness: SimHarness) -> None:
        await harness.runner.run_step(INCIDENTS["token-revoked"], 1)
        assert harness.api.acl.revoked
        await harness.runner.run_step(INCIDENTS["token-revoked"], 2)
        assert not harness.api.acl.revoked

    run_with_harness(scenario, acl=True)
