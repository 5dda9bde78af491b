"""Health as the agent judges it, role by role, and whether a server reaches its leader."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.health import HEALTH
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from tests.unit.metrics.showing import shown

WELL, RED = Check(ok=True, message="ok"), Check(ok=False, message="no leader")


def health(leader_reachable: bool | None = None, **checks: Check) -> Health:
    answer = HealthAnswer(200, {Role(role): check for role, check in checks.items()})
    return Health(answer, answer, leader_reachable)


def test_each_role_is_healthy_or_not() -> None:
    assert shown(HEALTH, health(server=RED, client=WELL), "nomad_agent_healthy") == [
        'nomad_agent_healthy{role="client"} 1',
        'nomad_agent_healthy{role="server"} 0',
    ]


def test_a_role_that_the_agent_has_not_is_absent() -> None:
    assert shown(HEALTH, health(client=WELL)) == ['nomad_agent_healthy{role="client"} 1']


def test_healthy_is_what_the_plain_question_says_and_not_what_the_agent_says_without_its_leader() -> None:
    judged = Health(HealthAnswer(500, {Role.SERVER: RED}), HealthAnswer(200, {Role.SERVER: WELL}), False)

    assert shown(HEALTH, judged, "nomad_agent_healthy") == ['nomad_agent_healthy{role="server"} 0']


@pytest.mark.parametrize(("reachable", "number"), [(True, 1), (False, 0)], ids=["reached", "not reached"])
def test_a_server_says_whether_it_reaches_its_leader(reachable: bool, number: int) -> None:
    lines = shown(HEALTH, health(reachable, server=WELL), "nomad_agent_leader_reachable")

    assert lines == [f"nomad_agent_leader_reachable {number}"]
