"""Faults, their repairs, and the states that exclude them."""

from __future__ import annotations

import re
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
    ("prepared", "fault", "message"),
    [
        ([], "start", "c1 is running"),
        ([], "resume", "c1 is running"),
        (["kill"], "kill", "c1 is dead"),
        (["kill"], "pause", "c1 is dead"),
        (["pause"], "pause", "c1 is paused"),
        ([], "leave", "leave requires a server (c1 is a client)"),
        ([], "disable-gossip-encryption", "disable-gossip-encryption requires a server (c1 is a client)"),
        ([], "expire-certificate", "expire-certificate requires TLS (--tls)"),
    ],
)
def test_fault_is_refused_in_wrong_state(prepared: list[str], fault: str, message: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        for before in prepared:
            await inject(harness.server, C1, before)
        state = harness.cluster.world.agents[C1].state
        with pytest.raises(ConflictError, match=f"^{re.escape(message)}$"):
            await inject(harness.server, C1, fault)

        assert harness.cluster.world.agents[C1].state is state
        assert fault not in available_faults(harness.cluster.world.agents[C1])

    run_with_harness(scenario)


def test_every_fault_can_be_applied_to_a_tls_server(tmp_path: Path) -> None:
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
        for fault in (*order, "leave"):
            assert fault in available_faults(harness.cluster.world.agents[S1])
            await inject(harness.server, S1, fault)
            await harness.later(1.0)
        await harness.later(5.0)

        assert harness.cluster.world.agents[S1].state is State.DEAD
        await inject(harness.server, S1, "remove")
        assert S1 not in harness.runner.agents

    assert {*order, "leave", "remove"} == FAULTS.keys()
    run_with_harness(scenario, files, tls=True)


def test_restart_undoes_downgrade_and_missing_key() -> None:
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


def test_agent_does_not_start_if_port_is_in_use() -> None:
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


def knows_token(harness: SimHarness) -> bool:
    return harness.api.acl.allows(next(iter(harness.api.acl.tokens)), "agent:read")


def test_exporter_token_is_revoked_and_restored() -> None:
    async def scenario(harness: SimHarness) -> None:
        inject_cluster_fault(harness.server, "revoke-token")
        assert not knows_token(harness)
        inject_cluster_fault(harness.server, "restore-token")
        assert knows_token(harness)

    run_with_harness(scenario, acl=True)


def test_token_faults_require_acls() -> None:
    async def scenario(harness: SimHarness) -> None:
        with pytest.raises(ConflictError, match=r"^revoke-token requires ACLs \(--acl\)$"):
            inject_cluster_fault(harness.server, "revoke-token")

    run_with_harness(scenario)
