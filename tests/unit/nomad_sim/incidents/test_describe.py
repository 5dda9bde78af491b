"""Incidents as text."""

from __future__ import annotations

from nomad_sim.incidents.describe import (
    describe_action,
    describe_expectation,
    describe_roles,
    describe_sample,
    describe_step,
)
from nomad_sim.incidents.roles import RoleAgent
from nomad_sim.incidents.scenario import Action, ApiCall, Expectation, Match, Role, SampleExpectation, Step

ROLE_MAP = {
    Role.LEADER: RoleAgent("s2.global", "s2", "s2.global", "127.0.0.1:2", "127.0.0.1:3"),
    Role.FOLLOWER: RoleAgent("s1.global", "s1", "s1.global", "127.0.0.1:5", "127.0.0.1:6"),
}


def test_action_names_its_agents() -> None:
    assert describe_action(Action("kill", (Role.LEADER, Role.FOLLOWER)), ROLE_MAP) == "kill s2.global, s1.global"
    assert describe_action(Action("revoke-token"), ROLE_MAP) == "revoke-token"
    assert describe_action(Action("add", (Role.NEW_SERVER,)), ROLE_MAP) == "add new_server"


def test_api_call_shows_method_path_and_agent() -> None:
    call = ApiCall(Role.FOLLOWER, "PUT", "/v1/agent/join?address={leader.serf}")

    assert describe_action(call, ROLE_MAP) == "PUT /v1/agent/join?address=127.0.0.1:3 to s1.global"


def test_sample_has_exposition_format() -> None:
    member = SampleExpectation("nomad_agent_member_status", 1, {"member": "{follower.member}", "status": "left"})

    assert describe_sample(member, ROLE_MAP) == 'nomad_agent_member_status{member="s1.global",status="left"} 1'
    assert describe_sample(SampleExpectation("up", 0.5), ROLE_MAP) == "up 0.5"
    assert describe_sample(SampleExpectation("up", match=Match.ABSENT), ROLE_MAP) == "up is absent"
    assert (
        describe_sample(SampleExpectation("restarts_total", 2, match=Match.INCREASED), ROLE_MAP)
        == "restarts_total increases by 2"
    )


def test_expectation_names_agents_verdicts_and_samples() -> None:
    expected = Expectation(
        (Role.LEADER, Role.FOLLOWER), live="ok", quorum="would_lose_quorum", samples=(SampleExpectation("up"),)
    )

    assert describe_expectation(expected, ROLE_MAP) == "s2, s1: live ok, quorum would_lose_quorum, up 1"
    assert describe_expectation(Expectation((Role.NEW_SERVER,), ready="ok"), ROLE_MAP) == "new_server: ready ok"


def test_step_has_description_actions_and_expectations() -> None:
    step = Step("A server dies.", (Action("kill", (Role.LEADER,)),), (Expectation((Role.FOLLOWER,), ready="ok"),))

    assert list(describe_step(step, ROLE_MAP)) == ["A server dies.", "  kill s2.global", "  expect s1: ready ok"]


def test_roles_are_one_line() -> None:
    assert describe_roles(ROLE_MAP) == "leader s2.global, follower s1.global"
