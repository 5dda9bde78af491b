"""Which voters are there at all, and what is told only where enough is known."""

from __future__ import annotations

from nomad_exporter.verdicts.reasons import VerdictReason
from tests.support.fleets import Fleet, cluster, dead, evaluated, gossip, quorum, raft, reasons, red, told, watched


def absent(fleet: Fleet, name: str = "s1") -> set[str]:
    """The voters without any sign of life, as people call them."""
    standing = evaluated(fleet)[name].quorum_state
    assert standing
    return {standing.names[voter] for voter in standing.unresponsive}


def margin(fleet: Fleet, name: str = "s1") -> int | None:
    standing = evaluated(fleet)[name].quorum_state
    assert standing
    return standing.margin


def test_a_voter_that_is_silent_is_absent_and_one_that_is_red_is_not() -> None:
    fleet = cluster(3)

    assert absent({**fleet, "s2": dead(fleet["s2"]), "s3": red(fleet["s3"])}) == {"s2"}


def test_a_voter_that_is_not_watched_is_absent_where_no_server_that_answers_calls_it_alive() -> None:
    members = gossip(1, 2, failed=[3])
    alone = {"s1": red(watched(1, told(1, raft(1, 2, 3)), members))}

    assert absent(alone) == {"s3.global"}


def test_of_voters_of_whom_nobody_tells_none_is_absent() -> None:
    assert absent({"s1": watched(1, told(1, raft(1, 2, 3)), None)}) == set()


def test_with_too_few_voters_there_the_quorum_is_lost_though_no_leader_is_known_either() -> None:
    fleet = cluster(3)
    lost = {"s1": red(fleet["s1"]), "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])}

    assert set(reasons(lost).values()) == {VerdictReason.QUORUM_LOST}
    assert quorum(lost, "s1").message == (
        "Too few voters are there: 0 of 3 voters are well, 2 are needed "
        "(s2, s3 do not answer; s1 is there, but not well)."
    )


def test_with_enough_voters_there_but_no_leader_it_is_an_election() -> None:
    fleet = cluster(3)
    election = {"s1": dead(fleet["s1"]), "s2": red(fleet["s2"]), "s3": red(fleet["s3"])}

    assert set(reasons(election).values()) == {VerdictReason.NO_LEADER}


def test_a_lost_quorum_is_told_before_the_leader_itself_has_noticed() -> None:
    fleet = cluster(3)

    assert reasons({**fleet, "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])})["s1"] is VerdictReason.QUORUM_LOST


def test_the_margin_is_told_where_enough_is_known_of_every_voter() -> None:
    fleet = cluster(3)

    assert margin(fleet) == 1
    assert margin({**fleet, "s3": dead(fleet["s3"])}) == 0
    assert margin(cluster(3, watch=[1])) is None
