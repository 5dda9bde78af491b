"""``/health/live``, ``/health/ready`` and ``/health/quorum``: the status code and the JSON of a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.server.http import Response
from nomad_exporter.verdicts.evaluate import evaluate
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from nomad_exporter.web.health import MAX_FAILING, verdict
from tests.support.fleets import AT, THRESHOLDS, agent, client, cluster, dead, leaderless
from tests.support.pages import get, handle, site_of

every_question = pytest.mark.parametrize("question", Question)


class FixedStore(Store[Rendered]):
    """A store of given snapshots."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        super().__init__((), render_agent)
        self._entries = {each.agent.name: Entry(each, render_agent(each, None, None)) for each in snapshots}
        self._unpolled = self._count_unpolled()
        self._update_polled_clusters()


HEALTHY = cluster(3)
"""Three healthy servers, each of which can be stopped."""


def response(
    target: str,
    snapshots: Iterable[Snapshot],
    thresholds: Thresholds = THRESHOLDS,
    method: str = "GET",
    after: float = 0.0,
) -> Response:
    """Return the response of the site ``after`` seconds after the fleet was built."""
    request = replace(get(target), method=method)
    return handle(site_of(FixedStore(snapshots), thresholds), request, AT + after)


def report(target: str, snapshots: Iterable[Snapshot]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(response(target, snapshots).body)
    return decoded


def verdict_of(fleet: Iterable[Snapshot], name: str, question: Question) -> Verdict:
    """Return the verdict about one agent of the fleet."""
    [evaluation] = [each for each in evaluate(fleet, [*fleet], AT, THRESHOLDS) if each.snapshot.agent.name == name]
    return evaluation.verdicts[question]


def test_ok_verdict_is_200_with_details_and_ages() -> None:
    result = response("/health/quorum?agent=s2", HEALTHY.values())

    assert (result.status_code, result.media_type) == (200, "application/json")
    assert json.loads(result.body) == {
        "verdict": "quorum",
        "ok": True,
        "agent": "s2",
        "reason": "ok",
        "message": verdict_of(HEALTHY.values(), "s2", Question.QUORUM).message,
        "remedy": VERDICT_REASONS[VerdictReason.OK].remedy,
        "details": {
            "voters": 3,
            "healthy": 3,
            "unhealthy": 0,
            "unknown": 0,
            "quorum_size": 2,
            "failure_tolerance": 1,
            "basis": "direct",
            "leader": "s1",
        },
        "ages": {"poll": 1.0, "health": 1.0, "self": 1.0, "members": 1.0},
    }


def test_failing_verdict_is_503_in_the_same_form() -> None:
    unhealthy = [leaderless(HEALTHY["s2"])]
    failing = response("/health/ready?agent=s2", unhealthy)

    assert (failing.status_code, failing.media_type) == (503, "application/json")
    result = json.loads(failing.body)
    assert (result["verdict"], result["ok"], result["agent"], result["reason"]) == ("ready", False, "s2", "no_leader")
    assert result["message"] == verdict_of(unhealthy, "s2", Question.READY).message
    assert "no leader" in result["message"]
    assert result["remedy"] == VERDICT_REASONS[VerdictReason.NO_LEADER].remedy


@pytest.mark.parametrize(
    ("path", "state", "status"),
    [
        ("/health/live", leaderless, 200),
        ("/health/live", dead, 200),
        ("/health/ready", leaderless, 503),
        ("/health/ready", dead, 503),
        ("/health/quorum", leaderless, 503),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_status_of_an_unhealthy_server_depends_on_the_path(path: str, state: Any, status: int) -> None:
    assert response(path, [state(HEALTHY["s1"])]).status_code == status


@every_question
def test_response_is_not_cached(question: Question) -> None:
    assert response(f"/health/{question}", HEALTHY.values()).all_headers["Cache-Control"] == "no-store"


@every_question
@pytest.mark.parametrize(("after", "age"), [(0.0, "1"), (0.9, "1"), (8.5, "9")])
def test_age_is_in_whole_seconds(question: Question, after: float, age: str) -> None:
    assert response(f"/health/{question}?agent=s1", HEALTHY.values(), after=after).headers["Age"] == age


def test_age_of_several_agents_is_the_highest() -> None:
    fleet = [dead(HEALTHY["s1"]), HEALTHY["s2"]]

    assert response("/health/live?agent=s1", fleet).headers["Age"] == "0"
    assert response("/health/live", fleet).headers["Age"] == "1"


def test_age_is_never_negative() -> None:
    # A poll can end after the clock was read and before the store is.
    assert response("/health/live?agent=s1", HEALTHY.values(), after=-2.0).headers["Age"] == "0"


@every_question
def test_head_is_handled_like_get(question: Question) -> None:
    target = f"/health/{question}"

    assert response(target, HEALTHY.values(), method="HEAD") == response(target, HEALTHY.values())


@every_question
def test_unpolled_agent_is_starting_without_age(question: Question) -> None:
    result = response(f"/health/{question}", [Snapshot(agent("s1"))])

    assert result.status_code == (200 if question is Question.LIVE else 503)
    assert json.loads(result.body)["reason"] == "starting"
    assert "Age" not in result.headers


@every_question
def test_unknown_agent_is_404_with_the_known_names(question: Question) -> None:
    result = response(f"/health/{question}?agent=s9", HEALTHY.values())

    assert (result.status_code, result.body) == (404, b"unknown agent 's9' (known: s1, s2, s3)\n")


# Evidence of other agents.


def test_quorum_uses_evidence_of_the_whole_fleet() -> None:
    assert response("/health/quorum?agent=s1", HEALTHY.values()).status_code == 200
    assert response("/health/quorum?agent=s1", [HEALTHY["s1"]]).status_code == 503


def test_unselected_dead_voter_blocks_the_quorum() -> None:
    result = report("/health/quorum?agent=s1", [HEALTHY["s1"], HEALTHY["s2"], dead(HEALTHY["s3"])])

    assert (result["ok"], result["reason"]) == (False, "would_lose_quorum")
    assert "s3" in result["message"]


# Several agents.


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_several_agents_are_ok_if_each_is(question: Question) -> None:
    result = response(f"/health/{question}", HEALTHY.values())

    assert result.status_code == 200
    summary = json.loads(result.body)
    assert "3 of 3" in summary.pop("message")
    assert summary == {
        "verdict": question,
        "ok": True,
        "reason": "ok",
        "remedy": VERDICT_REASONS[VerdictReason.OK].remedy,
        "failing": [],
    }


def test_several_agents_fail_if_one_does() -> None:
    fleet = [HEALTHY["s1"], leaderless(HEALTHY["s2"]), client()]
    result = report("/health/ready", fleet)

    assert response("/health/ready", fleet).status_code == 503
    assert (result["ok"], result["reason"]) == (False, "no_leader")
    assert "2 of 3" in result["message"]
    assert "s2" in result["message"]
    assert result["remedy"] == VERDICT_REASONS[VerdictReason.NO_LEADER].remedy
    assert [each["agent"] for each in result["failing"]] == ["s2"]
    assert result["failing"][0] == {
        key: value for key, value in report("/health/ready?agent=s2", fleet).items() if key != "verdict"
    }


def test_only_named_agents_must_be_ok() -> None:
    fleet = [HEALTHY["s1"], leaderless(HEALTHY["s2"]), client()]

    assert response("/health/ready?agent=s1&agent=c1", fleet).status_code == 200
    assert response("/health/ready?agent=s1&agent=s2", fleet).status_code == 503


def test_agent_named_twice_is_selected_once() -> None:
    assert report("/health/live?agent=s1&agent=s1", HEALTHY.values())["agent"] == "s1"


def test_list_of_failing_agents_is_limited() -> None:
    fleet = [Snapshot(agent(f"a{number}")) for number in range(MAX_FAILING + 5)]
    result = report("/health/ready", fleet)

    assert f"0 of {MAX_FAILING + 5}" in result["message"]
    assert "a0" in result["message"]
    assert [each["agent"] for each in result["failing"]] == [f"a{number}" for number in range(MAX_FAILING)]


# Clusters.


def in_cluster(name: str, fleet: Iterable[Snapshot]) -> list[Snapshot]:
    return [replace(each, agent=replace(each.agent, name=f"{name}-{each.agent.name}", cluster=name)) for each in fleet]


DEGRADED = [HEALTHY["s1"], HEALTHY["s2"], dead(HEALTHY["s3"])]


def test_quorum_of_several_agents_is_about_their_cluster() -> None:
    assert report("/health/quorum", [*HEALTHY.values(), client()]) == {
        "verdict": "quorum",
        "ok": True,
        "nomad_cluster": "default",
        "nomad_region": "unknown",
        "state": "ok",
        "reason": "ok",
        "message": "Any one voter can be lost: 3 of 3 voters healthy, 2 needed.",
        "remedy": VERDICT_REASONS[VerdictReason.OK].remedy,
        "details": report("/health/quorum?agent=s1", HEALTHY.values())["details"],
    }


def test_quorum_is_ok_only_if_every_cluster_can_lose_a_voter() -> None:
    result = report("/health/quorum", [*in_cluster("east", HEALTHY.values()), *in_cluster("west", DEGRADED)])

    assert (result["ok"], result["reason"]) == (False, "would_lose_quorum")
    assert result["message"] == ("1 of 2 clusters can lose any one voter. Not: west/unknown (would_lose_quorum).")
    assert [(each["nomad_cluster"], each["state"]) for each in result["clusters"]] == [
        ("east", "ok"),
        ("west", "no_tolerance"),
    ]


@pytest.mark.parametrize(("name", "status"), [("east", 200), ("west", 503), ("north", 404)])
def test_cluster_is_selected_by_name(name: str, status: int) -> None:
    fleet = [*in_cluster("east", HEALTHY.values()), *in_cluster("west", DEGRADED)]

    assert response(f"/health/quorum?cluster={name}", fleet).status_code == status


def test_unknown_cluster_is_404_with_the_known_names() -> None:
    result = response("/health/quorum?cluster=north", in_cluster("east", HEALTHY.values()))

    assert result.body == b"unknown cluster 'north' (known: east)\n"


def test_agents_and_clusters_exclude_each_other() -> None:
    result = response("/health/quorum?cluster=east&agent=east-s1", in_cluster("east", HEALTHY.values()))

    assert result.status_code == 400
    assert result.body == b"select agents with ?agent=NAME or clusters with ?cluster=NAME, not both\n"


def test_cluster_of_clients_does_not_count_beside_others() -> None:
    clients = in_cluster("west", [client("c1"), client("c2")])

    assert report("/health/quorum", [*in_cluster("east", HEALTHY.values()), *clients])["nomad_cluster"] == "east"
    assert response("/health/quorum", clients).status_code == 503
    assert response("/health/quorum?cluster=west", [*HEALTHY.values(), *clients]).status_code == 503


def test_cluster_of_clients_counts_until_every_agent_was_polled() -> None:
    clients = in_cluster("west", [client("c1"), Snapshot(agent("c2"))])
    result = report("/health/quorum", [*in_cluster("east", HEALTHY.values()), *clients])

    assert [(each["nomad_cluster"], each["reason"]) for each in result["clusters"]] == [
        ("east", "ok"),
        ("west", "starting"),
    ]


def test_quorum_of_one_configured_agent_is_about_that_agent() -> None:
    assert report("/health/quorum", [HEALTHY["s1"]])["agent"] == "s1"
    assert report("/health/quorum?cluster=default", [HEALTHY["s1"]])["nomad_cluster"] == "default"


def test_quorum_of_named_agents_is_about_these_agents() -> None:
    assert "1 of 2 agents" in report("/health/quorum?agent=s1&agent=s3", DEGRADED)["message"]


def test_quorum_is_starting_until_every_agent_was_polled() -> None:
    result = report("/health/quorum", [*HEALTHY.values(), Snapshot(agent("s4"))])

    assert (result["ok"], result["reason"]) == (False, "starting")


def test_names_are_not_escaped_to_ascii() -> None:
    assert "sërver".encode() in response("/health/live", [Snapshot(agent("sërver"))]).body


def test_thresholds_of_the_site_are_used() -> None:
    silent = dead(HEALTHY["s1"])

    assert response("/health/live", [silent]).status_code == 200
    assert response("/health/live", [silent], thresholds=Thresholds(failure_threshold=1)).status_code == 503


def test_path_returns_the_page() -> None:
    site = site_of(FixedStore(HEALTHY.values()), THRESHOLDS)

    assert verdict(site, get("/health/live"), AT) == response("/health/live", HEALTHY.values())
