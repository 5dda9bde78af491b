"""Families of autopilot: the health of the region and of each server."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.autopilot import FAMILIES
from nomad_exporter.nomad.models import Autopilot, AutopilotServer
from tests.unit.metrics.rendering import render_lines

ONE_UNHEALTHY = Autopilot(
    healthy=False,
    failure_tolerance=0,
    servers=(
        AutopilotServer("id1", "s1.eu", "10.0.0.1:4647", healthy=True, voter=True),
        AutopilotServer("id2", "s2.eu", "10.0.0.2:4647", healthy=False, voter=True),
    ),
)


@pytest.mark.parametrize(("healthy", "number"), [(True, 1), (False, 0)], ids=["all healthy", "not all healthy"])
def test_region_is_healthy_or_not(healthy: bool, number: int) -> None:
    lines = render_lines(FAMILIES, Autopilot(healthy), "nomad_agent_autopilot_healthy")

    assert lines == [f"nomad_agent_autopilot_healthy {number}"]


def test_failure_tolerance_of_zero_is_rendered() -> None:
    lines = render_lines(FAMILIES, ONE_UNHEALTHY, "nomad_agent_autopilot_failure_tolerance")

    assert lines == ["nomad_agent_autopilot_failure_tolerance 0"]


def test_missing_failure_tolerance_is_absent() -> None:
    assert render_lines(FAMILIES, Autopilot(healthy=True), "nomad_agent_autopilot_failure_tolerance") == []


def test_each_server_is_healthy_or_not() -> None:
    assert render_lines(FAMILIES, ONE_UNHEALTHY, "nomad_agent_autopilot_server_healthy") == [
        'nomad_agent_autopilot_server_healthy{member="s1.eu",address="10.0.0.1:4647"} 1',
        'nomad_agent_autopilot_server_healthy{member="s2.eu",address="10.0.0.2:4647"} 0',
    ]
