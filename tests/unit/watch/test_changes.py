"""Changes: the few lines that a person wants in a log, and none where nothing changed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from nomad_exporter.nomad.answers import Check, Role
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.changes import Change, changes
from nomad_exporter.watch.snapshot import AnyReading, Reading, Snapshot
from tests.support.answers import AGENT, REFUSED, START, WELL, health, own

TIMED_OUT = Failure(Reason.TIMEOUT, "no whole answer within 4s")
REJECTED = Failure(Reason.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
RED = Check(ok=False, message="no leader")


def reading(source: Source, outcome: Any) -> AnyReading:
    return Reading(source, outcome, START, 0.1)


def told(*readings: AnyReading) -> list[Change]:
    """The changes that the last of these readings brings."""
    snapshot = Snapshot(AGENT)
    for before in readings[:-1]:
        snapshot = snapshot.after(before)
    return [*changes(snapshot, snapshot.after(readings[-1]))]


def failed(source: Source, failure: Failure) -> Change:
    return Change(
        logging.WARNING, "poll failed", {"source": source, "reason": failure.reason, "detail": failure.detail}
    )


SELF_WELL = reading(Source.SELF, own(Role.SERVER, version="2.0.5"))
HEALTH_WELL = reading(Source.HEALTH, health({Role.SERVER: WELL}))
HEALTH_RED = reading(Source.HEALTH, health({Role.SERVER: RED}))

ANSWERS_AGAIN = Change(logging.INFO, "agent answers again")


def test_the_first_answer_tells_what_the_agent_is() -> None:
    told_first = told(reading(Source.SELF, own(Role.SERVER, Role.CLIENT, version="2.0.5")))

    assert told_first == [Change(logging.INFO, "agent answers", {"roles": "client,server", "version": "2.0.5"})]


def test_the_first_failure_is_told_with_its_reason() -> None:
    assert told(reading(Source.HEALTH, REFUSED)) == [failed(Source.HEALTH, REFUSED)]


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([SELF_WELL, SELF_WELL], id="self answers again"),
        pytest.param([HEALTH_WELL, HEALTH_WELL], id="health stays well"),
        pytest.param([HEALTH_WELL], id="health is well from the first"),
        pytest.param([HEALTH_RED, HEALTH_RED], id="health stays red"),
        pytest.param([reading(Source.SELF, REFUSED), reading(Source.SELF, REFUSED)], id="it fails as before"),
        pytest.param(
            [reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED)], id="another source fails for one reason"
        ),
        pytest.param(
            [reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED), HEALTH_WELL],
            id="one of two that fail for one reason answers",
        ),
    ],
)
def test_where_nothing_changed_nothing_is_told(readings: list[AnyReading]) -> None:
    assert told(*readings) == []


def test_an_agent_that_dies_is_one_line() -> None:
    polls = [HEALTH_WELL, SELF_WELL, reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED)]
    lines = [line for number in range(3, len(polls) + 1) for line in told(*polls[:number])]

    assert lines == [failed(Source.HEALTH, REFUSED)]


def test_a_new_reason_is_told() -> None:
    lines = told(reading(Source.SELF, REFUSED), reading(Source.SELF, TIMED_OUT))

    assert lines == [failed(Source.SELF, TIMED_OUT)]


def test_a_second_reason_beside_the_first_is_told() -> None:
    lines = told(reading(Source.HEALTH, TIMED_OUT), reading(Source.SELF, REJECTED))

    assert lines == [failed(Source.SELF, REJECTED)]


def test_an_agent_that_is_back_is_told() -> None:
    assert told(SELF_WELL, reading(Source.SELF, REFUSED), SELF_WELL) == [ANSWERS_AGAIN]


def test_an_agent_is_back_only_once_nothing_fails_any_more() -> None:
    polls = [SELF_WELL, reading(Source.HEALTH, TIMED_OUT), reading(Source.SELF, REJECTED), SELF_WELL, HEALTH_WELL]

    over = Change(logging.INFO, "poll fails no more", {"source": "self", "reason": "unauthorized"})
    assert told(*polls[:4]) == [over]
    assert told(*polls) == [ANSWERS_AGAIN]


# Health.


def test_an_agent_that_turns_red_is_told_with_its_message() -> None:
    lines = told(HEALTH_WELL, HEALTH_RED)

    assert lines == [Change(logging.WARNING, "agent is unhealthy", {"role": "server", "detail": "no leader"})]


def test_an_agent_that_is_red_from_the_first_is_told() -> None:
    assert [line.message for line in told(HEALTH_RED)] == ["agent is unhealthy"]


def test_an_agent_that_is_well_again_is_told() -> None:
    assert told(HEALTH_RED, HEALTH_WELL) == [Change(logging.INFO, "agent is healthy again", {"role": "server"})]


def test_of_two_roles_each_has_its_own_line() -> None:
    before = reading(Source.HEALTH, health({Role.CLIENT: RED, Role.SERVER: WELL}))
    after = reading(Source.HEALTH, health({Role.CLIENT: WELL, Role.SERVER: RED}))
    lines = [(line.message, line.fields["role"]) for line in told(before, after)]

    assert lines == [("agent is healthy again", "client"), ("agent is unhealthy", "server")]


def test_a_new_message_of_a_red_role_is_no_change() -> None:
    other = reading(Source.HEALTH, health({Role.SERVER: Check(ok=False, message="No cluster leader")}))

    assert told(HEALTH_RED, other) == []


def test_a_failed_poll_says_nothing_of_health() -> None:
    lines = told(HEALTH_RED, reading(Source.HEALTH, REFUSED))

    assert lines == [failed(Source.HEALTH, REFUSED)]


def test_health_that_was_red_before_a_failure_is_still_remembered() -> None:
    lines = told(HEALTH_RED, reading(Source.HEALTH, REFUSED), HEALTH_WELL)

    assert [line.message for line in lines] == ["agent answers again", "agent is healthy again"]


def test_an_agent_that_never_answered_before_does_not_answer_again() -> None:
    lines = told(reading(Source.HEALTH, REFUSED), reading(Source.SELF, REFUSED), HEALTH_WELL, SELF_WELL)

    assert [line.message for line in lines] == ["agent answers"]
