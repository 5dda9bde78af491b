"""A story in words."""

from __future__ import annotations

from nomad_exporter.demo.incidents.cast import Actor
from nomad_exporter.demo.incidents.story import Ask, Deed, Expected, Role, Scene, Shown, Sight
from nomad_exporter.demo.incidents.telling import cast_told, deed_told, expected_told, scene_told, shown_told

CAST = {
    Role.LEADER: Actor("s2.global", "s2", "s2.global", "127.0.0.1:2", "127.0.0.1:3"),
    Role.FOLLOWER: Actor("s1.global", "s1", "s1.global", "127.0.0.1:5", "127.0.0.1:6"),
}


def test_a_deed_names_those_to_whom_it_is_done() -> None:
    assert deed_told(Deed("kill", (Role.LEADER, Role.FOLLOWER)), CAST) == "kill s2.global, s1.global"
    assert deed_told(Deed("revoke"), CAST) == "revoke"
    assert deed_told(Deed("add", (Role.NEWCOMER,)), CAST) == "add newcomer"


def test_a_question_is_told_as_it_is_asked() -> None:
    ask = Ask(Role.FOLLOWER, "PUT", "/v1/agent/join?address={leader.serf}")

    assert deed_told(ask, CAST) == "PUT /v1/agent/join?address=127.0.0.1:3 to s1.global"


def test_a_sample_is_told_as_it_stands_on_the_page() -> None:
    member = Shown("nomad_agent_member_status", 1, {"member": "{follower.member}", "status": "left"})

    assert shown_told(member, CAST) == 'nomad_agent_member_status{member="s1.global",status="left"} 1'
    assert shown_told(Shown("up", 0.5), CAST) == "up 0.5"
    assert shown_told(Shown("up", sight=Sight.ABSENT), CAST) == "up is absent"
    assert shown_told(Shown("restarts_total", 2, sight=Sight.GROWN), CAST) == "restarts_total grows by 2"


def test_what_is_expected_names_agents_verdicts_and_samples() -> None:
    expected = Expected((Role.LEADER, Role.FOLLOWER), live="ok", quorum="no_margin", samples=(Shown("up"),))

    assert expected_told(expected, CAST) == "s2, s1: live ok, quorum no_margin, up 1"
    assert expected_told(Expected((Role.NEWCOMER,), ready="ok"), CAST) == "newcomer: ready ok"


def test_a_scene_is_its_sentence_and_a_line_for_each_deed_and_sight() -> None:
    scene = Scene("It dies.", (Deed("kill", (Role.LEADER,)),), (Expected((Role.FOLLOWER,), ready="ok"),))

    assert list(scene_told(scene, CAST)) == ["It dies.", "  kill s2.global", "  see s1: ready ok"]


def test_the_cast_is_one_line() -> None:
    assert cast_told(CAST) == "leader s2.global, follower s1.global"
