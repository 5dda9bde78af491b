"""Requests to simulated agents without a socket."""

from __future__ import annotations

import asyncio

import pytest

from nomad_sim.faults import ConflictError
from nomad_sim.incidents.api_client import call_api
from tests.support.sim_harness import SimHarness, run_with_harness

S1, S2 = "s1.global", "s2.global"


def test_request_changes_the_cluster() -> None:
    async def scenario(harness: SimHarness) -> None:
        harness.cluster.kill(S2)
        await harness.later(60.0)
        await call_api(harness.api, S1, "PUT", f"/v1/agent/force-leave?node={S2}")

        assert harness.cluster.world.server(S1).gossip.members[S2].status == "left"

    run_with_harness(scenario)


def test_request_has_a_token_if_acls_are_enabled() -> None:
    async def scenario(harness: SimHarness) -> None:
        await call_api(harness.api, S1, "PUT", f"/v1/agent/force-leave?node={S2}")

    run_with_harness(scenario, acl=True)


def test_error_response_raises_message_of_agent() -> None:
    async def scenario(harness: SimHarness) -> None:
        with pytest.raises(
            ConflictError, match=r"^s1.global returned 400 for PUT /v1/agent/join: missing address to join$"
        ):
            await call_api(harness.api, S1, "PUT", "/v1/agent/join")

    run_with_harness(scenario)


def test_pending_response_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(harness: SimHarness) -> None:
        waited = []

        async def pause(seconds: float) -> None:
            waited.append(seconds)
            harness.cluster.resume(S1)

        monkeypatch.setattr(asyncio, "sleep", pause)
        harness.cluster.pause(S1)
        await call_api(harness.api, S1, "GET", "/v1/agent/members")

        assert waited

    run_with_harness(scenario)
