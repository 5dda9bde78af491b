"""Quorum: the cases that an operator meets, each by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Autopilot, AutopilotServer, Member, Members, RaftServer, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import apply
from nomad_exporter.verdicts.arithmetic import EvidenceSource
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import (
    AT,
    AUTOPILOT,
    GOSSIP,
    THRESHOLDS,
    Fleet,
    agent,
    asked,
    autopilot,
    cluster,
    dead,
    deserted,
    evaluated,
    gossip,
    member,
    quorum,
    raft,
    reading,
    reasons,
    red,
    rpc,
    safe,
    told,
    watched,
    with_autopilot,
    without,
)

DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")
SILENT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")


def quorum_state(fleet: Fleet, name: str = "s1", thresholds: Thresholds = THRESHOLDS) -> QuorumState:
    found = evaluated(fleet, thresholds)[name].quorum_state
    assert found
    return found


def numbers(fleet: Fleet, name: str = "s1", thresholds: Thresholds = THRESHOLDS) -> tuple[int, int, int]:
    """Voters, how many are well and of how many too little is known."""
    count = quorum_state(fleet, name, thresholds).count
    return count.voters, count.healthy, count.unknown


# How many voters there are.


@pytest.mark.parametrize(
    ("voters", "reason"),
    [
        pytest.param(1, VerdictReason.WOULD_LOSE_QUORUM, id="one voter never has a margin"),
        pytest.param(2, VerdictReason.WOULD_LOSE_QUORUM, id="two voters never have one"),
        pytest.param(3, VerdictReason.OK, id="three"),
        pytest.param(4, VerdictReason.OK, id="four"),
        pytest.param(5, VerdictReason.OK, id="five"),
    ],
)
def test_any_voter_of_a_cluster_that_is_well_may_be_stopped_from_three_voters_on(
    voters: int, reason: VerdictReason
) -> None:
    assert set(reasons(cluster(voters)).values()) == {reason}


@pytest.mark.parametrize(
    ("voters", "lost", "safe_are"),
    [
        pytest.param(2, [2], set(), id="one of two"),
        pytest.param(3, [3], {"s3"}, id="one of three"),
        pytest.param(4, [4], {"s4"}, id="one of four"),
        pytest.param(5, [5], {"s1", "s2", "s3", "s4", "s5"}, id="one of five"),
        pytest.param(5, [4, 5], {"s4", "s5"}, id="two of five"),
        pytest.param(5, [3, 4, 5], set(), id="three of five"),
    ],
)
def test_after_a_loss_only_the_dead_may_be_stopped_unless_there_is_a_margin(
    voters: int, lost: list[int], safe_are: set[str]
) -> None:
    fleet = cluster(voters)
    for number in lost:
        fleet[f"s{number}"] = dead(fleet[f"s{number}"])

    assert safe(fleet) == safe_are
    assert numbers(fleet) == (voters, voters - len(lost), 0)


def test_a_sentence_tells_the_numbers_who_is_not_well_and_what_was_meant() -> None:
    fleet = {
        name: asked(each, Source.SELF, told(number, raft(1, 2, 3), bootstrap_expect=5))
        for number, (name, each) in enumerate(cluster(3).items(), 1)
    }
    fleet["s3"] = dead(fleet["s3"])

    assert quorum(fleet, "s1").message == (
        "2 of 3 voters are well, 2 are needed, 5 were meant (s3 does not answer): without this one, too few are left."
    )
    assert quorum(fleet, "s3").message == (
        "2 of 3 voters are well, 2 are needed, 5 were meant (s3 does not answer), this one is none of them: "
        "it may be stopped."
    )


def test_a_sentence_names_five_of_those_that_are_not_well() -> None:
    fleet = cluster(13)
    for number in range(8, 14):
        fleet[f"s{number}"] = dead(fleet[f"s{number}"])

    assert "(s10, s11, s12, s13, s8, 1 more do not answer)" in quorum(fleet, "s1").message


# Who is a voter.


def test_a_nonvoter_counts_for_nothing_and_costs_nothing() -> None:
    configuration = raft(1, 2, 3, nonvoters=[4])
    fleet = {f"s{one}": watched(one, told(one, configuration), gossip(1, 2, 3, 4)) for one in range(1, 5)}

    assert numbers(fleet) == (3, 3, 0)
    assert safe(fleet) == set(fleet)

    without_one_voter = {**fleet, "s3": dead(fleet["s3"])}
    assert safe(without_one_voter) == {"s3", "s4"}


def test_a_server_that_left_but_is_still_in_the_configuration_is_a_voter_that_is_not_well() -> None:
    fleet = cluster(3, watch=[1, 2], left=[3])

    assert reasons(fleet) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}
    assert numbers(fleet) == (3, 2, 0)


@pytest.mark.parametrize("status", ["leaving", "left", "failed"])
def test_a_voter_that_gossip_does_not_call_alive_is_not_well_whatever_it_says_itself(status: str) -> None:
    fleet = cluster(3, **{status: [3]})

    assert numbers(fleet) == (3, 2, 0)
    assert safe(fleet) == {"s3"}


def test_a_server_in_gossip_but_not_in_the_configuration_is_no_voter() -> None:
    fleet = {f"s{one}": watched(one, told(one, raft(1, 2, 3)), gossip(1, 2, 3, 4, 5)) for one in range(1, 4)}

    assert numbers(fleet) == (3, 3, 0)


def test_a_voter_that_gossip_does_not_know_is_not_well() -> None:
    fleet = {f"s{one}": watched(one, told(one, raft(1, 2, 3)), gossip(1, 2)) for one in (1, 2)}

    assert numbers(fleet) == (3, 2, 0)
    assert safe(fleet) == set()


def test_autopilot_that_just_removed_the_dead_voter_leaves_two_voters_where_three_were_meant() -> None:
    fleet = {
        f"s{one}": watched(one, told(one, raft(1, 2), bootstrap_expect=3), gossip(1, 2, failed=[3])) for one in (1, 2)
    }

    assert reasons(fleet) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}
    assert quorum(fleet, "s1").message.startswith("2 of 2 voters are well, 2 are needed, 3 were meant")


def test_the_dead_server_that_autopilot_just_removed_may_stay_dead() -> None:
    fleet = cluster(3)
    for one in (1, 2):
        fleet[f"s{one}"] = asked(fleet[f"s{one}"], Source.SELF, told(one, raft(1, 2)))
    fleet["s3"] = dead(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_a_server_that_was_restarted_is_alive_in_gossip_and_no_voter_yet_costs_nothing_and_helps_nobody() -> None:
    configuration = raft(1, 2, nonvoters=[3])
    fleet = {f"s{one}": watched(one, told(one, configuration), gossip(1, 2, 3)) for one in range(1, 4)}

    assert numbers(fleet) == (2, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_a_wiped_server_that_is_back_at_its_address_with_another_id_is_not_the_voter_that_is_missing() -> None:
    wiped = member(3, id="id-new")
    members = Members((member(1), member(2), wiped))
    fleet = {
        "s1": watched(1, told(1, raft(1, 2, 3)), members),
        "s2": watched(2, told(2, raft(1, 2, 3)), members),
        "s3": watched(3, told(3, raft(1, 2, 3), member=wiped), members),
    }

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


def test_a_server_at_the_address_of_a_voter_but_with_another_id_speaks_against_it_before_gossip_does() -> None:
    newcomer = watched(3, told(3, raft(1, 2, 3), member=member(3, id="id-new")), gossip(1, 2, 3))
    fleet = {**cluster(3, watch=[1, 2]), "s3": newcomer}

    assert numbers(fleet, thresholds=GOSSIP) == (3, 2, 0)
    assert safe(fleet, GOSSIP) == {"s3"}


def stranger(name: str) -> Snapshot:
    """An agent that was asked who it is and never told."""
    return asked(Snapshot(agent(name)), Source.SELF, SILENT)


def test_an_agent_that_never_told_who_it_is_may_be_any_voter_for_whom_only_others_speak() -> None:
    fleet = {**cluster(3, watch=[1, 2]), "dead": stranger("dead")}

    assert reasons(fleet, GOSSIP)["s1"] is VerdictReason.INSUFFICIENT_EVIDENCE
    assert (
        "(too little is known of 1: an agent that never told who it is may be one)"
        in quorum(fleet, "s1", GOSSIP).message
    )


def test_an_agent_that_never_told_who_it_is_is_no_matter_where_every_voter_speaks_for_itself() -> None:
    assert safe({**cluster(3), "dead": stranger("dead")}) == {"s1", "s2", "s3"}


# Addresses for identities.


def old_raft(*voters: int, host: str = "10.0.0.{}") -> tuple[RaftServer, ...]:
    """The configuration of raft protocol 2."""
    addresses = [f"{host.format(one)}:4647" for one in voters]
    return tuple(RaftServer("Voter", address, address) for address in addresses)


def test_below_raft_protocol_3_a_voter_is_known_by_its_address() -> None:
    members = Members(tuple(member(one, id="") for one in (1, 2, 3)))
    fleet = {
        f"s{one}": watched(one, told(one, old_raft(1, 2, 3), member=member(one, id="")), members) for one in (1, 2, 3)
    }

    assert numbers(fleet) == (3, 3, 0)
    assert safe(fleet) == {"s1", "s2", "s3"}
    assert safe({**fleet, "s3": dead(fleet["s3"])}) == {"s3"}


def test_while_a_cluster_is_on_its_way_from_raft_protocol_2_to_3_each_voter_is_known_by_what_it_has() -> None:
    configuration = (*old_raft(1), *raft(2, 3))
    fleet = {f"s{one}": watched(one, told(one, configuration), gossip(1, 2, 3)) for one in (1, 2, 3)}

    assert numbers(fleet) == (3, 3, 0)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_cluster_of_ipv6_addresses_is_judged_as_any_other(protocol: int) -> None:
    addresses = [f"[fd00::{one}]:4647" for one in (1, 2, 3)]
    servers = list(zip(addresses if protocol == 2 else ["a", "b", "c"], addresses, strict=True))
    configuration = tuple(RaftServer("Voter", *server) for server in servers)
    members = Members(tuple(Member(f"s{n}.global", "alive", *server) for n, server in enumerate(servers, 1)))
    texts = {"nomad.leader_addr": addresses[0]}
    fleet = {
        f"s{n}": watched(n, told(n, configuration, member=one, texts=texts), members)
        for n, one in enumerate(members.members, 1)
    }

    assert numbers(fleet) == (3, 3, 0)
    assert quorum_state(fleet).leader == "s1"
    assert safe(fleet) == {"s1", "s2", "s3"}


# Clusters that must not be taken for one.


def renamed(fleet: Fleet, prefix: str) -> dict[str, Snapshot]:
    return {f"{prefix}-{name}": replace(each, agent=agent(f"{prefix}-{name}")) for name, each in fleet.items()}


def in_region(region: str, *numbers_: int, others: tuple[Member, ...] = ()) -> dict[str, Snapshot]:
    """A region of one gossip pool, to which ``others`` belong too."""
    own = tuple(member(one, name=f"s{one}.{region}", id=f"{region}-{one}", region=region) for one in numbers_)
    configuration = tuple(RaftServer("Voter", one.id, one.address) for one in own)
    return {
        f"{region}-s{one}": watched(
            one,
            told(one, configuration, leader=numbers_[0], member=own[at]),
            Members((*own, *others)),
            f"{region}-s{one}",
        )
        for at, one in enumerate(numbers_)
    }


def test_two_regions_in_one_gossip_pool_are_two_clusters() -> None:
    lost = tuple(member(one, "failed", name=f"s{one}.west", id=f"west-{one}", region="west") for one in (7, 8, 9))
    east, west = in_region("east", 1, 2, 3, others=lost), in_region("west", 7, 8, 9)
    west = {name: dead(each) for name, each in west.items()}

    assert safe({**east, **west}) == set(east)
    assert numbers({**east, **west}, "east-s1") == (3, 3, 0)


def test_two_unrelated_clusters_that_are_both_called_global_are_two() -> None:
    """They may even have the same addresses, each in its own private network."""
    one = renamed(cluster(3), "one")
    ids = [f"other-{number}" for number in (1, 2, 3)]
    configuration = tuple(RaftServer("Voter", name, rpc(number)) for number, name in enumerate(ids, 1))
    members = Members(tuple(member(number, id=name) for number, name in enumerate(ids, 1)))
    other = {
        f"other-s{number}": dead(
            watched(number, told(number, configuration, member=member(number, id=name)), members, f"other-s{number}")
        )
        for number, name in enumerate(ids, 1)
    }

    assert safe({**one, **other}) == set(one)
    assert numbers({**one, **other}, "one-s1") == (3, 3, 0)
    assert numbers({**one, **other}, "other-s1") == (3, 0, 0)


# The leader.


def test_without_a_leader_nothing_may_be_stopped() -> None:
    fleet = {name: red(each) for name, each in cluster(3).items()}

    assert set(reasons(fleet).values()) == {VerdictReason.NO_LEADER}


def test_a_candidate_is_not_well_and_does_not_disturb_those_that_have_a_leader() -> None:
    fleet = cluster(3)
    candidate = told(3, raft(1, 2, 3), leader=None, texts={"raft.state": "Candidate", "nomad.leader_addr": ""})
    fleet["s3"] = red(asked(fleet["s3"], Source.SELF, candidate))

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }
    assert quorum_state(fleet).leader == "s1"


def test_a_server_alone_on_the_wrong_side_of_a_partition_that_still_believes_its_old_leader_is_not_well() -> None:
    fleet = cluster(3)
    for one in (1, 2):
        fleet[f"s{one}"] = asked(fleet[f"s{one}"], Source.SELF, told(one, raft(1, 2, 3), leader=2))
    fleet["s3"] = deserted(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }
    assert quorum_state(fleet).leader == "s2"


def test_where_only_the_wrong_side_of_a_partition_is_watched_no_leader_is_known() -> None:
    fleet = {"s3": deserted(cluster(3)["s3"])}

    assert reasons(fleet, GOSSIP) == {"s3": VerdictReason.NO_LEADER}
    assert quorum_state(fleet, "s3", GOSSIP).leader == ""


def test_a_leader_that_is_dead_is_none_though_the_others_believe_in_it_still() -> None:
    fleet = cluster(5)
    fleet["s1"] = dead(fleet["s1"])

    assert set(reasons(fleet).values()) == {VerdictReason.NO_LEADER}


def test_a_leader_that_is_not_watched_is_named_by_gossip_else_by_its_address() -> None:
    known = cluster(3, watch=[2, 3])
    unknown = {f"s{one}": watched(one, told(one, raft(1, 2, 3)), None) for one in (2, 3)}

    assert quorum_state(known, "s2").leader == "s1.global"
    assert quorum_state(unknown, "s2").leader == "10.0.0.1:4647"


def test_a_leader_that_is_no_voter_of_the_configuration_is_none() -> None:
    fleet = {"s1": watched(1, told(1, raft(1, 2, 3), leader=4), gossip(1, 2, 3, 4))}

    assert reasons(fleet, GOSSIP) == {"s1": VerdictReason.NO_LEADER}


def test_fewer_well_voters_than_are_needed_are_a_lost_quorum_while_a_leader_does_not_know_it_yet() -> None:
    fleet = cluster(3)
    for name in ("s2", "s3"):
        fleet[name] = dead(fleet[name])

    assert set(reasons(fleet).values()) == {VerdictReason.QUORUM_LOST}


# Witnesses.


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(THRESHOLDS, VerdictReason.INSUFFICIENT_EVIDENCE), (GOSSIP, VerdictReason.OK)],
    ids=["strict", "trusted"],
)
def test_gossip_alone_is_not_enough_unless_it_is_trusted(thresholds: Thresholds, reason: VerdictReason) -> None:
    assert reasons(cluster(3, watch=[1]), thresholds) == {"s1": reason}


def test_who_is_only_known_by_gossip_is_told() -> None:
    sentence = quorum(cluster(3, watch=[1]), "s1").message

    assert sentence == "1 of 3 voters are well, 2 are needed (too little is known of 2: only gossip speaks for it)."


@pytest.mark.parametrize(
    ("watch", "limits", "says", "basis"),
    [
        pytest.param(None, THRESHOLDS, None, EvidenceSource.DIRECT, id="each is watched"),
        pytest.param([1], AUTOPILOT, autopilot(1, 2, 3), EvidenceSource.AUTOPILOT, id="autopilot"),
        pytest.param([1], GOSSIP, None, EvidenceSource.GOSSIP, id="gossip, which is trusted"),
        pytest.param([1, 2], GOSSIP, None, EvidenceSource.GOSSIP, id="the weakest counts"),
    ],
)
def test_the_basis_is_told(
    watch: list[int] | None, thresholds: Thresholds, says: Autopilot | None, basis: EvidenceSource
) -> None:
    fleet = cluster(3, watch)
    if says:
        fleet = with_autopilot(fleet, says)

    assert quorum_state(fleet, "s1", thresholds).basis is basis


def test_autopilot_is_witness_enough_beside_gossip() -> None:
    fleet = with_autopilot(cluster(3, watch=[1]), autopilot(1, 2, 3))

    assert reasons(fleet, AUTOPILOT) == {"s1": VerdictReason.OK}


def test_what_autopilot_says_counts_for_nothing_where_it_is_not_asked_any_more() -> None:
    fleet = with_autopilot(cluster(3, watch=[1]), autopilot(1, 2, 3))

    assert reasons(fleet, THRESHOLDS) == {"s1": VerdictReason.INSUFFICIENT_EVIDENCE}


@pytest.mark.parametrize(
    "says", [pytest.param(DENIED, id="the token may not"), pytest.param(SILENT, id="it did not answer")]
)
def test_autopilot_that_is_asked_but_silent_leaves_the_others_unproven(says: Failure) -> None:
    alone = with_autopilot(cluster(3, watch=[1]), says)

    assert reasons(alone, AUTOPILOT) == {"s1": VerdictReason.INSUFFICIENT_EVIDENCE}
    assert "(too little is known of 2: autopilot was asked in vain)" in quorum(alone, "s1", AUTOPILOT).message


@pytest.mark.parametrize("says", [DENIED, SILENT, autopilot(1, 2, unhealthy=[3])], ids=str)
def test_autopilot_is_not_heard_of_voters_that_speak_for_themselves(says: Autopilot | Failure) -> None:
    assert set(reasons(with_autopilot(cluster(3), says), AUTOPILOT).values()) == {VerdictReason.OK}


def test_autopilot_that_was_never_asked_is_silent_too() -> None:
    assert set(reasons(cluster(3, watch=[2, 3]), AUTOPILOT).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(autopilot(1, 2, unhealthy=[3]), id="not healthy"),
        pytest.param(autopilot(1, 2), id="not there"),
        pytest.param(
            Autopilot(True, servers=(*autopilot(1, 2).servers, AutopilotServer("id-3", healthy=True))), id="no voter"
        ),
    ],
)
def test_a_voter_of_which_autopilot_does_not_speak_well_is_not_well(says: Autopilot) -> None:
    fleet = with_autopilot(cluster(3, watch=[1, 2]), says)

    assert numbers(fleet, thresholds=AUTOPILOT) == (3, 2, 0)
    assert safe(fleet, AUTOPILOT) == set()


def test_autopilot_may_be_heard_of_from_any_server_and_each_must_have_heard_well_of_a_voter() -> None:
    followers = cluster(3, watch=[2, 3])
    by_one = with_autopilot(followers, autopilot(1, 2, 3), "s2")

    assert set(reasons(by_one, AUTOPILOT).values()) == {VerdictReason.OK}
    for says in (autopilot(2, 3, unhealthy=[1]), autopilot(2, 3)):
        assert numbers(with_autopilot(by_one, says, "s3"), "s2", AUTOPILOT) == (3, 2, 0)


def test_what_a_leader_that_died_heard_from_autopilot_counts_no_more() -> None:
    fleet = with_autopilot(cluster(3, watch=[1, 2]), autopilot(1, 2, 3))
    fleet["s2"] = asked(fleet["s2"], Source.SELF, told(2, raft(1, 2, 3), leader=2))
    fleet["s1"] = dead(fleet["s1"])

    assert reasons(fleet, AUTOPILOT) == {
        "s1": VerdictReason.INSUFFICIENT_EVIDENCE,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
    }
    assert numbers(fleet, "s2", AUTOPILOT) == (3, 1, 1)


def test_trusted_gossip_does_not_outweigh_a_witness_that_speaks_against_a_voter() -> None:
    fleet = cluster(3)
    fleet["s3"] = dead(fleet["s3"])

    assert safe(fleet, GOSSIP) == {"s3"}


def test_gossip_counts_as_late_as_all_well_servers_have_noticed() -> None:
    fleet = cluster(3, watch=[1, 2])
    fleet["s2"] = asked(fleet["s2"], Source.MEMBERS, gossip(1, 2, failed=[3]))

    assert numbers(fleet, thresholds=GOSSIP) == (3, 2, 0)


def test_what_a_server_that_is_not_well_hears_in_gossip_does_not_count() -> None:
    fleet = cluster(3)
    fleet["s3"] = red(asked(fleet["s3"], Source.MEMBERS, gossip(3, failed=[1, 2])))

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet)["s1"] is VerdictReason.WOULD_LOSE_QUORUM


def test_a_token_without_node_read_leaves_all_unproven_for_nobody_tells_members() -> None:
    fleet = {f"s{one}": watched(one, told(one, raft(1, 2, 3)), DENIED) for one in (1, 2, 3)}

    assert set(reasons(fleet).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}
    assert set(reasons(fleet, GOSSIP).values()) == {VerdictReason.INSUFFICIENT_EVIDENCE}
    assert "(too little is known of 3: no members were told)" in quorum(fleet, "s1").message


@pytest.mark.parametrize("voters", [1, 2])
def test_where_no_witness_could_help_none_is_asked_for(voters: int) -> None:
    configuration = raft(*range(1, voters + 1))
    fleet = {f"s{one}": watched(one, told(one, configuration), DENIED) for one in range(1, voters + 1)}

    assert set(reasons(fleet).values()) == {VerdictReason.WOULD_LOSE_QUORUM}


def test_one_token_with_node_read_is_enough_to_know_the_members() -> None:
    fleet = {f"s{one}": watched(one, told(one, raft(1, 2, 3)), DENIED) for one in (2, 3)}
    fleet["s1"] = cluster(3)["s1"]

    assert safe(fleet) == {"s1", "s2", "s3"}


# At once.


@pytest.mark.parametrize(
    "failed",
    [FailureReason.REFUSED, FailureReason.RESET, FailureReason.TIMEOUT, FailureReason.TLS, FailureReason.STATUS],
)
def test_one_failed_attempt_at_its_health_makes_a_voter_unwell_while_gossip_says_still_alive(
    failed: FailureReason,
) -> None:
    fleet = cluster(3)
    fleet["s3"] = asked(fleet["s3"], Source.HEALTH, Failure(failed, "so it went"))

    assert safe(fleet) == {"s3"}


@pytest.mark.parametrize("source", [Source.SELF, Source.MEMBERS])
def test_silence_to_any_other_question_makes_a_voter_unwell_until_its_health_is_told_again(source: Source) -> None:
    fleet = cluster(3)
    fleet["s3"] = asked(fleet["s3"], source, REFUSED, 0.5)
    assert safe(fleet) == {"s3"}

    fleet["s3"] = asked(fleet["s3"], Source.HEALTH, fleet["s1"].health.answer)
    assert safe(fleet) == {"s1", "s2", "s3"}


def test_silence_about_autopilot_may_be_that_of_the_leader_and_makes_no_other_voter_unwell() -> None:
    fleet = with_autopilot(cluster(3), autopilot(1, 2, 3))
    fleet["s3"] = asked(fleet["s3"], Source.AUTOPILOT, SILENT, 0.5)

    assert safe(fleet, AUTOPILOT) == {"s1", "s2", "s3"}


def test_a_question_that_hung_before_the_health_was_told_is_not_held_against_a_voter() -> None:
    fleet = cluster(3)
    fleet["s3"] = asked(fleet["s3"], Source.MEMBERS, SILENT, ago=0.5, seconds=4.0)

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_a_refused_token_is_not_held_against_a_voter_that_told_of_itself_before() -> None:
    fleet = cluster(3)
    fleet["s3"] = asked(asked(fleet["s3"], Source.SELF, DENIED), Source.MEMBERS, DENIED)

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_a_dead_server_that_answered_once_is_dead_again_with_the_next_failure() -> None:
    fleet = cluster(3)
    died = dead(fleet["s3"])
    answered = asked(died, Source.HEALTH, fleet["s3"].health.answer)

    assert safe({**fleet, "s3": answered}) == {"s1", "s2", "s3"}
    assert safe({**fleet, "s3": dead(answered)}) == {"s3"}


@pytest.mark.parametrize(("ago", "safe_are"), [(10.0, {"s1", "s2", "s3"}), (10.1, {"s3"})])
def test_an_answer_about_health_proves_nothing_after_two_intervals(ago: float, safe_are: set[str]) -> None:
    fleet = cluster(3)
    fleet["s3"] = without(fleet["s3"], Source.HEALTH)
    fleet["s3"] = asked(fleet["s3"], Source.HEALTH, fleet["s1"].health.answer, ago)

    assert safe(fleet) == safe_are


def test_an_answer_that_came_slowly_is_as_old_as_its_end() -> None:
    fleet = cluster(3)
    fleet["s3"] = asked(
        without(fleet["s3"], Source.HEALTH), Source.HEALTH, fleet["s1"].health.answer, ago=9.0, seconds=4.0
    )

    assert safe(fleet) == {"s1", "s2", "s3"}


def test_the_age_of_a_standing_is_that_of_the_oldest_answer_that_proves_a_server_well() -> None:
    fleet = cluster(3)
    fleet["s2"] = asked(without(fleet["s2"], Source.HEALTH), Source.HEALTH, fleet["s1"].health.answer, 7.5)
    fleet["s3"] = dead(fleet["s3"])

    assert quorum_state(fleet).oldest_evidence == 7.5
    assert quorum_state({"s3": fleet["s3"]}, "s3").oldest_evidence is None


# Views that disagree.


def views(polls: int) -> dict[str, Snapshot]:
    """Server 3 has told another leader than the others so many times in a row."""
    fleet = cluster(3)
    for _ in range(polls):
        fleet["s3"] = asked(fleet["s3"], Source.SELF, told(3, raft(1, 2, 3), leader=2))
    return fleet


def test_views_that_disagree_for_one_poll_are_an_election_and_for_two_a_trouble() -> None:
    assert set(reasons(views(1)).values()) == {VerdictReason.OK}
    assert set(reasons(views(2)).values()) == {VerdictReason.CONFLICTING_VIEWS}


def test_views_that_name_other_voters_disagree_too() -> None:
    fleet = cluster(4)
    for _ in range(2):
        fleet["s4"] = asked(fleet["s4"], Source.SELF, told(4, raft(1, 2, 3, 4, 5)))

    assert set(reasons(fleet).values()) == {VerdictReason.CONFLICTING_VIEWS}


def test_the_order_of_the_configuration_and_who_has_no_vote_are_no_disagreement() -> None:
    fleet = cluster(3)
    for _ in range(2):
        fleet["s3"] = asked(fleet["s3"], Source.SELF, told(3, raft(3, 1, 2, nonvoters=[4])))

    assert set(reasons(fleet).values()) == {VerdictReason.OK}


def test_who_is_not_well_disagrees_with_nobody() -> None:
    fleet = views(3)
    fleet["s3"] = deserted(fleet["s3"])

    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.WOULD_LOSE_QUORUM,
        "s3": VerdictReason.OK,
    }


# Who the agent is.


def test_a_server_that_cannot_tell_who_it_is_is_taken_for_one_that_would_be_missed() -> None:
    fleet = {
        "s1": watched(1, told(1, raft(1, 2, 3), member=None), gossip(1, 2, failed=[3])),
        "s2": watched(2, told(2, raft(1, 2, 3)), gossip(1, 2, failed=[3])),
    }

    assert reasons(fleet, GOSSIP) == {"s1": VerdictReason.WOULD_LOSE_QUORUM, "s2": VerdictReason.WOULD_LOSE_QUORUM}


def no_voter_yet(number: int, ago: float = 0.0) -> Snapshot:
    """A server that tells, so many seconds ago, that it has no vote."""
    configuration = raft(*({1, 2, 3} - {number}), nonvoters=[number])
    return asked(cluster(3)[f"s{number}"], Source.SELF, told(number, configuration), ago)


def test_a_server_that_tells_that_it_is_no_voter_is_none_whatever_an_older_view_of_its_leader_says() -> None:
    fleet = {**cluster(3), "s2": no_voter_yet(2)}

    assert numbers(fleet) == (3, 2, 0)
    assert reasons(fleet) == {
        "s1": VerdictReason.WOULD_LOSE_QUORUM,
        "s2": VerdictReason.OK,
        "s3": VerdictReason.WOULD_LOSE_QUORUM,
    }
    assert safe(fleet, GOSSIP) == {"s2"}


def test_a_server_that_told_so_before_it_could_not_be_asked_any_more_is_counted_as_its_leader_tells() -> None:
    fleet = {**cluster(3), "s2": asked(no_voter_yet(2, ago=1), Source.SELF, DENIED)}

    assert safe(fleet) == {"s1", "s2", "s3"}


def restarted(number: int, ago: float) -> Snapshot:
    """A server that refused an attempt so many seconds ago, and has told its health since then, but not who it is."""
    snapshot = cluster(3)[f"s{number}"]
    for said, when in ((REFUSED, ago), (health({Role.SERVER: WELL}), 0.2)):
        snapshot, _ = apply(snapshot, reading(Source.HEALTH, said, when))
    return snapshot


def test_a_server_that_was_restarted_is_no_voter_before_it_or_its_leader_has_told_of_the_voters_again() -> None:
    """All of them told that a second ago; it left then, and was given no vote yet when it came back."""
    fleet = {**cluster(3), "s2": restarted(2, ago=0.5)}
    it_tells = {**fleet, "s2": apply(fleet["s2"], reading(Source.SELF, told(2, raft(1, 2, 3))))[0]}

    assert safe(fleet) == {"s2"}
    assert safe(it_tells) == {"s1", "s2", "s3"}
    assert safe({**cluster(3), "s2": restarted(2, ago=1.5)}) == {"s1", "s2", "s3"}


def test_a_server_without_any_voter_in_its_configuration_is_of_no_known_cluster() -> None:
    for configuration in (None, ()):
        lonely = watched(9, replace(told(9, (), leader=None), configuration=configuration), gossip(9))
        fleet = {**cluster(3), "s9": lonely}

        assert reasons(fleet)["s9"] is VerdictReason.UNKNOWN
        assert safe(fleet) == {"s1", "s2", "s3"}


@pytest.mark.parametrize(("ago", "reason"), [(45.0, VerdictReason.OK), (45.1, VerdictReason.UNKNOWN)])
def test_knowledge_of_the_voters_that_is_too_old_is_none(ago: float, reason: VerdictReason) -> None:
    fleet = {}
    for name, each in cluster(3).items():
        blank = without(each, Source.SELF)
        fleet[name] = asked(blank, Source.SELF, each.agent_self.answer, ago)

    assert set(reasons(fleet).values()) == {reason}


def test_an_agent_of_which_itself_cannot_be_read_is_judged_by_what_it_told_before_and_the_others_tell_now() -> None:
    fleet = cluster(3)
    fleet["s2"] = without(fleet["s2"], Source.SELF)
    fleet["s2"] = asked(fleet["s2"], Source.SELF, told(2, raft(1, 2, 3)), ago=3600)
    fleet["s2"] = asked(fleet["s2"], Source.SELF, DENIED)

    assert safe(fleet) == {"s1", "s2", "s3"}
    assert AT.since(fleet["s2"].agent_self.answered or AT) == 3600
