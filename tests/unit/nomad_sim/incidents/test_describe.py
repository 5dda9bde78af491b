"""A story in words."""

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

CAST = {
    Role.LEADER: RoleAgent("s2.global", "s2", "s2.global", "127.0.0.1:2", "127.0.0.1:3"),
    Role.FOLLOWER: RoleAgent("s1.global", "s1", "s1.global", "127.0.0.1:5", "127.0.0.1:6"),
}


def test_a_deed_names_those_to_whom_it_is_done() -> None:
    assert describe_action(Action("kill", (Role.LEADER, Role.FOLLOWER)), CAST) == "kill s2.global, s1.global"
    assert describe_action(Action("revoke"), CAST) == "revoke"
    assert describe_action(Action("add", (Role.NEWCOMER,)), CAST) == "add newcomer"


def test_a_question_is_told_as_it_is_asked() -> None:
    ask = ApiCall(Role.FOLLOWER, "PUT", "/v1/agent/join?address={leader.serf}")

    assert describe_action(ask, CAST) == "PUT /v1/agent/join?address=127.0.0.1:3 to s1.global"


def test_a_sample_is_told_as_it_stands_on_the_page() -> None:
    member = SampleExpectation("nomad_agent_member_status", 1, {"member": "{follower.member}", "status": "left"})

    assert describe_sample(member, CAST) == 'nomad_agent_member_status{member="s1.global",status="left"} 1'
    assert describe_sample(SampleExpectation("up", 0.5), CAST) == "up 0.5"
    assert describe_sample(SampleExpectation("up", match=Match.ABSENT), CAST) == "up is absent"
    assert (
        describe_sample(SampleExpectation("restarts_total", 2, match=Match.GROWN), CAST) == "restarts_total grows by 2"
    )


def test_what_is_expected_names_agents_verdicts_and_samples() -> None:
    expected = Expectation(
        (Role.LEADER, Role.FOLLOWER), live="ok", quorum="would_lose_quorum", samples=(SampleExpectation("up"),)
    )

    assert describe_expectation(expected, CAST) == "s2, s1: live ok, quorum would_lose_quorum, up 1"
    assert describe_expectation(Expectation((Role.NEWCOMER,), ready="ok"), CAST) == "newcomer: ready ok"


def test_a_scene_is_its_sentence_and_a_line_for_each_deed_and_sight() -> None:
    step = Step("It dies.", (Action("kill", (Role.LEADER,)),), (Expectation((Role.FOLLOWER,), ready="ok"),))

    assert list(describe_step(step, CAST)) == ["It dies.", "  kill s2.global", "  see s1: ready ok"]


def test_the_cast_is_one_line() -> None:
    assert describe_roles(CAST) == "leader s2.global, follower s1.global"
