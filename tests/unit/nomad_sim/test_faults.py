"""What can be done to the agents, and what not."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nomad_sim import certificates
from nomad_sim.faults import FAULTS, ConflictError, available_faults, inject, inject_cluster_fault
from nomad_sim.model.agents import State
from tests.support.sim_harness import SimHarness, run_with_harness

S1, C1 = "s1.global", "c1"


@pytest.mark.parametrize(
    ("prepared", "action", "fields"),
    [
        ([], "start", "c1 is running"),
        ([], "resume", "c1 is running"),
        (["kill"], "kill", "c1 is dead"),
        (["kill"], "pause", "c1 is dead"),
        (["pause"], "pause", "c1 is paused"),
        ([], "leave", "c1 is a client, and leave is for servers only"),
        ([], "disable-gossip-encryption", "c1 is a client, and disable-gossip-encryption is for servers only"),
        ([], "expire-certificate", "c1 serves no HTTPS"),
    ],
)
def test_what_makes_no_sense_now_is_refused_in_a_sentence(prepared: list[str], action: str, fields: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        for before in prepared:
            await inject(harness.server, C1, before)
        state = harness.cluster.world.agents[C1].state
        with pytest.raises(ConflictError, match=f"^{fields}$"):
            await inject(harness.server, C1, action)

        assert harness.cluster.world.agents[C1].state is state
        assert action not in available_faults(harness.cluster.world.agents[C1])

    run_with_harness(scenario)


def test_every_deed_can_be_done_to_some_server_that_serves_https(tmp_path: Path) -> None:
    files = certificates.make_certificates(tmp_path, ["127.0.0.1"], ["global"], datetime.now(UTC))
    order = [
        "partition",
        "heal",
        "pause",
        "resume",
        "kill",
        "start",
        "expire-certificate",
        "renew-certificate",
        "downgrade",
        "disable-gossip-encryption",
        "restart",
    ]

    async def scenario(harness: SimHarness) -> None:
        for action in (*order, "leave"):
            assert action in available_faults(harness.cluster.world.agents[S1])
            await inject(harness.server, S1, action)
            await harness.later(1.0)
        await harness.later(5.0)

        assert harness.cluster.world.agents[S1].state is State.DEAD
        await inject(harness.server, S1, "remove")
        assert S1 not in harness.runner.agents

    assert {*order, "leave", "remove"} == FAULTS.keys()
    run_with_harness(scenario, files, tls=True)


def test_a_downgrade_and_a_lost_key_are_undone_by_a_restart() -> None:
    async def scenario(harness: SimHarness) -> None:
        first = harness.cluster.world.agents[S1].setup
        await inject(harness.server, S1, "downgrade")
        assert harness.cluster.world.agents[S1].setup.version.series == "1.10"
        await inject(harness.server, S1, "disable-gossip-encryption")
        assert not harness.cluster.world.agents[S1].setup.encrypted
        await harness.later(0.0)
        await inject(harness.server, S1, "restart")
        assert harness.cluster.world.agents[S1].setup == first

    run_with_harness(scenario)


def test_an_agent_whose_port_was_taken_stays_dead_and_that_is_told() -> None:
    async def scenario(harness: SimHarness) -> None:
        await inject(harness.server, C1, "kill")
        setup = harness.cluster.world.agents[C1].setup
        with (
            socket.create_server((setup.host, setup.http)),
            pytest.raises(ConflictError, match="Address already in use"),
        ):
            await inject(harness.server, C1, "start")

        assert harness.cluster.world.agents[C1].state is State.DEAD
        await inject(harness.server, C1, "start")

    run_with_harness(scenario)


def knows(harness: SimHarness) -> bool:
    return harness.api.acl.allows(next(iter(harness.api.acl.tokens)), "agent:read")


def test_the_token_of_the_exporter_is_revoked_and_restored() -> None:
    async def scenario(harness: SimHarness) -> None:
        inject_cluster_fault(harness.server, "revoke")
        assert not knows(harness)
        inject_cluster_fault(harness.server, "restore")
        assert knows(harness)

    run_with_harness(scenario, acl=True)


def test_without_access_control_there_is_no_token_to_revoke() -> None:
    async def scenario(harness: SimHarness) -> None:
        with pytest.raises(ConflictError, match=r"^the cluster has no access control$"):
            inject_cluster_fault(harness.server, "revoke")

    run_with_harness(scenario)
