"""The quorum verdict: the cases that an operator meets, each by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Autopilot, AutopilotServer, Member, Members, RaftServer, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import apply
from nomad_exporter.verdicts.arithmetic import EvidenceSource
from nomad_exporter.verdicts.quorum import LIST_EVERY_SERVER
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import GATEWAY, HEALTHY, REFUSED, health
from tests.support.fleets import (
    AT,
    GOSSIP,
    THRESHOLDS,
    WITH_AUTOPILOT,
    Fleet,
    after_poll,
    agent,
    autopilot,
    cluster,
    cut_off,
    dead,
    evaluate_fleet,
    gossip,
    leaderless,
    member,
    polled_server,
    quorum,
    raft,
    reading,
    reasons,
    rpc,
    safe,
    self_answer,
    with_autopilot,
    without,
)

DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")


def quorum_state(fleet: Fleet, name: str = "s1", thresholds: Thresholds = THRESHOLDS) -> QuorumState:
    state = evaluate_fleet(fleet, thresholds)[name].quorum_state
    assert state
    return state


def numbers(fleet: Fleet, name: str = "s1", thresholds: Thresholds = THRESHOLDS) -> tuple[int, int, int]:
    """Return the numbers of voters, healthy voters and unknown voters."""
    count = quorum_state(fleet, name, thresholds).count
    return count.voters, count.healthy, count.unknown


# The number of voters.


@pytest.mark.parametrize(
    ("voters", "reason"),
    [
        pytest.param(1, VerdictReason.WOULD_LOSE_QUORUM, id="one voter never has a margin"),
        pytest.param(2, VerdictReason.WOULD_LOSE_QUORUM, id="two voters never have a margin"),
        pytest.param(3, VerdictReason.OK, id="three"),
        pytest.param(4, VerdictReason.OK, id="four"),
        pytest.param(5, VerdictReason.OK, id="five"),
    ],
)
def test_healthy_cluster_needs_three_voters_to_stop_one(voters: int, reason: VerdictReason) -> None:
    assert set(reasons(cluster(voters)).values()) == {reason}


@pytest.mark.parametrize(
    ("voters", "lost", "safe_agents"),
    [
        pytest.param(2, [2], set(), id="one of two"),
        pytest.param(3, [3], {"s3"}, id="one of three"),
        pytest.param(4, [4], {"s4"}, id="one of four"),
        pytest.param(5, [5], {"s1", "s2", "s3", "s4", "s5"}, id="one of five"),
        pytest.param(5, [4, 5], {"s4", "s5"}, id="two of five"),
        pytest.param(5, [3, 4, 5], set(), id="three of five"),
    ],
)
def test_healthy_voter_is_safe_to_stop_only_with_a_margin(voters: int, lost: list[int], safe_agents: set[str]) -> None:
    fleet = cluster(voters)
    for number in lost:
        fleet[f"s{number}"] = dead(fleet[f"s{number}"])

    assert safe(fleet) == safe_agents
    assert numbers(fleet) == (voters, voters - len(lost), 0)


def test_message_has_numbers_unhealthy_voters_and_expected() -> None:
    fleet = {
        name: after_poll(server, SELF, self_answer(number, raft(1, 2, 3), bootstrap_expect=5))
        for number, (name, server) in enumerate(cluster(3).items(), 1)
    }
    fleet["s3"] = dead(fleet["s3"])

    assert quorum(fleet, "s1").message == (
        "Do not stop: 2 of 3 voters healthy, 2 needed, 5 expected; "
        "stopping this server would lose quorum (s3 is not responding)."
    )
    assert quorum(fleet, "s3").message == (
        "Safe to stop: 2 of 3 voters healthy, 2 needed, 5 expected; "
        "this server is not a healthy voter (s3 is not responding)."
    )


def test_message_of_healthy_cluster_has_remaining_voters() -> None:
    assert quorum(cluster(3), "s1").message == (
        "Safe to stop: 3 of 3 voters healthy, 2 needed; 2 remain without this server."
    )


def test_message_of_single_voter() -> None:
    assert quorum(cluster(1), "s1").message == (
        "Do not stop: 1 of 1 voters healthy, 1 needed; stopping this server would lose quorum."
    )


def test_message_to_unhealthy_voter_without_quorum() -> None:
    fleet = {name: leaderless(server) if name != "s1" else server for name, server in cluster(3).items()}

    assert quorum(fleet, "s2").message == (
        "Do not stop: 1 of 3 voters healthy, 2 needed; too few voters are healthy already (s2, s3 are not ready)."
    )


def test_message_names_five_unhealthy_voters_at_most() -> None:
    fleet = cluster(13)
    for number in range(8, 14):
        fleet[f"s{number}"] = dead(fleet[f"s{number}"])

    assert "(s10, s11, s12, s13, s8 and 1 more are not responding)" in quorum(fleet, "s1").message


# The voters.


def test_nonvoter_does_not_count() -> None:
    configuration = raft(1, 2, 3, nonvoters=[4])
    members = gossip(1, 2, 3, 4)
    fleet = {f"s{number}": polled_server(number, self_answer(number, configuration), members) for number in range(1, 5)}

    assert numbers(fleet) == (3, 3, 0)
    assert safe(fleet) == set(fleet)

    degraded = {**fleet, "s3": dead(fleet["s3"])}
    assert safe(degraded) == {"s3", "s4"}


def test_server_that_left_gossip_remains_an_unhealthy_voter() -> None:
    fleet = cluster(3, monitor=[1, 2], left=[3])

    assert reasons(fleet) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}
    assert numbers(fleet) == (3, 2, 0)


@pytest.mark.parametrize("status", ["leaving", "left", "failed"])
def test_voter_that_is_not_alive_in_gossip_is_unhealthy(status: str) -> None:
    fleet = cluster(3, **{status: [3]})

    assert numbers(fleet) == (3, 2, 0)
    assert safe(fleet) == {"s3"}


def test_server_outside_the_configuration_is_not_a_voter() -> None:
    members = gossip(1, 2, 3, 4, 5)
    fleet = {f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3)), members) for number in (1, 2, 3)}

    assert numbers(fleet) == (3, 3, 0)


def test_voter_missing_from_gossip_is_unhealthy() -> None:
    fleet = {f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3)), gossip(1, 2)) for number in (1, 2)}

    assert numbers(fleet) == (3, 2, 0)
    assert safe(fleet) == set()


def test_two_voters_remain_after_autopilot_removes_a_dead_one() -> None:
    members = gossip(1, 2, failed=[3])
    fleet = {
        f"s{number}": polled_server(number, self_answer(number, raft(1, 2), bootstrap_expect=3), members)
        for number in (1, 2)
    }

    assert reasons(fleet) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}
    assert quorum(fleet, "s1").message.startswith("Do not stop: 2 of 2 voters healthy, 2 needed, 3 expected;")


def test_dead_server_removed_by_autopilot_is_safe_to_stop() -> None:
    fleet = cluster(3)
    for number in (1, 2):
        fleet[f"s{number}"] = after_poll(fleet[f"s{number}"], SELF, self_answer(number, raft(1, 2)))
    fleet["s3"] = dead(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_restarted_server_without_vote_does_not_count() -> None:
    configuration = raft(1, 2, nonvoters=[3])
    fleet = {
        f"s{number}": polled_server(number, self_answer(number, configuration), gossip(1, 2, 3))
        for number in range(1, 4)
    }

    assert numbers(fleet) == (2, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_wiped_server_with_a_new_id_is_not_the_missing_voter() -> None:
    wiped = member(3, id="id-new")
    members = Members((member(1), member(2), wiped))
    fleet = {
        "s1": polled_server(1, self_answer(1, raft(1, 2, 3)), members),
        "s2": polled_server(2, self_answer(2, raft(1, 2, 3)), members),
        "s3": polled_server(3, self_answer(3, raft(1, 2, 3), member=wiped), members),
    }

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_new_id_at_the_address_of_voter_makes_voter_unhealthy() -> None:
    replacement = polled_server(3, self_answer(3, raft(1, 2, 3), member=member(3, id="id-new")), gossip(1, 2, 3))
    fleet = {**cluster(3, monitor=[1, 2]), "s3": replacement}

    assert numbers(fleet, thresholds=GOSSIP) == (3, 2, 0)
    assert safe(fleet, GOSSIP) == {"s3"}


def unidentified(name: str) -> Snapshot:
    """Return an agent that has never answered self."""
    return after_poll(Snapshot(agent(name)), SELF, TIMED_OUT)


def test_unidentified_agent_may_be_any_unmonitored_voter() -> None:
    fleet = {**cluster(3, monitor=[1, 2]), "dead": unidentified("dead")}

    assert reasons(fleet, GOSSIP)["s1"] is VerdictReason.INSUFFICIENT_EVIDENCE
    assert "(1 unknown: no poll proves it healthy)" in quorum(fleet, "s1", GOSSIP).message


def test_unidentified_agent_does_not_matter_if_all_are_monitored() -> None:
    assert safe({**cluster(3), "dead": unidentified("dead")}) == {"s1", "s2", "s3"}


# Addresses instead of IDs.


def old_raft(*voters: int, host: str = "10.0.0.{}") -> tuple[RaftServer, ...]:
    """Return a configuration of Raft protocol 2."""
    addresses = [f"{host.format(number)}:4647" for number in voters]
    return tuple(RaftServer("Voter", address, address) for address in addresses)


def test_raft_protocol_2_identifies_voters_by_address() -> None:
    members = Members(tuple(member(number, id="") for number in (1, 2, 3)))
    fleet = {
        f"s{number}": polled_server(
            number, self_answer(number, old_raft(1, 2, 3), member=member(number, id="")), members
        )
        for number in (1, 2, 3)
    }

    assert numbers(fleet) == (3, 3, 0)
    assert safe(fleet) == {"s1", "s2", "s3"}
    assert safe({**fleet, "s3": dead(fleet["s3"])}) == {"s3"}


def test_upgrade_to_raft_protocol_3_mixes_addresses_and_ids() -> None:
    configuration = (*old_raft(1), *raft(2, 3))
    fleet = {
        f"s{number}": polled_server(number, self_answer(number, configuration), gossip(1, 2, 3)) for number in (1, 2, 3)
    }

    assert numbers(fleet) == (3, 3, 0)


@pytest.mark.parametrize("protocol", [2, 3])
def test_cluster_with_ipv6_addresses(protocol: int) -> None:
    addresses = [f"[fd00::{number}]:4647" for number in (1, 2, 3)]
    servers = list(zip(addresses if protocol == 2 else ["a", "b", "c"], addresses, strict=True))
    configuration = tuple(RaftServer("Voter", *server) for server in servers)
    members = Members(tuple(Member(f"s{number}.global", "alive", *server) for number, server in enumerate(servers, 1)))
    texts = {"nomad.leader_addr": addresses[0]}
    fleet = {
        f"s{number}": polled_server(number, self_answer(number, configuration, member=own, texts=texts), members)
        for number, own in enumerate(members.members, 1)
    }

    assert numbers(fleet) == (3, 3, 0)
    assert quorum_state(fleet).leader == "s1"
    assert safe(fleet) == {"s1", "s2", "s3"}


# Clusters that must not be merged.


def renamed(fleet: Fleet, prefix: str) -> dict[str, Snapshot]:
    return {f"{prefix}-{name}": replace(server, agent=agent(f"{prefix}-{name}")) for name, server in fleet.items()}


def in_region(region: str, first: int, *, others: tuple[Member, ...] = ()) -> dict[str, Snapshot]:
    """Return three servers of a region, from number ``first`` on; ``others`` are in the gossip pool too."""
    servers = {
        number: member(number, name=f"s{number}.{region}", id=f"{region}-{number}", region=region)
        for number in range(first, first + 3)
    }
    configuration = tuple(RaftServer("Voter", server.id, server.address) for server in servers.values())
    members = Members((*servers.values(), *others))
    return {
        f"{region}-s{number}": polled_server(
            number, self_answer(number, configuration, leader=first, member=server), members, f"{region}-s{number}"
        )
        for number, server in servers.items()
    }


def test_two_federated_regions_are_two_clusters() -> None:
    failed = tuple(
        member(number, "failed", name=f"s{number}.west", id=f"west-{number}", region="west") for number in (7, 8, 9)
    )
    east, west = in_region("east", 1, others=failed), in_region("west", 7)
    west = {name: dead(server) for name, server in west.items()}

    assert safe({**east, **west}) == set(east)
    assert numbers({**east, **west}, "east-s1") == (3, 3, 0)


def test_unrelated_clusters_with_one_region_name_are_two() -> None:
    # Both may even have the same addresses, each in its own private network.
    one = renamed(cluster(3), "one")
    ids = [f"other-{number}" for number in (1, 2, 3)]
    configuration = tuple(RaftServer("Voter", name, rpc(number)) for number, name in enumerate(ids, 1))
    members = Members(tuple(member(number, id=name) for number, name in enumerate(ids, 1)))
    other = {
        f"other-s{number}": dead(
            polled_server(
                number,
                self_answer(number, configuration, member=member(number, id=name)),
                members,
                f"other-s{number}",
            )
        )
        for number, name in enumerate(ids, 1)
    }

    assert safe({**one, **other}) == set(one)
    assert numbers({**one, **other}, "one-s1") == (3, 3, 0)
    assert numbers({**one, **other}, "other-s1") == (3, 0, 0)


# The leader.


def test_no_agent_is_safe_to_stop_without_a_leader() -> None:
    fleet = {name: leaderless(server) for name, server in cluster(3).items()}

    assert set(reasons(fleet).values()) == {VerdictReason.NO_LEADER}


def test_candidate_is_unhealthy_and_does_not_affect_the_leader() -> None:
    fleet = cluster(3)
    candidate = self_answer(3, raft(1, 2, 3), leader=None, texts={"raft.state": "Candidate", "nomad.leader_addr": ""})
    fleet["s3"] = leaderless(after_poll(fleet["s3"], SELF, candidate))

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }
    assert quorum_state(fleet).leader == "s1"


def test_isolated_server_with_its_old_leader_is_unhealthy() -> None:
    fleet = cluster(3)
    for number in (1, 2):
        answer = self_answer(number, raft(1, 2, 3), leader=2)
        fleet[f"s{number}"] = after_poll(fleet[f"s{number}"], SELF, answer)
    fleet["s3"] = cut_off(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }
    assert quorum_state(fleet).leader == "s2"


def test_minority_of_a_partition_has_no_leader() -> None:
    fleet = {"s3": cut_off(cluster(3)["s3"])}

    assert reasons(fleet, GOSSIP) == {"s3": VerdictReason.NO_LEADER}
    assert quorum_state(fleet, "s3", GOSSIP).leader == ""


def test_dead_leader_is_no_leader() -> None:
    fleet = cluster(5)
    fleet["s1"] = dead(fleet["s1"])

    assert set(reasons(fleet).values()) == {VerdictReason.NO_LEADER}


def test_unmonitored_leader_has_its_gossip_name_or_address() -> None:
    known = cluster(3, monitor=[2, 3])
    unknown = {f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3)), None) for number in (2, 3)}

    assert quorum_state(known, "s2").leader == "s1.global"
    assert quorum_state(unknown, "s2").leader == "10.0.0.1:4647"


def test_leader_outside_the_configuration_is_no_leader() -> None:
    fleet = {"s1": polled_server(1, self_answer(1, raft(1, 2, 3), leader=4), gossip(1, 2, 3, 4))}

    assert reasons(fleet, GOSSIP) == {"s1": VerdictReason.NO_LEADER}


def test_quorum_is_lost_before_the_leader_steps_down() -> None:
    fleet = cluster(3)
    for name in ("s2", "s3"):
        fleet[name] = dead(fleet[name])

    assert set(reasons(fleet).values()) == {VerdictReason.QUORUM_LOST}
    assert quorum(fleet, "s1").message == "1 of 3 voters healthy, 2 needed (s2, s3 are not responding)."


def test_quorum_is_lost_if_gateways_respond_for_two_of_three_voters() -> None:
    fleet = cluster(3)
    for name in ("s2", "s3"):
        fleet[name] = after_poll(fleet[name], HEALTH, GATEWAY)

    assert set(reasons(fleet).values()) == {VerdictReason.QUORUM_LOST}


# Evidence.


@pytest.mark.parametrize(
    ("thresholds", "reason"),
    [(THRESHOLDS, VerdictReason.INSUFFICIENT_EVIDENCE), (GOSSIP, VerdictReason.OK)],
    ids=["default", "gossip trusted"],
)
def test_gossip_alone_is_insufficient_unless_trusted(thresholds: Thresholds, reason: VerdictReason) -> None:
    assert reasons(cluster(3, monitor=[1]), thresholds) == {"s1": reason}


@pytest.mark.parametrize(
    ("monitor", "thresholds", "is_own"),
    [
        pytest.param([1], THRESHOLDS, True, id="one server"),
        pytest.param([1], WITH_AUTOPILOT, False, id="one server, autopilot without an answer"),
        pytest.param([1, 2], THRESHOLDS, False, id="two servers"),
    ],
)
def test_remedy_for_one_monitored_server_is_to_list_every_server(
    monitor: list[int], thresholds: Thresholds, is_own: bool
) -> None:
    verdict = quorum(cluster(3, monitor=monitor), "s1", thresholds)

    assert verdict.reason is VerdictReason.INSUFFICIENT_EVIDENCE
    assert verdict.remedy == (LIST_EVERY_SERVER if is_own else VERDICT_REASONS[verdict.reason].remedy)


def test_remedy_differs_if_the_other_servers_are_listed_but_do_not_respond() -> None:
    fleet = {**cluster(3, monitor=[1]), "s2": dead(Snapshot(agent("s2"))), "s3": dead(Snapshot(agent("s3")))}
    verdict = quorum(fleet, "s1")

    assert verdict.reason is VerdictReason.INSUFFICIENT_EVIDENCE
    assert verdict.remedy == VERDICT_REASONS[verdict.reason].remedy


def test_message_says_that_gossip_is_the_only_evidence() -> None:
    assert quorum(cluster(3, monitor=[1]), "s1").message == (
        "1 of 3 voters healthy, 2 needed (2 unknown: gossip is the only evidence)."
    )


@pytest.mark.parametrize(
    ("monitor", "thresholds", "answer", "basis"),
    [
        pytest.param(None, THRESHOLDS, None, EvidenceSource.DIRECT, id="all are monitored"),
        pytest.param([1], WITH_AUTOPILOT, autopilot(1, 2, 3), EvidenceSource.AUTOPILOT, id="autopilot"),
        pytest.param([1], GOSSIP, None, EvidenceSource.GOSSIP, id="trusted gossip"),
        pytest.param([1, 2], GOSSIP, None, EvidenceSource.GOSSIP, id="the weakest source decides"),
    ],
)
def test_basis_is_the_weakest_source(
    monitor: list[int] | None, thresholds: Thresholds, answer: Autopilot | None, basis: EvidenceSource
) -> None:
    fleet = cluster(3, monitor)
    if answer:
        fleet = with_autopilot(fleet, answer)

    assert quorum_state(fleet, "s1", thresholds).basis is basis


def test_gossip_and_autopilot_are_sufficient() -> None:
    fleet = with_autopilot(cluster(3, monitor=[1]), autopilot(1, 2, 3))

    assert reasons(fleet, WITH_AUTOPILOT) == {"s1": VerdictReason.OK}


def test_autopilot_is_ignored_unless_polled() -> None:
    fleet = with_autopilot(cluster(3, monitor=[1]), autopilot(1, 2, 3))

    assert reasons(fleet, THRESHOLDS) == {"s1": VerdictReason.INSUFFICIENT_EVIDENCE}


@pytest.mark.parametrize("failure", [pytest.param(DENIED, id="token rejected"), pytest.param(TIMED_OUT, id="timeout")])
def test_failed_autopilot_poll_leaves_voters_unknown(failure: Failure) -> None:
    alone = with_autopilot(cluster(3, monitor=[1]), failure)

    assert reasons(alone, WITH_AUTOPILOT) == {"s1": VerdictReason.INSUFFICIENT_EVIDENCE}
    assert "(2 unknown: autopilot health is not available)" in quorum(alone, "s1", WITH_AUTOPILOT).message


@pytest.mark.parametrize("outcome", [DENIED, TIMED_OUT, autopilot(1, 2, unhealthy=[3])], ids=str)
def test_autopilot_is_ignored_for_monitored_voters(outcome: Autopilot | Failure) -> None:
    assert set(reasons(with_autopilot(cluster(3), outcome), WITH_AUTOPILOT).values()) == {VerdictReason.OK}


def test_autopilot_never_polled_is_no_evidence() -> None:
    assert set(reasons(cluster(3, monitor=[2, 3]), WITH_AUTOPILOT).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(autopilot(1, 2, unhealthy=[3]), id="unhealthy"),
        pytest.param(autopilot(1, 2), id="missing"),
        pytest.param(
            Autopilot(True, servers=(*autopilot(1, 2).servers, AutopilotServer("id-3", healthy=True))), id="nonvoter"
        ),
    ],
)
def test_voter_not_healthy_in_autopilot_is_unhealthy(answer: Autopilot) -> None:
    fleet = with_autopilot(cluster(3, monitor=[1, 2]), answer)

    assert numbers(fleet, thresholds=WITH_AUTOPILOT) == (3, 2, 0)
    assert safe(fleet, WITH_AUTOPILOT) == set()


def test_all_autopilot_answers_must_have_the_voter_healthy() -> None:
    followers = cluster(3, monitor=[2, 3])
    by_one = with_autopilot(followers, autopilot(1, 2, 3), "s2")

    assert set(reasons(by_one, WITH_AUTOPILOT).values()) == {VerdictReason.OK}
    for answer in (autopilot(2, 3, unhealthy=[1]), autopilot(2, 3)):
        assert numbers(with_autopilot(by_one, answer, "s3"), "s2", WITH_AUTOPILOT) == (3, 2, 0)


def test_autopilot_answer_of_dead_leader_is_ignored() -> None:
    fleet = with_autopilot(cluster(3, monitor=[1, 2]), autopilot(1, 2, 3))
    fleet["s2"] = after_poll(fleet["s2"], SELF, self_answer(2, raft(1, 2, 3), leader=2))
    fleet["s1"] = dead(fleet["s1"])

    assert reasons(fleet, WITH_AUTOPILOT) == {
        "s1": VerdictReason.INSUFFICIENT_EVIDENCE,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
    }
    assert numbers(fleet, "s2", WITH_AUTOPILOT) == (3, 1, 1)


def test_trusted_gossip_does_not_outweigh_direct_evidence() -> None:
    fleet = cluster(3)
    fleet["s3"] = dead(fleet["s3"])

    assert safe(fleet, GOSSIP) == {"s3"}


def test_voter_must_be_alive_for_all_healthy_servers() -> None:
    fleet = cluster(3, monitor=[1, 2])
    fleet["s2"] = after_poll(fleet["s2"], MEMBERS, gossip(1, 2, failed=[3]))

    assert numbers(fleet, thresholds=GOSSIP) == (3, 2, 0)


def test_gossip_of_unhealthy_server_is_ignored() -> None:
    fleet = cluster(3)
    fleet["s3"] = leaderless(after_poll(fleet["s3"], MEMBERS, gossip(3, failed=[1, 2])))

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet)["s1"] is VerdictReason.WOULD_LOSE_QUORUM


def test_all_voters_are_unknown_without_members() -> None:
    fleet = {f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3)), DENIED) for number in (1, 2, 3)}

    assert set(reasons(fleet).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}
    assert set(reasons(fleet, GOSSIP).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}
    assert "(3 unknown: no server reports its members)" in quorum(fleet, "s1").message


@pytest.mark.parametrize("voters", [1, 2])
def test_more_evidence_cannot_help_one_or_two_voters(voters: int) -> None:
    configuration = raft(*range(1, voters + 1))
    fleet = {
        f"s{number}": polled_server(number, self_answer(number, configuration), DENIED)
        for number in range(1, voters + 1)
    }

    assert set(reasons(fleet).values()) == {VerdictReason.WOULD_LOSE_QUORUM}


def test_members_of_one_server_are_sufficient() -> None:
    fleet = {f"s{number}": polled_server(number, self_answer(number, raft(1, 2, 3)), DENIED) for number in (2, 3)}
    fleet["s1"] = cluster(3)["s1"]

    assert safe(fleet) == {"s1", "s2", "s3"}


# Direct evidence.


@pytest.mark.parametrize(
    "failed",
    [FailureReason.REFUSED, FailureReason.RESET, FailureReason.TIMEOUT, FailureReason.TLS, FailureReason.STATUS],
)
def test_one_failed_health_poll_makes_voter_unhealthy(failed: FailureReason) -> None:
    fleet = cluster(3)
    fleet["s3"] = after_poll(fleet["s3"], HEALTH, Failure(failed, "any detail"))

    assert safe(fleet) == {"s3"}


@pytest.mark.parametrize("source", [SELF, MEMBERS])
def test_unresponsive_poll_makes_voter_unhealthy_for_a_while(source: Source[Any]) -> None:
    fleet = cluster(3)
    fleet["s3"] = after_poll(fleet["s3"], source, REFUSED, 0.5)
    assert safe(fleet) == {"s3"}

    fleet["s3"] = after_poll(fleet["s3"], HEALTH, fleet["s1"][HEALTH].answer)
    assert safe(fleet) == {"s1", "s2", "s3"}


@pytest.mark.parametrize("reason", [FailureReason.DNS, FailureReason.INTERNAL, FailureReason.CREDENTIALS])
def test_fault_of_the_exporter_leaves_voters_unproven(reason: FailureReason) -> None:
    own = Failure(reason, "own fault")
    fleet = cluster(3)
    one = {**fleet, "s3": after_poll(fleet["s3"], HEALTH, own)}
    each = {name: after_poll(server, HEALTH, own) for name, server in fleet.items()}

    assert numbers(one) == (3, 2, 1)
    assert reasons(one)["s1"] is VerdictReason.INSUFFICIENT_EVIDENCE
    assert numbers(each) == (3, 0, 3)
    assert VerdictReason.QUORUM_LOST not in reasons(each).values()


def test_unresponsive_autopilot_does_not_make_voter_unhealthy() -> None:
    fleet = with_autopilot(cluster(3), autopilot(1, 2, 3))
    fleet["s3"] = after_poll(fleet["s3"], AUTOPILOT, TIMED_OUT, 0.5)

    assert safe(fleet, WITH_AUTOPILOT) == {"s1", "s2", "s3"}


def test_poll_started_before_the_health_answer_is_ignored() -> None:
    fleet = cluster(3)
    fleet["s3"] = after_poll(fleet["s3"], MEMBERS, TIMED_OUT, ago=0.5, seconds=4.0)

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_rejected_token_does_not_make_voter_unhealthy() -> None:
    fleet = cluster(3)
    fleet["s3"] = after_poll(after_poll(fleet["s3"], SELF, DENIED), MEMBERS, DENIED)

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_recovered_voter_is_unhealthy_after_next_failed_poll() -> None:
    fleet = cluster(3)
    died = dead(fleet["s3"])
    recovered = after_poll(died, HEALTH, fleet["s3"][HEALTH].answer)

    assert safe({**fleet, "s3": recovered}) == {"s1", "s2", "s3"}
    assert safe({**fleet, "s3": dead(recovered)}) == {"s3"}


@pytest.mark.parametrize(("ago", "safe_agents"), [(10.0, {"s1", "s2", "s3"}), (10.1, {"s3"})])
def test_health_answer_is_evidence_for_two_intervals(ago: float, safe_agents: set[str]) -> None:
    fleet = cluster(3)
    fleet["s3"] = without(fleet["s3"], HEALTH)
    fleet["s3"] = after_poll(fleet["s3"], HEALTH, fleet["s1"][HEALTH].answer, ago)

    assert safe(fleet) == safe_agents


def test_age_of_slow_answer_starts_at_its_end() -> None:
    fleet = cluster(3)
    fleet["s3"] = after_poll(without(fleet["s3"], HEALTH), HEALTH, fleet["s1"][HEALTH].answer, ago=9.0, seconds=4.0)

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_oldest_evidence_is_the_oldest_healthy_answer() -> None:
    fleet = cluster(3)
    fleet["s2"] = after_poll(without(fleet["s2"], HEALTH), HEALTH, fleet["s1"][HEALTH].answer, 7.5)
    fleet["s3"] = dead(fleet["s3"])

    assert quorum_state(fleet).oldest_evidence == 7.5
    assert quorum_state({"s3": fleet["s3"]}, "s3").oldest_evidence is None


# Conflicting views.


def conflicting_views(polls: int) -> dict[str, Snapshot]:
    """Return servers of which one has reported another leader in its last ``polls`` polls."""
    fleet = cluster(3)
    for _ in range(polls):
        fleet["s3"] = after_poll(fleet["s3"], SELF, self_answer(3, raft(1, 2, 3), leader=2))
    return fleet


def test_views_conflict_after_two_polls() -> None:
    assert set(reasons(conflicting_views(1)).values()) == {VerdictReason.OK}
    assert set(reasons(conflicting_views(2)).values()) == {VerdictReason.CONFLICTING_VIEWS}


def test_views_with_different_voters_conflict() -> None:
    fleet = cluster(4)
    for _ in range(2):
        fleet["s4"] = after_poll(fleet["s4"], SELF, self_answer(4, raft(1, 2, 3, 4, 5)))

    assert set(reasons(fleet).values()) == {VerdictReason.CONFLICTING_VIEWS}


def test_order_and_nonvoters_are_no_conflict() -> None:
    fleet = cluster(3)
    for _ in range(2):
        fleet["s3"] = after_poll(fleet["s3"], SELF, self_answer(3, raft(3, 1, 2, nonvoters=[4])))

    assert set(reasons(fleet).values()) == {VerdictReason.OK}


def test_view_of_unhealthy_server_is_no_conflict() -> None:
    fleet = conflicting_views(3)
    fleet["s3"] = cut_off(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


# Identity and restarts.


def test_server_without_identity_counts_as_healthy_voter() -> None:
    fleet = {
        "s1": polled_server(1, self_answer(1, raft(1, 2, 3), member=None), gossip(1, 2, failed=[3])),
        "s2": polled_server(2, self_answer(2, raft(1, 2, 3)), gossip(1, 2, failed=[3])),
    }

    assert reasons(fleet, GOSSIP) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}


def without_vote(number: int, ago: float = 0.0) -> Snapshot:
    """Return a server that has reported ``ago`` seconds ago that it is a nonvoter."""
    configuration = raft(*({1, 2, 3} - {number}), nonvoters=[number])
    return after_poll(cluster(3)[f"s{number}"], SELF, self_answer(number, configuration), ago)


def test_server_that_denies_its_vote_is_unhealthy() -> None:
    fleet = {**cluster(3), "s2": without_vote(2)}

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.OK,
        "s3": VerdictReason.WOULD_LOSE_QUORUM,
    }
    assert safe(fleet, GOSSIP) == {"s2"}


def test_expired_denial_of_vote_is_ignored() -> None:
    fleet = {**cluster(3), "s2": after_poll(without_vote(2, ago=1), SELF, DENIED)}

    assert safe(fleet) == {"s1", "s2", "s3"}


def restarted(number: int, ago: float, failure: Failure = REFUSED) -> Snapshot:
    """Return a server that refused a poll ``ago`` seconds ago, and has answered health but not self since."""
    snapshot = cluster(3)[f"s{number}"]
    for outcome, when in ((failure, ago), (health({Role.SERVER: HEALTHY}), 0.2)):
        snapshot, _ = apply(snapshot, reading(HEALTH, outcome, when))
    return snapshot


@pytest.mark.parametrize("failure", [REFUSED, GATEWAY], ids=lambda failure: failure.reason)
def test_restarted_server_is_unhealthy_until_a_newer_self_answer(failure: Failure) -> None:
    # All servers answered self a second ago. The server may have left since and returned without a vote.
    fleet = {**cluster(3), "s2": restarted(2, 0.5, failure)}
    polled_again = {**fleet, "s2": apply(fleet["s2"], reading(SELF, self_answer(2, raft(1, 2, 3))))[0]}

    assert safe(fleet) == {"s2"}
    assert safe(polled_again) == {"s1", "s2", "s3"}
    assert safe({**cluster(3), "s2": restarted(2, 1.5, failure)}) == {"s1", "s2", "s3"}


def test_server_whose_gateway_timed_out_has_not_restarted() -> None:
    timed_out = replace(GATEWAY, status=504)

    assert safe({**cluster(3), "s2": restarted(2, 0.5, timed_out)}) == {"s1", "s2", "s3"}


def test_server_without_voters_is_unknown() -> None:
    for configuration in (None, ()):
        isolated = polled_server(9, replace(self_answer(9, (), leader=None), configuration=configuration), gossip(9))
        fleet = {**cluster(3), "s9": isolated}

        assert reasons(fleet)["s9"] is VerdictReason.UNKNOWN
        assert safe(fleet) == {"s1", "s2", "s3"}


@pytest.mark.parametrize(("ago", "reason"), [(45.0, VerdictReason.OK), (45.1, VerdictReason.UNKNOWN)])
def test_old_self_answers_are_unknown(ago: float, reason: VerdictReason) -> None:
    fleet = {}
    for name, server in cluster(3).items():
        fleet[name] = after_poll(without(server, SELF), SELF, server[SELF].answer, ago)

    assert set(reasons(fleet).values()) == {reason}


def test_unreadable_self_falls_back_to_older_answer_and_others() -> None:
    fleet = cluster(3)
    fleet["s2"] = without(fleet["s2"], SELF)
    fleet["s2"] = after_poll(fleet["s2"], SELF, self_answer(2, raft(1, 2, 3)), ago=3600)
    fleet["s2"] = after_poll(fleet["s2"], SELF, DENIED)

    assert safe(fleet) == {"s1", "s2", "s3"}
    assert AT.since(fleet["s2"][SELF].answered or AT) == 3600
