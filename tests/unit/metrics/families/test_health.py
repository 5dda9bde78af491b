"""Families of health: each role, and whether a server reaches its leader."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.health import FAMILIES
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from tests.unit.metrics.rendering import render_lines

OK, UNHEALTHY = Check(ok=True, message="ok"), Check(ok=False, message="no leader")


def health(leader_reachable: bool | None = None, **checks: Check) -> Health:
    answer = HealthAnswer(200, {Role(role): check for role, check in checks.items()})
    return Health(answer, answer, leader_reachable)


def test_each_role_is_healthy_or_not() -> None:
    assert render_lines(FAMILIES, health(server=UNHEALTHY, client=OK), "nomad_agent_healthy") == [
        'nomad_agent_healthy{role="client"} 1',
        'nomad_agent_healthy{role="server"} 0',
    ]


def test_missing_role_is_absent() -> None:
    assert render_lines(FAMILIES, health(client=OK)) == ['nomad_agent_healthy{role="client"} 1']


def test_healthy_follows_the_plain_answer_not_the_stale_one() -> None:
    answer = Health(HealthAnswer(500, {Role.SERVER: UNHEALTHY}), HealthAnswer(200, {Role.SERVER: OK}), False)

    assert render_lines(FAMILIES, answer, "nomad_agent_healthy") == ['nomad_agent_healthy{role="server"} 0']


@pytest.mark.parametrize(("reachable", "number"), [(True, 1), (False, 0)], ids=["reached", "not reached"])
def test_server_reaches_its_leader_or_not(reachable: bool, number: int) -> None:
    lines = render_lines(FAMILIES, health(reachable, server=OK), "nomad_agent_leader_reachable")

    assert lines == [f"nomad_agent_leader_reachable {number}"]
