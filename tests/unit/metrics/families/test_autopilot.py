"""What the leader thinks of all servers, and of each."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.health import AUTOPILOT
from nomad_exporter.nomad.models import Autopilot, AutopilotServer
from tests.unit.metrics.showing import shown

ONE_IS_DEAD = Autopilot(
    healthy=False,
    failure_tolerance=0,
    servers=(
        AutopilotServer("id1", "s1.eu", "10.0.0.1:4647", healthy=True, voter=True),
        AutopilotServer("id2", "s2.eu", "10.0.0.2:4647", healthy=False, voter=True),
    ),
)


@pytest.mark.parametrize(("healthy", "number"), [(True, 1), (False, 0)], ids=["all well", "not all well"])
def test_the_leader_finds_all_servers_healthy_or_not(healthy: bool, number: int) -> None:
    lines = shown(AUTOPILOT, Autopilot(healthy), "nomad_agent_autopilot_healthy")

    assert lines == [f"nomad_agent_autopilot_healthy {number}"]


def test_a_tolerance_of_none_is_told() -> None:
    lines = shown(AUTOPILOT, ONE_IS_DEAD, "nomad_agent_autopilot_failure_tolerance")

    assert lines == ["nomad_agent_autopilot_failure_tolerance 0"]


def test_a_tolerance_that_was_not_told_is_absent() -> None:
    assert shown(AUTOPILOT, Autopilot(healthy=True), "nomad_agent_autopilot_failure_tolerance") == []


def test_each_server_is_healthy_or_not() -> None:
    assert shown(AUTOPILOT, ONE_IS_DEAD, "nomad_agent_autopilot_server_healthy") == [
        'nomad_agent_autopilot_server_healthy{member="s1.eu",address="10.0.0.1:4647"} 1',
        'nomad_agent_autopilot_server_healthy{member="s2.eu",address="10.0.0.2:4647"} 0',
    ]
