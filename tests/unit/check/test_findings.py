"""What is found about agents that were asked once: whom it is about, and what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.check.command import QUESTIONS
from nomad_exporter.check.findings import findings, sources
from nomad_exporter.check.weighing import State
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Reason
from nomad_exporter.nomad.sources import Source
from tests.support.fleets import AT, client, cluster, told
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

    assert sources(question, Limits()) == needed
    assert sources(question, Limits(autopilot=True)) == needed | ({Source.AUTOPILOT} if question == "quorum" else set())


def test_two_servers_that_name_different_leaders_contradict_each_other_at_once() -> None:
    other = server(2, own=told(2, ALL, leader=2))

    finding = found("quorum", server(1), other, server(3))

    assert (finding.state, finding.told.reason) == (State.CRITICAL, Reason.VIEWS_DISAGREE)


def test_the_numbers_are_those_of_the_path() -> None:
    finding = found("quorum", *fleet_of(cluster(3)))

    assert {"voters": 3, "well": 3, "needed": 2, "margin": 1}.items() <= finding.told.numbers.items()
    assert set(finding.told.ages) == {"attempt", "health", "self", "members"}


def test_all_chosen_agents_are_found_in_the_order_of_the_fleet() -> None:
    fleet = fleet_of(cluster(3))

    assert [finding.told.agent for finding in findings("ready", fleet, ["s3", "s1"], AT, ONCE)] == ["s1", "s3"]


def test_the_limits_of_the_settings_are_those_of_the_check() -> None:
    late = client(numbers={"client.heartbeat_ttl": 12.0, "client.last_heartbeat": 25.0})

    assert found("ready", late).told.reason is Reason.SERVERS_UNREACHABLE
    assert found("ready", late, limits=replace(ONCE, heartbeat_grace=60.0)).state is State.OK
