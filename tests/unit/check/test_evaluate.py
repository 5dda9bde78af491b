"""What is found about agents that were asked once: whom it is about, and what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.check.command import QUESTIONS
from nomad_exporter.check.evaluate import State, findings, sources
from nomad_exporter.nomad.sources import Source
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.fleets import AT, client, cluster, self_answer
from tests.unit.check.once import (
    ALL,
    ONCE,
    fleet_of,
    found,
    server,
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_for_is_what_the_question_needs(question: str) -> None:
    needed = {
        "live": {Source.HEALTH},
        "health": {Source.HEALTH},
        "ready": {Source.HEALTH, Source.SELF},
        "quorum": {Source.HEALTH, Source.SELF, Source.MEMBERS},
    }[question]

    assert sources(question, Thresholds()) == needed
    assert sources(question, Thresholds(autopilot=True)) == needed | (
        {Source.AUTOPILOT} if question == "quorum" else set()
    )


def test_two_servers_that_name_different_leaders_contradict_each_other_at_once() -> None:
    other = server(2, own=self_answer(2, ALL, leader=2))

    finding = found("quorum", server(1), other, server(3))

    assert (finding.state, finding.told.reason) == (State.CRITICAL, VerdictReason.CONFLICTING_VIEWS)


def test_the_numbers_are_those_of_the_path() -> None:
    finding = found("quorum", *fleet_of(cluster(3)))

    assert {"voters": 3, "healthy": 3, "quorum_size": 2, "margin": 1}.items() <= finding.told.details.items()
    assert set(finding.told.ages) == {"attempt", "health", "self", "members"}


def test_all_chosen_agents_are_found_in_the_order_of_the_fleet() -> None:
    fleet = fleet_of(cluster(3))

    assert [finding.told.agent for finding in findings("ready", fleet, ["s3", "s1"], AT, ONCE)] == ["s1", "s3"]


def test_the_limits_of_the_settings_are_those_of_the_check() -> None:
    late = client(numbers={"client.heartbeat_ttl": 12.0, "client.last_heartbeat": 25.0})

    assert found("ready", late).told.reason is VerdictReason.SERVERS_UNREACHABLE
    assert found("ready", late, thresholds=replace(ONCE, heartbeat_grace=60.0)).state is State.OK
