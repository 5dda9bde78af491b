"""The quorum state: unresponsive voters, and the margin."""

from __future__ import annotations

from nomad_exporter.verdicts.reasons import VerdictReason
from tests.support.fleets import (
    Fleet,
    cluster,
    dead,
    evaluate_fleet,
    gossip,
    leaderless,
    polled_server,
    quorum,
    raft,
    reasons,
    self_answer,
)


def unresponsive(fleet: Fleet, name: str = "s1") -> set[str]:
    """Return the names of the unresponsive voters."""
    state = evaluate_fleet(fleet)[name].quorum_state
    assert state
    return {state.names[voter] for voter in state.unresponsive}


def margin(fleet: Fleet, name: str = "s1") -> int | None:
    state = evaluate_fleet(fleet)[name].quorum_state
    assert state
    return state.margin


def test_dead_voter_is_unresponsive_and_leaderless_one_is_not() -> None:
    fleet = cluster(3)

    assert unresponsive({**fleet, "s2": dead(fleet["s2"]), "s3": leaderless(fleet["s3"])}) == {"s2"}


def test_unmonitored_voter_must_be_alive_in_gossip() -> None:
    members = gossip(1, 2, failed=[3])
    alone = {"s1": leaderless(polled_server(1, self_answer(1, raft(1, 2, 3)), members))}

    assert unresponsive(alone) == {"s3.global"}


def test_voter_without_evidence_is_not_unresponsive() -> None:
    assert unresponsive({"s1": polled_server(1, self_answer(1, raft(1, 2, 3)), None)}) == set()


def test_lost_quorum_precedes_missing_leader() -> None:
    fleet = cluster(3)
    lost = {"s1": leaderless(fleet["s1"]), "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])}

    assert set(reasons(lost).values()) == {VerdictReason.QUORUM_LOST}
    assert quorum(lost, "s1").message == (
        "Quorum lost: 0 of 3 voters healthy, 2 needed (s2, s3 are not responding; s1 is unhealthy)."
    )


def test_election_is_no_lost_quorum() -> None:
    fleet = cluster(3)
    election = {"s1": dead(fleet["s1"]), "s2": leaderless(fleet["s2"]), "s3": leaderless(fleet["s3"])}

    assert set(reasons(election).values()) == {VerdictReason.NO_LEADER}
    assert quorum(election, "s2").message == (
        "No healthy leader: 0 of 3 voters healthy, 2 needed (s1 is not responding; s2, s3 are unhealthy)."
    )


def test_lost_quorum_is_detected_before_the_leader_steps_down() -> None:
    fleet = cluster(3)

    assert reasons({**fleet, "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])})["s1"] is VerdictReason.QUORUM_LOST


def test_margin_needs_evidence_about_every_voter() -> None:
    fleet = cluster(3)

    assert margin(fleet) == 1
    assert margin({**fleet, "s3": dead(fleet["s3"])}) == 0
    assert margin(cluster(3, monitor=[1])) is None
