"""The details and ages of reports."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.models import Check, Role
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.report import age, ages, details
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import HEALTHY, REFUSED, health
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    WITH_AUTOPILOT,
    Fleet,
    after_poll,
    agent,
    autopilot,
    client,
    cluster,
    dead,
    evaluate_fleet,
    gossip,
    polled_server,
    raft,
    self_answer,
    with_autopilot,
)

NEVER = Snapshot(agent("s9"))


def of(fleet: Fleet, name: str, thresholds: Thresholds = THRESHOLDS) -> Evaluation:
    return evaluate_fleet(fleet, thresholds)[name]


def alone(snapshot: Snapshot) -> Evaluation:
    return of({"alone": snapshot}, snapshot.agent.name)


@pytest.mark.parametrize("question", Question)
def test_agent_never_polled_has_no_details(question: Question) -> None:
    never = alone(NEVER)

    assert details(never, question) == ({"consecutive_failures": 0} if question is Question.LIVE else {})
    assert ages(never, question, AT) == {}
    assert age(never, question, AT) is None


def test_live_details_have_failed_polls_and_failure() -> None:
    assert details(alone(cluster(1)["s1"]), Question.LIVE) == {"consecutive_failures": 0}
    assert details(alone(dead(dead(cluster(1)["s1"]))), Question.LIVE) == {
        "consecutive_failures": 2,
        "failure": "refused: connection refused",
    }


def test_ready_details_of_server() -> None:
    numbers = {"raft.last_contact": 0.02, "raft.commit_index": 20, "raft.applied_index": 18}
    server = polled_server(2, self_answer(2, raft(1, 3, nonvoters=[2]), numbers=numbers), gossip(1, 2, 3))

    assert details(alone(server), Question.READY) == {
        "server_health": "ok",
        "leader_address": "10.0.0.1:4647",
        "raft_state": "Follower",
        "suffrage": "Nonvoter",
        "last_contact_seconds": 0.02,
        "apply_lag": 2,
    }


def test_ready_details_of_client() -> None:
    assert details(alone(client()), Question.READY) == {
        "client_health": "ok",
        "heartbeat_seconds": 3.0,
        "heartbeat_ttl_seconds": 12.0,
    }


def test_unknown_values_are_left_out() -> None:
    server = polled_server(2, self_answer(2, raft(1), leader=None, numbers={}, texts={}), gossip(1))

    assert details(alone(server), Question.READY) == {"server_health": "ok"}


def test_health_messages_are_left_out_after_a_failed_poll() -> None:
    server = cluster(1)["s1"]
    unhealthy = after_poll(server, HEALTH, health({Role.SERVER: Check(False, "no leader"), Role.CLIENT: HEALTHY}))

    found = details(alone(unhealthy), Question.READY)
    assert (found["client_health"], found["server_health"]) == ("ok", "no leader")
    assert not {"client_health", "server_health"} & set(details(alone(dead(unhealthy)), Question.READY))


def test_quorum_details_of_server() -> None:
    fleet = {
        name: after_poll(server, SELF, self_answer(number, raft(1, 2, 3), bootstrap_expect=3))
        for number, (name, server) in enumerate(cluster(3).items(), 1)
    }

    assert details(of({**fleet, "s3": dead(fleet["s3"])}, "s3"), Question.QUORUM) == {
        "voters": 3,
        "healthy": 2,
        "unhealthy": 1,
        "unknown": 0,
        "quorum_size": 2,
        "failure_tolerance": 0,
        "basis": "direct",
        "leader": "s1",
        "expected": 3,
    }


def test_client_has_no_quorum_details() -> None:
    assert details(of({**cluster(3), "c1": client()}, "c1"), Question.QUORUM) == {}


def test_durations_are_numbers_of_seconds() -> None:
    found = details(of({**cluster(3), "c1": client()}, "c1"), Question.READY)

    assert isinstance(found["heartbeat_seconds"], float)


# Ages.


@pytest.mark.parametrize(
    ("question", "sources"),
    [
        (Question.LIVE, {"poll"}),
        (Question.READY, {"poll", "health", "self"}),
        (Question.QUORUM, {"poll", "health", "self", "members", "autopilot"}),
    ],
)
def test_ages_are_those_of_the_sources_of_the_verdict(question: Question, sources: set[str]) -> None:
    fleet = with_autopilot(cluster(3), autopilot(1, 2, 3))

    assert ages(of(fleet, "s1", WITH_AUTOPILOT), question, AT) == dict.fromkeys(sources, 1.0)


def test_failed_poll_does_not_renew_an_answer() -> None:
    assert ages(alone(dead(cluster(1)["s1"])), Question.READY, AT) == {"poll": 0.0, "health": 1.0, "self": 1.0}


def test_source_never_answered_has_no_age() -> None:
    never_answered = alone(after_poll(NEVER, SELF, REFUSED, 2))

    assert ages(never_answered, Question.READY, AT) == {"poll": 2.0}


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_age_of_verdict_is_that_of_newest_poll(question: Question) -> None:
    assert age(alone(after_poll(cluster(1)["s1"], SELF, REFUSED, 0.25)), question, AT) == 0.25


def test_age_of_quorum_is_that_of_oldest_evidence() -> None:
    fleet = cluster(3)
    fleet["s1"] = after_poll(fleet["s1"], HEALTH, fleet["s1"][HEALTH].answer)

    assert age(of(fleet, "s1"), Question.QUORUM, AT) == 1.0


def test_age_of_quorum_without_evidence_is_that_of_newest_poll() -> None:
    assert age(of({"s1": dead(cluster(1)["s1"])}, "s1"), Question.QUORUM, AT) == 0.0
    assert age(alone(client()), Question.QUORUM, AT) == 1.0
