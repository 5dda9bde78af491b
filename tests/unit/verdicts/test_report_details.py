"""The numbers behind the verdicts, and how old they are."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.models import Check, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, ages, details
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import (
    AT,
    AUTOPILOT,
    THRESHOLDS,
    Fleet,
    agent,
    asked,
    autopilot,
    client,
    cluster,
    dead,
    evaluated,
    gossip,
    raft,
    told,
    watched,
    with_autopilot,
)

NEVER = Snapshot(agent("s9"))


def of(fleet: Fleet, name: str, thresholds: Thresholds = THRESHOLDS) -> Evaluation:
    return evaluated(fleet, thresholds)[name]


def alone(snapshot: Snapshot) -> Evaluation:
    return of({"alone": snapshot}, snapshot.agent.name)


@pytest.mark.parametrize("question", Question)
def test_of_an_agent_that_was_never_asked_there_is_nothing_to_tell(question: Question) -> None:
    never = alone(NEVER)

    assert details(never, question) == ({"consecutive_failures": 0} if question is Question.LIVE else {})
    assert ages(never, question, AT) == {}
    assert age(never, question, AT) is None


def test_live_tells_the_silent_attempts_and_why_they_were() -> None:
    assert details(alone(cluster(1)["s1"]), Question.LIVE) == {"consecutive_failures": 0}
    assert details(alone(dead(dead(cluster(1)["s1"]))), Question.LIVE) == {
        "consecutive_failures": 2,
        "failure": "refused: connection refused",
    }


def test_ready_of_a_server_tells_its_leader_its_suffrage_and_how_far_it_is() -> None:
    numbers = {"raft.last_contact": 0.02, "raft.commit_index": 20, "raft.applied_index": 18}
    server = watched(2, told(2, raft(1, 3, nonvoters=[2]), numbers=numbers), gossip(1, 2, 3))

    assert details(alone(server), Question.READY) == {
        "server_health": "ok",
        "leader_address": "10.0.0.1:4647",
        "raft_state": "Follower",
        "suffrage": "Nonvoter",
        "last_contact_seconds": 0.02,
        "apply_lag": 2,
    }


def test_ready_of_a_client_tells_its_heartbeat() -> None:
    assert details(alone(client()), Question.READY) == {
        "client_health": "ok",
        "heartbeat_seconds": 3.0,
        "heartbeat_ttl_seconds": 12.0,
    }


def test_what_is_not_known_is_left_out() -> None:
    leaderless = watched(2, told(2, raft(1), leader=None, numbers={}, texts={}), gossip(1))

    assert details(alone(leaderless), Question.READY) == {"server_health": "ok"}


def test_the_words_of_each_role_are_told_while_they_are_the_newest() -> None:
    server = cluster(1)["s1"]
    sick = asked(server, Source.HEALTH, health({Role.SERVER: Check(False, "no leader"), Role.CLIENT: WELL}))

    words = details(alone(sick), Question.READY)
    assert (words["client_health"], words["server_health"]) == ("ok", "no leader")
    assert not {"client_health", "server_health"} & set(details(alone(dead(sick)), Question.READY))


def test_quorum_tells_what_was_counted_and_what_that_rests_on() -> None:
    fleet = {
        name: asked(each, Source.SELF, told(number, raft(1, 2, 3), bootstrap_expect=3))
        for number, (name, each) in enumerate(cluster(3).items(), 1)
    }

    assert details(of({**fleet, "s3": dead(fleet["s3"])}, "s3"), Question.QUORUM) == {
        "voters": 3,
        "healthy": 2,
        "unknown": 0,
        "quorum_size": 2,
        "margin": 0,
        "basis": "direct",
        "leader": "s1",
        "expected": 3,
    }


def test_quorum_of_a_client_has_no_numbers() -> None:
    assert details(of({**cluster(3), "c1": client()}, "c1"), Question.QUORUM) == {}


def test_durations_are_numbers_of_seconds_and_nothing_is_a_text_that_could_be_a_number() -> None:
    found = details(of({**cluster(3), "c1": client()}, "c1"), Question.READY)

    assert isinstance(found["heartbeat_seconds"], float)


# Ages.


@pytest.mark.parametrize(
    ("question", "sources"),
    [
        (Question.LIVE, {"attempt"}),
        (Question.READY, {"attempt", "health", "self"}),
        (Question.QUORUM, {"attempt", "health", "self", "members", "autopilot"}),
    ],
)
def test_the_ages_are_those_of_the_answers_that_a_verdict_rests_on(question: Question, sources: set[str]) -> None:
    fleet = with_autopilot(cluster(3), autopilot(1, 2, 3))

    assert ages(of(fleet, "s1", AUTOPILOT), question, AT) == dict.fromkeys(sources, 1.0)


def test_a_failure_is_an_attempt_and_makes_no_answer_younger() -> None:
    assert ages(alone(dead(cluster(1)["s1"])), Question.READY, AT) == {"poll": 0.0, "health": 1.0, "self": 1.0}


def test_a_source_that_was_never_answered_has_no_age() -> None:
    never_reached = alone(asked(NEVER, Source.SELF, REFUSED, 2))

    assert ages(never_reached, Question.READY, AT) == {"poll": 2.0}


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_the_age_of_a_verdict_is_that_of_the_newest_attempt(question: Question) -> None:
    assert age(alone(asked(cluster(1)["s1"], Source.SELF, REFUSED, 0.25)), question, AT) == 0.25


def test_the_age_of_a_quorum_is_that_of_the_oldest_witness() -> None:
    fleet = cluster(3)
    fleet["s1"] = asked(fleet["s1"], Source.HEALTH, fleet["s1"].health.answer)

    assert age(of(fleet, "s1"), Question.QUORUM, AT) == 1.0


def test_where_nobody_is_well_it_is_that_of_the_newest_attempt() -> None:
    assert age(of({"s1": dead(cluster(1)["s1"])}, "s1"), Question.QUORUM, AT) == 0.0
    assert age(alone(client()), Question.QUORUM, AT) == 1.0
