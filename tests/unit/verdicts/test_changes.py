"""Changes of verdicts, as log lines."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import pytest

from nomad_exporter.nomad.agent import Address
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.changes import (
    LOGGED_QUESTIONS,
    VERDICT_EVENTS,
    Agents,
    Known,
    Line,
    changes,
    reevaluate,
    verdict_changes,
)
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Verdict
from tests.support.fleets import AT, THRESHOLDS, client, cluster, dead, leaderless, without

SERVER = cluster(1)["s1"]
LIVE, READY = Question.LIVE, Question.READY
OK, STALLED = VerdictReason.OK, VerdictReason.EXPORTER_STALLED
NO_LEADER, UNRESPONSIVE = VerdictReason.NO_LEADER, VerdictReason.UNRESPONSIVE


def known(question: Question, reason: VerdictReason) -> Agents:
    """Return what is known of an agent after one verdict."""
    return {"s1": Evaluation(SERVER, {question: Verdict(question, reason, "Any message.")})}


def lines_after(*steps: list[Snapshot], pause: float = 0.0) -> list[Line]:
    """Return the lines of a fleet that goes through these snapshots, with a pause between them."""
    steps_known: list[Agents] = [{}]
    for number, fleet in enumerate(steps):
        steps_known.append(reevaluate(steps_known[-1], fleet, AT + number * pause, THRESHOLDS))
    return [line for before, after in pairwise(steps_known) for line in verdict_changes(before, after)]


def changed(*steps: list[Snapshot], pause: float = 0.0) -> list[str]:
    return describe(lines_after(*steps, pause=pause))


def describe(lines: Iterable[Line]) -> list[str]:
    """Return event and reason of each line."""
    return [f"{line.fields['event']} {line.fields['reason']}" for line in lines]


def test_change_has_level_message_and_fields() -> None:
    (line,) = lines_after([SERVER], [leaderless(SERVER)])

    assert (line.kind.level, line.kind.message) == (logging.WARNING, "agent not ready")
    assert line.all_fields == {
        "event": "not_ready",
        "reason": "no_leader",
        "agent": "s1",
        "message": "The server's health check fails: no leader.",
    }


def test_every_logged_verdict_has_an_event() -> None:
    assert set(VERDICT_EVENTS) == {(question, ok) for question in LOGGED_QUESTIONS for ok in (True, False)}


def test_lines_that_differ_in_the_message_are_equal() -> None:
    lines = [
        line
        for message in ("23s ago", "24s ago")
        for line in verdict_changes({}, {"s1": Evaluation(SERVER, {READY: Verdict(READY, NO_LEADER, message)})})
    ]

    assert lines[0].fields == lines[1].fields


@pytest.mark.parametrize(
    ("question", "old", "new", "expected"),
    [
        (READY, OK, NO_LEADER, ["not_ready no_leader"]),
        (READY, NO_LEADER, UNRESPONSIVE, ["not_ready unresponsive"]),
        (READY, UNRESPONSIVE, OK, ["ready ok"]),
        (READY, OK, STALLED, ["not_ready exporter_stalled"]),
        (READY, NO_LEADER, NO_LEADER, []),
        (READY, OK, OK, []),
        (LIVE, OK, UNRESPONSIVE, ["not_live unresponsive"]),
        (LIVE, UNRESPONSIVE, OK, ["live ok"]),
    ],
)
def test_change_of_answer_or_reason_is_logged(
    question: Question, old: VerdictReason, new: VerdictReason, expected: list[str]
) -> None:
    assert describe(verdict_changes(known(question, old), known(question, new))) == expected


@pytest.mark.parametrize(("reason", "expected"), [(OK, []), (NO_LEADER, ["not_ready no_leader"]), (STALLED, [])])
def test_first_verdict_is_logged_only_if_it_shows_a_problem(reason: VerdictReason, expected: list[str]) -> None:
    assert describe(verdict_changes({}, known(READY, reason))) == expected


def test_start_is_no_change() -> None:
    assert changed([Snapshot(SERVER.agent)], [without(SERVER, SELF)], [SERVER]) == []


def test_restart_is_a_change_only_after_a_problem() -> None:
    restarting = without(SERVER, SELF)

    assert changed([SERVER], [restarting], [SERVER]) == []
    assert changed([leaderless(SERVER)], [restarting], [SERVER]) == ["not_ready no_leader", "ready ok"]


def test_changed_message_is_no_change() -> None:
    assert changed([dead(SERVER)], [dead(dead(SERVER))]) == ["not_ready unresponsive"]


def test_dead_agent_is_not_ready_and_then_not_live() -> None:
    snapshots = [SERVER]
    for _ in range(4):
        snapshots.append(dead(snapshots[-1]))

    assert changed(*([snapshot] for snapshot in snapshots)) == ["not_ready unresponsive", "not_live unresponsive"]


def test_stalled_polling_is_logged_for_ready_only() -> None:
    assert changed([SERVER], [SERVER], pause=600) == ["not_ready exporter_stalled"]


def test_dead_agent_does_not_become_live_if_polling_stalls() -> None:
    not_live = reduce(lambda snapshot, _: dead(snapshot), range(3), SERVER)

    assert changed([not_live], [not_live], pause=600) == ["not_live unresponsive", "not_ready unresponsive"]


def test_removed_agent_is_forgotten() -> None:
    assert changed([leaderless(SERVER)], [client()], [SERVER]) == ["not_ready no_leader"]


def test_agent_at_another_address_is_another_agent() -> None:
    moved = replace(SERVER, agent=replace(SERVER.agent, address=Address("http", "other", 4646)))

    assert changed([leaderless(SERVER)], [moved]) == ["not_ready no_leader"]


@pytest.mark.parametrize(
    ("later", "snapshot", "is_evaluated"),
    [
        pytest.param(THRESHOLDS.health_interval - 1, SERVER, False, id="same snapshot"),
        pytest.param(0.0, leaderless(SERVER), True, id="polled since"),
        pytest.param(THRESHOLDS.health_interval, SERVER, True, id="poll is late"),
    ],
)
def test_only_verdicts_that_may_have_changed_are_evaluated(
    later: float, snapshot: Snapshot, is_evaluated: bool
) -> None:
    before = reevaluate({}, [SERVER], AT, THRESHOLDS)
    after = reevaluate(before, [snapshot], AT + later, THRESHOLDS)

    assert (after["s1"] is not before["s1"]) is is_evaluated


def test_verdicts_and_clusters_are_compared() -> None:
    fleet = cluster(3)
    before = Known().after(list(fleet.values()), {"default"}, AT, THRESHOLDS)
    after = before.after([leaderless(snapshot) for snapshot in fleet.values()], {"default"}, AT, THRESHOLDS)

    assert [line.kind.message for line in changes(before, after)] == [*["agent not ready"] * 3, "no leader"]
