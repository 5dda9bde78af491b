"""The quorum state: unresponsive voters, the leader, and the failure tolerance."""

from __future__ import annotations

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Members
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF
from nomad_exporter.verdicts.quorum_state import Leader
from nomad_exporter.verdicts.reasons import VerdictReason
from tests.support.fleets import (
    AT,
    Fleet,
    after_poll,
    cluster,
    dead,
    evaluate_fleet,
    gossip,
    leaderless,
    member,
    polled_server,
    quorum,
    raft,
    reasons,
    self_answer,
    without,
)


def unresponsive(fleet: Fleet, name: str = "s1") -> set[str]:
    """Return the names of the unresponsive voters."""
    state = evaluate_fleet(fleet)[name].quorum_state
    assert state
    return {state.names[voter] for voter in state.unresponsive}


def tolerance(fleet: Fleet, name: str = "s1") -> int | None:
    state = evaluate_fleet(fleet)[name].quorum_state
    assert state
    return state.failure_tolerance


def test_dead_voter_is_unresponsive_and_leaderless_one_is_not() -> None:
    fleet = cluster(3)

    assert unresponsive({**fleet, "s2": dead(fleet["s2"]), "s3": leaderless(fleet["s3"])}) == {"s2"}


def test_unmonitored_voter_must_be_alive_in_gossip_of_healthy_server() -> None:
    server = polled_server(1, self_answer(1, raft(1, 2, 3)), gossip(1, 2, failed=[3]))

    assert unresponsive({"s1": server}) == {"s3.global"}
    assert unresponsive({"s1": leaderless(server)}) == set()


def test_gossip_without_a_quorum_is_outdated_while_leader_is_reached() -> None:
    server = polled_server(1, self_answer(1, raft(1, 2, 3)), gossip(1, failed=[2, 3]))

    assert unresponsive({"s1": server}) == set()
    assert tolerance({"s1": server}) is None


@pytest.mark.parametrize(
    ("reason", "is_unresponsive"),
    [
        (FailureReason.REFUSED, True),
        (FailureReason.RESET, True),
        (FailureReason.TIMEOUT, True),
        (FailureReason.UNREACHABLE, True),
        (FailureReason.DNS, False),
        (FailureReason.TLS, False),
        (FailureReason.CREDENTIALS, False),
        (FailureReason.UNAUTHORIZED, False),
        (FailureReason.INTERNAL, False),
    ],
)
def test_only_missing_response_makes_voter_unresponsive(reason: FailureReason, is_unresponsive: bool) -> None:
    fleet = cluster(3)
    failed = after_poll(fleet["s3"], HEALTH, Failure(reason, "failed"))

    assert unresponsive({**fleet, "s3": failed}) == ({"s3"} if is_unresponsive else set())


def test_numbers_of_voters_add_up() -> None:
    fleet = cluster(5)
    fleet = {**fleet, "s4": leaderless(fleet["s4"]), "s5": dead(fleet["s5"])}
    state = evaluate_fleet(fleet)["s1"].quorum_state

    assert state
    assert state.voters == {"healthy": 3, "unhealthy": 1, "unknown": 1}


def test_voters_of_dead_servers_stay_known() -> None:
    fleet = {name: dead(server) for name, server in cluster(3).items()}
    state = evaluate_fleet(fleet, at=AT + 86_400)["s1"].quorum_state

    assert state
    assert (state.is_current, state.voters) == (False, {"healthy": 0, "unhealthy": 3, "unknown": 0})
    assert state.failure_tolerance == -2


# The leader.


def with_leader_at(address: str, member_id: str = "id-1") -> Fleet:
    """Return a cluster whose leader, server 1, returned at another address than in the Raft configuration."""
    members = Members((member(1, id=member_id, address=address), member(2), member(3)))
    texts = {"nomad.leader_addr": address}
    return {
        f"s{number}": polled_server(
            number, self_answer(number, raft(1, 2, 3), texts=texts, member=members.members[number - 1]), members
        )
        for number in (1, 2, 3)
    }


def test_leader_at_another_address_is_found_by_its_id() -> None:
    fleet = with_leader_at("10.0.9.9:4647")

    assert set(reasons(fleet).values()) == {VerdictReason.OK}
    assert evaluate_fleet(fleet)["s2"].quorum_state.leader == "s1"  # type: ignore[union-attr]  # It has a state.


def test_leader_unknown_to_gossip_is_found_by_its_claim() -> None:
    fleet = {name: without(server, MEMBERS) for name, server in with_leader_at("10.0.9.9:4647").items()}
    alone = {"s1": after_poll(fleet["s1"], SELF, self_answer(1, raft(1, 2, 3), texts={"nomad.leader_addr": "x:4647"}))}

    assert evaluate_fleet(alone)["s1"].quorum_state.leader == "s1"  # type: ignore[union-attr]  # It has a state.


def test_elected_leader_is_that_of_the_newest_term() -> None:
    fleet = cluster(3)
    numbers = {"nomad.leader": 1, "raft.term": 3}
    newer = after_poll(fleet["s2"], SELF, self_answer(2, raft(1, 2, 3), leader=2, numbers=numbers))
    state = evaluate_fleet({**fleet, "s2": newer})["s1"].quorum_state

    assert state
    assert state.elected == Leader("s2", "10.0.0.2:4647", 3)


def test_candidate_of_a_higher_term_is_not_elected() -> None:
    fleet = cluster(3)
    candidate = after_poll(fleet["s3"], SELF, self_answer(3, raft(1, 2, 3), leader=None, numbers={"raft.term": 9}))
    state = evaluate_fleet({**fleet, "s3": candidate})["s1"].quorum_state

    assert state
    assert state.elected == Leader("s1", "10.0.0.1:4647", 2)


def test_dead_leader_is_not_elected() -> None:
    fleet = cluster(3)
    state = evaluate_fleet({**fleet, "s1": dead(fleet["s1"])})["s2"].quorum_state

    assert state
    assert state.elected is None


def test_voter_without_evidence_is_not_unresponsive() -> None:
    assert unresponsive({"s1": polled_server(1, self_answer(1, raft(1, 2, 3)), None)}) == set()


def test_lost_quorum_precedes_missing_leader() -> None:
    fleet = cluster(3)
    lost = {"s1": leaderless(fleet["s1"]), "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])}

    assert set(reasons(lost).values()) == {VerdictReason.QUORUM_LOST}
    assert quorum(lost, "s1").message == (
        "0 of 3 voters healthy, 2 needed (s2, s3 are not responding; s1 is not ready)."
    )


def test_election_is_no_lost_quorum() -> None:
    fleet = cluster(3)
    election = {"s1": dead(fleet["s1"]), "s2": leaderless(fleet["s2"]), "s3": leaderless(fleet["s3"])}

    assert set(reasons(election).values()) == {VerdictReason.NO_LEADER}
    assert quorum(election, "s2").message == (
        "0 of 3 voters healthy, 2 needed; no healthy leader is known (s1 is not responding; s2, s3 are not ready)."
    )


def test_lost_quorum_is_detected_before_the_leader_steps_down() -> None:
    fleet = cluster(3)

    assert reasons({**fleet, "s2": dead(fleet["s2"]), "s3": dead(fleet["s3"])})["s1"] is VerdictReason.QUORUM_LOST


def test_tolerance_needs_evidence_about_every_voter() -> None:
    fleet = cluster(3)

    assert tolerance(fleet) == 1
    assert tolerance({**fleet, "s3": dead(fleet["s3"])}) == 0
    assert tolerance(cluster(3, monitor=[1])) is None


def test_tolerance_is_negative_only_if_quorum_is_lost() -> None:
    fleet = cluster(3)
    election = {"s1": dead(fleet["s1"]), "s2": leaderless(fleet["s2"]), "s3": leaderless(fleet["s3"])}
    lost = {**election, "s2": dead(fleet["s2"])}

    assert tolerance(election) is None
    assert tolerance(lost) == -1
