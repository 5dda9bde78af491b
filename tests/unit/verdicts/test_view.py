"""What each server sees, which servers form a cluster, and whose view is believed."""

from __future__ import annotations

from itertools import permutations

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, RaftServer, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.verdicts.view import View, best, clusters, has_conflict, is_healthy, view
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    agent,
    asked,
    autopilot,
    client,
    cluster,
    dead,
    deserted,
    gossip,
    raft,
    red,
    rpc,
    told,
    watched,
    without,
)

DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")


def seen(snapshot: Snapshot) -> View:
    found = view(snapshot, AT, THRESHOLDS)
    assert found
    return found


def sight(number: int, leader: int = 1, voters: tuple[int, ...] = (1, 2, 3), **numbers: int) -> View:
    """What a well server sees."""
    own = told(number, raft(*voters), leader)
    stats = {**own.numbers, **{f"raft.{name}": value for name, value in numbers.items()}}
    return seen(watched(number, told(number, raft(*voters), leader, numbers=stats), gossip(*voters)))


# One server.


def test_a_well_server_sees_its_voters_its_leader_and_its_members() -> None:
    found = seen(cluster(3)["s2"])

    assert (found.agent, found.leader, found.is_healthy, found.is_fresh, found.is_stable) == (
        "s2",
        rpc(1),
        True,
        True,
        True,
    )
    assert found.voters == raft(1, 2, 3)
    assert found.gossip == gossip(1, 2, 3)
    assert found.autopilot is None
    assert found.health_age == 1.0


def test_a_nonvoter_is_in_the_configuration_and_no_voter() -> None:
    found = seen(watched(1, told(1, raft(1, nonvoters=[2])), gossip(1, 2)))

    assert found.configuration == raft(1, nonvoters=[2])
    assert found.voters == raft(1)


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(Snapshot(agent("s1")), id="never asked"),
        pytest.param(without(cluster(1)["s1"], Source.SELF), id="it never told of itself"),
        pytest.param(client(), id="a client"),
    ],
)
def test_who_is_no_server_or_never_told_of_itself_sees_nothing(snapshot: Snapshot) -> None:
    assert view(snapshot, AT, THRESHOLDS) is None


def test_an_agent_of_both_roles_sees_what_a_server_sees() -> None:
    own = AgentSelf(frozenset(Role), member=told(1, ()).member, configuration=raft(1))

    assert seen(watched(1, own, gossip(1))).voters == raft(1)


def test_a_server_is_recognised_in_whatever_configuration_it_is_found() -> None:
    found = seen(watched(2, told(2, raft(1, 3)), gossip(1, 2, 3)))

    assert [found.is_of(server) for server in raft(1, 2, 3)] == [False, True, False]


def test_a_server_that_does_not_tell_who_it_is_is_recognised_nowhere() -> None:
    found = seen(watched(2, told(2, raft(1, 2), member=None), gossip(1, 2)))

    assert not any(found.is_of(server) for server in (*raft(1, 2), RaftServer("Voter", "", "")))


@pytest.mark.parametrize(("polls", "steady"), [(1, False), (2, True), (3, True)])
def test_a_view_is_steady_once_two_answers_in_a_row_told_the_same(polls: int, steady: bool) -> None:
    assert seen(watched(1, told(1, raft(1)), gossip(1), polls=polls)).is_stable is steady


def test_what_changed_is_not_steady_again_before_the_next_answer() -> None:
    changed = asked(cluster(3)["s3"], Source.SELF, told(3, raft(1, 2, 3), leader=2))

    assert not seen(changed).is_stable
    assert seen(asked(changed, Source.SELF, told(3, raft(1, 2, 3), leader=2))).is_stable


@pytest.mark.parametrize(
    ("source", "is_there"),
    [
        (Source.SELF, lambda found: found.is_fresh),
        (Source.MEMBERS, lambda found: found.gossip is not None),
        (Source.AUTOPILOT, lambda found: found.autopilot is not None),
    ],
)
def test_an_answer_counts_until_it_is_too_old_or_the_next_attempt_fails(source: Source, is_there: object) -> None:
    assert callable(is_there)
    answers = {Source.SELF: told(1, raft(1)), Source.MEMBERS: gossip(1), Source.AUTOPILOT: autopilot(1)}
    server = asked(cluster(1)["s1"], source, answers[source])
    old = [without(server, source)] * 2

    assert is_there(seen(server))
    assert not is_there(seen(asked(server, source, DENIED)))
    if source is not Source.SELF:
        young, aged = (asked(each, source, answers[source], ago) for each, ago in zip(old, (45.0, 45.1), strict=True))
        assert is_there(seen(young))
        assert not is_there(seen(aged))


def test_a_server_that_cannot_be_asked_about_itself_any_more_keeps_its_place_but_is_not_believed() -> None:
    found = seen(asked(cluster(3)["s2"], Source.SELF, DENIED))

    assert found.voters == raft(1, 2, 3)
    assert not found.is_fresh
    assert best((found,)) is None


# Whether it is well.


@pytest.mark.parametrize(
    ("snapshot", "well"),
    [
        pytest.param(cluster(1)["s1"], True, id="well"),
        pytest.param(Snapshot(agent("s1")), False, id="never asked"),
        pytest.param(dead(cluster(1)["s1"]), False, id="refused"),
        pytest.param(red(cluster(1)["s1"]), False, id="without a leader"),
        pytest.param(deserted(cluster(1)["s1"]), False, id="its leader is silent"),
        pytest.param(asked(cluster(1)["s1"], Source.HEALTH, health({Role.CLIENT: WELL})), False, id="a client by now"),
        pytest.param(
            asked(cluster(1)["s1"], Source.HEALTH, health({Role.SERVER: WELL, Role.CLIENT: Check(False, "no")})),
            True,
            id="the client beside it is not",
        ),
        pytest.param(asked(cluster(1)["s1"], Source.SELF, REFUSED), False, id="silent to the next question"),
        pytest.param(asked(cluster(1)["s1"], Source.SELF, DENIED), True, id="it answered the next question somehow"),
    ],
)
def test_a_server_is_well_while_it_has_just_said_so_through_its_leader(snapshot: Snapshot, well: bool) -> None:
    assert is_healthy(snapshot, AT, THRESHOLDS) is well


@pytest.mark.parametrize(
    ("interval", "ago", "well"), [(5, 10.0, True), (5, 10.1, False), (1, 2.0, True), (1, 2.1, False)]
)
def test_it_is_so_for_two_health_intervals(interval: float, ago: float, well: bool) -> None:
    blank = without(cluster(1)["s1"], Source.HEALTH)
    snapshot = asked(blank, Source.HEALTH, health({Role.SERVER: WELL}), ago)

    assert is_healthy(snapshot, AT, Thresholds(health_interval=interval)) is well


# Clusters.


def names(found: list[tuple[View, ...]]) -> set[frozenset[str]]:
    return {frozenset(each.agent for each in one) for one in found}


@pytest.mark.parametrize(
    ("voters", "expected"),
    [
        pytest.param([(1, 2), (1, 2), (1, 2)], [{"s1", "s2", "s3"}], id="the same voters"),
        pytest.param([(1, 2), (2, 3), (3, 4)], [{"s1", "s2", "s3"}], id="by a chain of shared ones"),
        pytest.param([(1, 2), (3, 4), (2, 3)], [{"s1", "s2", "s3"}], id="by one who joins two that were apart"),
        pytest.param([(1, 2), (3, 4), (3, 5)], [{"s1"}, {"s2", "s3"}], id="nothing shared"),
        pytest.param([(), (), (1,)], [{"s1"}, {"s2"}, {"s3"}], id="no voters share nothing"),
    ],
)
def test_of_one_cluster_are_those_whose_configurations_share_a_voter_in_whatever_order(
    voters: list[tuple[int, ...]], expected: list[set[str]]
) -> None:
    views = [seen(watched(n, told(n, raft(*each)), gossip())) for n, each in enumerate(voters, 1)]

    for order in permutations(views):
        assert names(clusters(order)) == set(map(frozenset, expected))


def test_a_shared_nonvoter_makes_no_cluster() -> None:
    views = [seen(watched(n, told(n, raft(n, nonvoters=[9])), gossip())) for n in (1, 2)]

    assert names(clusters(views)) == {frozenset({"s1"}), frozenset({"s2"})}


# Whose view is believed.


def test_nobody_is_believed_where_nobody_is_there() -> None:
    assert best(()) is None


@pytest.mark.parametrize(
    ("views", "believed"),
    [
        pytest.param([sight(1), sight(2, commit_index=9), sight(3)], "s1", id="a well leader"),
        pytest.param(
            [sight(1), sight(2), sight(3, leader=2, term=9)], "s3", id="who follows the leader of a newer term"
        ),
        pytest.param([sight(1, term=2), sight(2, leader=2, term=3)], "s2", id="the leader of the newer term"),
        pytest.param([sight(2, term=2), sight(3, term=3)], "s3", id="without a leader, who knows the newer term"),
        pytest.param(
            [sight(2, latest_configuration_index=5, commit_index=1), sight(3, latest_configuration_index=4)],
            "s2",
            id="then who knows the newer configuration",
        ),
        pytest.param([sight(2, commit_index=7), sight(3, commit_index=8)], "s3", id="then who has committed more"),
        pytest.param([seen(dead(cluster(3)["s1"])), sight(2)], "s2", id="a leader that is not well is none"),
        pytest.param([seen(dead(cluster(3)["s1"])), seen(red(cluster(3)["s2"]))], "s1", id="the best of the sick"),
        pytest.param([seen(asked(cluster(3)["s1"], Source.SELF, DENIED)), sight(2)], "s2", id="what is fresh"),
    ],
)
def test_the_view_to_be_believed_is_the_same_in_whatever_order(views: list[View], believed: str) -> None:
    for order in permutations(views):
        found = best(order)
        assert found
        assert found.agent == believed


# Disagreement.


@pytest.mark.parametrize(
    ("views", "disagreement"),
    [
        pytest.param([], False, id="nobody"),
        pytest.param([sight(1)], False, id="one alone"),
        pytest.param([sight(1), sight(2)], False, id="the same"),
        pytest.param([sight(1), sight(2, leader=2)], True, id="two leaders"),
        pytest.param([sight(1), sight(2, voters=(1, 2, 3, 4))], True, id="other voters"),
        pytest.param([sight(1), seen(red(watched(2, told(2, raft(1, 2, 3), 2), None)))], False, id="a sick one"),
        pytest.param(
            [sight(1), seen(watched(2, told(2, raft(1, 2, 3), 2), None, polls=1))], False, id="for one poll only"
        ),
        pytest.param(
            [sight(1), seen(asked(watched(2, told(2, raft(1, 2, 3), 2), None), Source.SELF, DENIED))],
            False,
            id="one that cannot be asked any more",
        ),
    ],
)
def test_well_servers_that_tell_otherwise_twice_in_a_row_disagree(views: list[View], disagreement: bool) -> None:
    assert has_conflict(views) is disagreement
