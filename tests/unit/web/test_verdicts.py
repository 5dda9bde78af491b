"""``/health/live``, ``/health/ready`` and ``/health/quorum``: a status for machines and a sentence for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Response
from nomad_exporter.web.routes import Site, handle
from nomad_exporter.web.verdicts import SHOWN, verdict
from tests.support.fleets import AT, THRESHOLDS, agent, client, cluster, dead, red
from tests.support.pages import get

every_question = pytest.mark.parametrize("question", Question)


class Fixed(Store[Rendered]):
    """A store that keeps what it was made from."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        super().__init__((), render_agent)
        self._kept = {each.agent.name: Entry(each, render_agent(each, None, None)) for each in snapshots}


WELL = cluster(3)
"""Three servers, each of which may be stopped."""


def response(
    target: str,
    snapshots: Iterable[Snapshot],
    thresholds: Thresholds = THRESHOLDS,
    method: str = "GET",
    after: float = 0.0,
) -> Response:
    """What the site answers so many seconds after all were polled."""
    request = replace(get(target), method=method)
    return handle(Site(Fixed(snapshots), SelfMetrics(), thresholds), request, AT + after)


def body(target: str, snapshots: Iterable[Snapshot], **given: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(response(target, snapshots, **given).body)
    return told


def test_yes_is_200_with_the_verdict_a_sentence_the_numbers_and_their_ages() -> None:
    told = response("/health/quorum?agent=s2", WELL.values())

    assert (told.status, told.content_type) == (200, "application/json")
    assert json.loads(told.body) == {
        "verdict": "quorum",
        "ok": True,
        "agent": "s2",
        "reason": "ok",
        "message": "3 of 3 voters are well, 2 are needed, without this one 2 are left: it may be stopped.",
        "details": {
            "voters": 3,
            "healthy": 3,
            "unknown": 0,
            "quorum_size": 2,
            "margin": 1,
            "basis": "direct",
            "leader": "s1",
        },
        "ages": {"poll": 1.0, "health": 1.0, "self": 1.0, "members": 1.0},
    }


def test_no_is_503_in_the_same_form() -> None:
    told = response("/health/ready?agent=s2", [red(WELL["s2"])])

    assert (told.status, told.content_type) == (503, "application/json")
    found = json.loads(told.body)
    assert (found["verdict"], found["ok"], found["agent"], found["reason"]) == ("ready", False, "s2", "no_leader")
    assert found["message"] == "The server is unhealthy: no leader."


@pytest.mark.parametrize(
    ("path", "sick", "status"),
    [
        ("/health/live", red, 200),
        ("/health/live", dead, 200),
        ("/health/ready", red, 503),
        ("/health/ready", dead, 503),
        ("/health/quorum", red, 503),
    ],
    ids=lambda told: getattr(told, "__name__", str(told)),
)
def test_a_server_that_lost_its_leader_or_does_not_answer_once_is_live_and_no_more(
    path: str, sick: Any, status: int
) -> None:
    assert response(path, [sick(WELL["s1"])]).status == status


@every_question
def test_no_answer_is_kept_by_a_cache(question: Question) -> None:
    assert response(f"/health/{question}", WELL.values()).all_headers["Cache-Control"] == "no-store"


@every_question
@pytest.mark.parametrize(("after", "age"), [(0.0, "1"), (0.9, "1"), (8.5, "9")])
def test_the_age_is_in_whole_seconds(question: Question, after: float, age: str) -> None:
    assert response(f"/health/{question}?agent=s1", WELL.values(), after=after).headers["Age"] == age


def test_the_age_of_several_is_that_of_the_oldest() -> None:
    fleet = [dead(WELL["s1"]), WELL["s2"]]

    assert response("/health/live?agent=s1", fleet).headers["Age"] == "0"
    assert response("/health/live", fleet).headers["Age"] == "1"


def test_the_age_is_never_negative() -> None:
    """A poll may have ended between the reading of the clock and that of the store."""
    assert response("/health/live?agent=s1", WELL.values(), after=-2.0).headers["Age"] == "0"


@every_question
def test_head_is_answered_as_get_is(question: Question) -> None:
    target = f"/health/{question}"

    assert response(target, WELL.values(), method="HEAD") == response(target, WELL.values())


@every_question
def test_an_agent_that_was_never_asked_is_503_and_starting_without_an_age(question: Question) -> None:
    told = response(f"/health/{question}", [Snapshot(agent("s1"))])

    assert (told.status, json.loads(told.body)["reason"]) == (503, "starting")
    assert "Age" not in told.headers


@every_question
def test_an_unknown_agent_is_404_with_those_that_are_known(question: Question) -> None:
    told = response(f"/health/{question}?agent=s9", WELL.values())

    assert (told.status, told.body) == (404, b"no agent has the name 's9'; known: s1, s2, s3\n")


# Witnesses.


def test_an_agent_is_judged_with_the_whole_fleet_for_witnesses() -> None:
    assert response("/health/quorum?agent=s1", WELL.values()).status == 200
    assert response("/health/quorum?agent=s1", [WELL["s1"]]).status == 503


def test_a_witness_that_is_not_asked_about_is_heard_when_it_says_no() -> None:
    told = body("/health/quorum?agent=s1", [WELL["s1"], WELL["s2"], dead(WELL["s3"])])

    assert (told["ok"], told["reason"]) == (False, "would_lose_quorum")
    assert "(s3 does not answer)" in told["message"]


# Several agents.


@every_question
def test_several_hold_where_each_does(question: Question) -> None:
    told = response(f"/health/{question}", WELL.values())

    assert told.status == 200
    assert json.loads(told.body) == {
        "verdict": str(question),
        "ok": True,
        "reason": "ok",
        "message": "3 of 3 agents: yes.",
        "failing": [],
    }


def test_several_do_not_hold_where_one_does_not_and_it_is_told() -> None:
    fleet = [WELL["s1"], red(WELL["s2"]), client()]
    told = body("/health/ready", fleet)

    assert response("/health/ready", fleet).status == 503
    assert (told["ok"], told["reason"]) == (False, "no_leader")
    assert told["message"] == "2 of 3 agents: yes. s2: The server is unhealthy: no leader."
    assert [one["agent"] for one in told["failing"]] == ["s2"]
    assert told["failing"][0] == {
        key: value for key, value in body("/health/ready?agent=s2", fleet).items() if key != "verdict"
    }


def test_those_that_are_named_must_hold_and_no_others() -> None:
    fleet = [WELL["s1"], red(WELL["s2"]), client()]

    assert response("/health/ready?agent=s1&agent=c1", fleet).status == 200
    assert response("/health/ready?agent=s1&agent=s2", fleet).status == 503


def test_one_agent_that_is_named_twice_is_one() -> None:
    assert body("/health/live?agent=s1&agent=s1", WELL.values())["agent"] == "s1"


def test_of_very_many_that_do_not_hold_only_some_are_told_one_by_one() -> None:
    fleet = [Snapshot(agent(f"a{number}")) for number in range(SHOWN + 5)]
    told = body("/health/live", fleet)

    assert told["message"] == f"0 of {SHOWN + 5} agents: yes. a0: The agent has not been asked yet."
    assert [one["agent"] for one in told["failing"]] == [f"a{number}" for number in range(SHOWN)]


def test_a_client_among_servers_does_not_stand_in_the_way_of_a_quorum() -> None:
    assert response("/health/quorum", [*WELL.values(), client()]).status == 200


def test_names_are_told_as_they_are_written() -> None:
    assert "sërver".encode() in response("/health/live", [Snapshot(agent("sërver"))]).body


def test_the_limits_that_the_site_was_told_are_kept_to() -> None:
    silent = dead(WELL["s1"])

    assert response("/health/live", [silent]).status == 200
    assert response("/health/live", [silent], thresholds=Thresholds(failure_threshold=1)).status == 503


def test_the_page_is_what_the_path_gives() -> None:
    store = Fixed(WELL.values())

    assert verdict(store, get("/health/live"), AT, THRESHOLDS, Question.LIVE) == response("/health/live", WELL.values())
