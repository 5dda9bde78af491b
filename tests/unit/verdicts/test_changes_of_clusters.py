"""Changes of the status of clusters, as log lines."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import LogLine
from nomad_exporter.verdicts.changes import CLUSTER_LINES, Clusters, Line, cluster_changes, update_clusters
from nomad_exporter.verdicts.cluster import ClusterStatus
from tests.support.answers import REFUSED
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    Fleet,
    after_poll,
    agent,
    client,
    cluster,
    dead,
    gossip,
    leaderless,
    polled_server,
    raft,
    self_answer,
)

UNRESOLVED = Failure(FailureReason.DNS, "cannot resolve host name")

HEALTHY = cluster(3)
DEGRADED = {**cluster(5), "s5": dead(cluster(5)["s5"])}
NO_TOLERANCE = {**HEALTHY, "s3": dead(HEALTHY["s3"])}
NO_LEADER = {name: leaderless(snapshot) for name, snapshot in HEALTHY.items()}
LOST = {name: dead(snapshot) for name, snapshot in HEALTHY.items()}
UNKNOWN = cluster(3, monitor=[1])


def clusters(fleet: Fleet, polled: str = "default") -> Clusters:
    return update_clusters({}, list(fleet.values()), {polled}, AT, THRESHOLDS)


def lines_of(*fleets: Fleet, pause: float = 0.0) -> list[Line]:
    """Return the lines of a cluster that goes through these states, which are evaluated with a pause between them."""
    thresholds = replace(THRESHOLDS, health_interval=1000.0)
    steps: list[Clusters] = [{}]
    for number, fleet in enumerate(fleets):
        at = AT + number * pause
        steps.append(update_clusters(steps[-1], list(fleet.values()), {"default"}, at, thresholds))
    return [line for before, after in pairwise(steps) for line in cluster_changes(before, after)]


def messages(*fleets: Fleet, pause: float = 0.0) -> list[str]:
    return [line.kind.message for line in lines_of(*fleets, pause=pause)]


def test_line_has_labels_and_numbers() -> None:
    (line,) = lines_of(HEALTHY, LOST)

    assert (line.kind.level, line.kind.message) == (logging.ERROR, "quorum lost")
    assert line.all_fields == {
        "event": "cluster_state",
        "state": "quorum_lost",
        "nomad_cluster": "default",
        "nomad_region": "unknown",
        "voters": "3",
        "healthy": "0",
        "unhealthy": "3",
        "unknown": "0",
        "quorum_size": "2",
    }


@pytest.mark.parametrize(
    ("fleets", "expected"),
    [
        pytest.param([HEALTHY, HEALTHY], [], id="ok"),
        pytest.param([LOST, LOST], ["quorum lost"], id="first status is a problem"),
        pytest.param([UNKNOWN, HEALTHY], ["cluster ok"], id="no evidence at first"),
        pytest.param([HEALTHY, UNKNOWN, HEALTHY], [], id="no evidence for a moment"),
        pytest.param(
            [HEALTHY, NO_LEADER, UNKNOWN, HEALTHY],
            ["no leader", "leader recovered"],
            id="election without evidence",
        ),
        pytest.param([HEALTHY, LOST, HEALTHY], ["quorum lost", "quorum recovered"], id="total loss"),
        pytest.param(
            [HEALTHY, LOST, NO_LEADER, NO_TOLERANCE, HEALTHY],
            ["quorum lost", "no leader", "leader recovered", "cluster ok"],
            id="slow recovery",
        ),
        pytest.param([HEALTHY, NO_TOLERANCE], ["no failure tolerance"], id="one of three died"),
        pytest.param([cluster(5), DEGRADED], ["cluster degraded"], id="one of five died"),
    ],
)
def test_change_and_recovery_have_a_message(fleets: list[Fleet], expected: list[str]) -> None:
    assert messages(*fleets) == expected


def test_lasting_lack_of_evidence_is_logged_once() -> None:
    fleets = [HEALTHY, *[UNKNOWN] * 6]

    assert messages(*fleets, pause=THRESHOLDS.max_age / 6) == []
    assert messages(*fleets, pause=THRESHOLDS.max_age / 4) == ["cluster state unknown"]


def test_recovery_is_logged_at_info() -> None:
    levels = [line.kind.level for line in lines_of(HEALTHY, NO_LEADER, HEALTHY, NO_TOLERANCE, HEALTHY)]

    assert levels == [logging.ERROR, logging.INFO, logging.WARNING, logging.INFO]


def expecting(servers: int, fleet: Fleet) -> Fleet:
    """Return the fleet after every server has reported this ``bootstrap_expect``."""
    expected = {}
    for name, each in fleet.items():
        answer = each[SELF].answer
        assert answer
        expected[name] = after_poll(each, SELF, replace(answer, bootstrap_expect=servers), 0.5)
    return expected


@pytest.mark.parametrize("voters", [1, 2])
def test_cluster_of_one_or_two_voters_does_not_warn(voters: int) -> None:
    fleet = cluster(voters)
    lost = {name: dead(each) for name, each in fleet.items()}

    assert lines_of(fleet) == lines_of(expecting(voters, fleet)) == []
    assert [line.kind for line in lines_of(lost, fleet)][1:] == [LogLine("quorum recovered")]
    unknown = {name: after_poll(each, HEALTH, UNRESOLVED) for name, each in fleet.items()}
    levels = {line.kind.level for line in lines_of(unknown, fleet) if line.fields["state"] == "no_tolerance"}
    assert levels == {logging.INFO}


def test_cluster_that_expects_a_third_voter_warns() -> None:
    assert [line.kind.level for line in lines_of(expecting(3, cluster(2)))] == [logging.WARNING]


def test_conflict_names_the_servers_and_the_key() -> None:
    other = {f"x{n}": polled_server(n, self_answer(n, raft(7, 8, 9)), gossip(7, 8, 9), f"x{n}") for n in (7, 8, 9)}

    (line,) = lines_of({**HEALTHY, **other})
    assert line.kind.message == "clusters conflict"
    assert (line.fields["agents"], line.fields["names"]) == ("6", "s1,s2,s3,x7,x8,…")
    assert "set the key cluster" in line.fields["remedy"]


def test_removed_cluster_is_forgotten() -> None:
    assert messages(LOST, {}, LOST) == ["quorum lost", "quorum lost"]


def test_cluster_has_no_line_before_all_agents_were_polled() -> None:
    assert clusters(LOST, polled="other") == {}


def test_clients_alone_have_no_status() -> None:
    assert clusters({"c1": client()}) == {}


def test_clients_do_not_matter() -> None:
    for fleet in (HEALTHY, LOST, UNKNOWN):
        assert clusters({**fleet, "c1": client()}) == clusters(fleet)


def test_server_that_is_not_polled_yet_does_not_count() -> None:
    assert clusters({**HEALTHY, "s4": Snapshot(agent("s4"))}).keys() == clusters(HEALTHY).keys()
    assert clusters({"c1": client(), "s4": Snapshot(agent("s4"))}) == {}


def test_every_status_has_its_lines() -> None:
    assert list(CLUSTER_LINES) == list(ClusterStatus)


def test_server_without_region_has_the_region_of_the_clients() -> None:
    silent = Snapshot(replace(agent("s9"), roles=frozenset({Role.SERVER})))
    silent = after_poll(after_poll(silent, HEALTH, REFUSED), SELF, REFUSED)

    assert [*clusters({"s9": silent, "c1": client(region="eu")})] == [("default", "eu")]
