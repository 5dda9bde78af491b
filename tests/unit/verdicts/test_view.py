"""Views, their grouping into clusters, and the choice of the authoritative view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, RaftServer, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.verdicts.view import (
    View,
    authoritative_view,
    build_view,
    group_by_cluster,
    has_conflict,
    has_lasting_conflict,
    is_healthy,
)
from tests.support.answers import GATEWAY, HEALTHY, REFUSED, health
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    after_poll,
    agent,
    autopilot,
    client,
    cluster,
    cut_off,
    dead,
    gossip,
    leaderless,
    polled_server,
    raft,
    rpc,
    self_answer,
    shared,
    without,
)

DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")


def view_of(snapshot: Snapshot) -> View:
    view = build_view(snapshot, AT, THRESHOLDS)
    assert view
    return view


def healthy_view(number: int, leader: int = 1, voters: tuple[int, ...] = (1, 2, 3), **numbers: int) -> View:
    """Return the view of a healthy server; ``numbers`` override its Raft stats."""
    answer = self_answer(number, raft(*voters), leader)
    stats = {**answer.numbers, **{f"raft.{name}": value for name, value in numbers.items()}}
    return view_of(polled_server(number, replace(answer, numbers=stats), gossip(*voters)))


# Building views.


def test_view_of_healthy_server() -> None:
    view = view_of(cluster(3)["s2"])

    assert (view.agent, view.leader) == ("s2", rpc(1))
    assert (view.is_healthy, view.is_fresh, view.stable_since) == (True, True, view.answered_at)
    assert view.voters == raft(1, 2, 3)
    assert view.gossip == gossip(1, 2, 3)
    assert view.autopilot is None
    assert view.health_age == 1.0


def test_nonvoter_is_in_the_configuration_only() -> None:
    view = view_of(polled_server(1, self_answer(1, raft(1, nonvoters=[2])), gossip(1, 2)))

    assert view.configuration == raft(1, nonvoters=[2])
    assert view.voters == raft(1)


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(Snapshot(agent("s1")), id="never polled"),
        pytest.param(without(cluster(1)["s1"], SELF), id="never answered self"),
        pytest.param(client(), id="a client"),
        pytest.param(shared(cluster(1)["s1"]), id="several agents"),
    ],
)
def test_client_and_unidentified_agent_have_no_view(snapshot: Snapshot) -> None:
    assert build_view(snapshot, AT, THRESHOLDS) is None


def test_agent_with_both_roles_has_a_view() -> None:
    own = AgentSelf(frozenset(Role), member=self_answer(1, ()).member, configuration=raft(1))

    assert view_of(polled_server(1, own, gossip(1))).voters == raft(1)


def test_view_matches_its_own_server() -> None:
    view = view_of(polled_server(2, self_answer(2, raft(1, 3)), gossip(1, 2, 3)))

    assert [view.is_view_of(server) for server in raft(1, 2, 3)] == [False, True, False]


def test_view_without_identity_matches_no_server() -> None:
    view = view_of(polled_server(2, self_answer(2, raft(1, 2), member=None), gossip(1, 2)))

    assert not any(view.is_view_of(server) for server in (*raft(1, 2), RaftServer("Voter", "", "")))


@pytest.mark.parametrize(("polls", "is_stable"), [(1, False), (2, True), (3, True)])
def test_view_is_stable_after_two_equal_answers(polls: int, is_stable: bool) -> None:
    view = view_of(polled_server(1, self_answer(1, raft(1)), gossip(1), polls=polls))

    assert (view.stable_since is not None) is is_stable


def test_changed_view_is_stable_after_the_next_answer() -> None:
    changed = after_poll(cluster(3)["s3"], SELF, self_answer(3, raft(1, 2, 3), leader=2))

    assert not view_of(changed).stable_since
    assert view_of(after_poll(changed, SELF, self_answer(3, raft(1, 2, 3), leader=2))).stable_since


@pytest.mark.parametrize(
    ("source", "is_used"),
    [
        (SELF, lambda view: view.is_fresh),
        (MEMBERS, lambda view: view.gossip is not None),
        (AUTOPILOT, lambda view: view.autopilot is not None),
    ],
)
def test_answer_expires_by_age_or_failed_poll(source: Source[Any], is_used: Callable[[View], bool]) -> None:
    answers = {SELF: self_answer(1, raft(1)), MEMBERS: gossip(1), AUTOPILOT: autopilot(1)}
    server = after_poll(cluster(1)["s1"], source, answers[source])

    assert is_used(view_of(server))
    assert not is_used(view_of(after_poll(server, source, DENIED)))
    if source is not SELF:
        blank = without(server, source)
        assert is_used(view_of(after_poll(blank, source, answers[source], 45.0)))
        assert not is_used(view_of(after_poll(blank, source, answers[source], 45.1)))


def test_server_with_unreadable_self_keeps_its_voters() -> None:
    view = view_of(after_poll(cluster(3)["s2"], SELF, DENIED))

    assert view.voters == raft(1, 2, 3)
    assert not view.is_fresh
    assert authoritative_view((view,)) is view


def test_fresh_view_precedes_newer_term_of_old_view() -> None:
    fresh, old = healthy_view(1), view_of(after_poll(cluster(3)["s2"], SELF, DENIED))
    newer = replace(old, agent_self=replace(old.agent_self, numbers={"raft.term": 99}))

    assert authoritative_view((newer, fresh)) is fresh


# Health.


@pytest.mark.parametrize(
    ("snapshot", "healthy"),
    [
        pytest.param(cluster(1)["s1"], True, id="healthy"),
        pytest.param(Snapshot(agent("s1")), False, id="never polled"),
        pytest.param(dead(cluster(1)["s1"]), False, id="dead"),
        pytest.param(leaderless(cluster(1)["s1"]), False, id="leaderless"),
        pytest.param(cut_off(cluster(1)["s1"]), False, id="leader unreachable"),
        pytest.param(after_poll(cluster(1)["s1"], HEALTH, health({Role.CLIENT: HEALTHY})), False, id="now a client"),
        pytest.param(
            after_poll(cluster(1)["s1"], HEALTH, health({Role.SERVER: HEALTHY, Role.CLIENT: Check(False, "no")})),
            True,
            id="its client is unhealthy",
        ),
        pytest.param(after_poll(cluster(1)["s1"], SELF, REFUSED), False, id="self unresponsive"),
        pytest.param(after_poll(cluster(1)["s1"], SELF, GATEWAY), False, id="gateway in place of self"),
        pytest.param(after_poll(cluster(1)["s1"], SELF, DENIED), True, id="self denied"),
    ],
)
def test_healthy_server_has_recently_reached_its_leader(snapshot: Snapshot, healthy: bool) -> None:
    assert is_healthy(snapshot, AT, THRESHOLDS) is healthy


@pytest.mark.parametrize(("failure", "unresponsive"), [(DENIED, False), (REFUSED, True), (GATEWAY, True)])
@pytest.mark.parametrize("source", [HEALTH, SELF], ids=str)
def test_gateway_in_place_of_agent_means_unresponsive(
    source: Source[Any], failure: Failure, unresponsive: bool
) -> None:
    assert view_of(after_poll(cluster(3)["s2"], source, failure)).is_unresponsive is unresponsive


@pytest.mark.parametrize(
    ("interval", "ago", "healthy"), [(5, 10.0, True), (5, 10.1, False), (1, 2.0, True), (1, 2.1, False)]
)
def test_server_is_healthy_for_two_health_intervals(interval: float, ago: float, healthy: bool) -> None:
    blank = without(cluster(1)["s1"], HEALTH)
    snapshot = after_poll(blank, HEALTH, health({Role.SERVER: HEALTHY}), ago)

    assert is_healthy(snapshot, AT, Thresholds(health_interval=interval)) is healthy


# Clusters.


def names(clusters: list[tuple[View, ...]]) -> set[frozenset[str]]:
    return {frozenset(view.agent for view in cluster_views) for cluster_views in clusters}


@pytest.mark.parametrize(
    ("voters", "expected"),
    [
        pytest.param([(1, 2), (1, 2), (1, 2)], [{"s1", "s2", "s3"}], id="the same voters"),
        pytest.param([(1, 2), (2, 3), (3, 4)], [{"s1", "s2", "s3"}], id="a chain of shared voters"),
        pytest.param([(1, 2), (3, 4), (2, 3)], [{"s1", "s2", "s3"}], id="a third view connects two"),
        pytest.param([(1, 2), (3, 4), (3, 5)], [{"s1"}, {"s2", "s3"}], id="nothing shared"),
        pytest.param([(), (), (1,)], [{"s1"}, {"s2"}, {"s3"}], id="no voters"),
    ],
)
def test_views_that_share_a_voter_form_a_cluster(voters: list[tuple[int, ...]], expected: list[set[str]]) -> None:
    views = [
        view_of(polled_server(number, self_answer(number, raft(*configuration)), gossip()))
        for number, configuration in enumerate(voters, 1)
    ]

    for order in permutations(views):
        assert names(group_by_cluster(order)) == set(map(frozenset, expected))


def test_views_that_share_a_nonvoter_are_separate() -> None:
    views = [view_of(polled_server(n, self_answer(n, raft(n, nonvoters=[9])), gossip())) for n in (1, 2)]

    assert names(group_by_cluster(views)) == {frozenset({"s1"}), frozenset({"s2"})}


# The authoritative view.


def test_empty_cluster_has_no_authoritative_view() -> None:
    assert authoritative_view(()) is None


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param([healthy_view(1), healthy_view(2, commit_index=9), healthy_view(3)], "s1", id="healthy leader"),
        pytest.param(
            [healthy_view(1), healthy_view(2), healthy_view(3, leader=2, term=9)], "s3", id="follower of a newer leader"
        ),
        pytest.param([healthy_view(1, term=2), healthy_view(2, leader=2, term=3)], "s2", id="leader of the newer term"),
        pytest.param([healthy_view(2, term=2), healthy_view(3, term=3)], "s3", id="newer term without a leader"),
        pytest.param(
            [
                healthy_view(2, latest_configuration_index=5, commit_index=1),
                healthy_view(3, latest_configuration_index=4),
            ],
            "s2",
            id="newer configuration",
        ),
        pytest.param(
            [healthy_view(2, commit_index=7), healthy_view(3, commit_index=8)], "s3", id="higher commit index"
        ),
        pytest.param([view_of(dead(cluster(3)["s1"])), healthy_view(2)], "s2", id="unhealthy leader"),
        pytest.param(
            [view_of(dead(cluster(3)["s1"])), view_of(leaderless(cluster(3)["s2"]))], "s1", id="all unhealthy"
        ),
        pytest.param([view_of(after_poll(cluster(3)["s1"], SELF, DENIED)), healthy_view(2)], "s2", id="fresh view"),
    ],
)
def test_authoritative_view_does_not_depend_on_order(views: list[View], expected: str) -> None:
    for order in permutations(views):
        view = authoritative_view(order)
        assert view
        assert view.agent == expected


# Conflicts.


@pytest.mark.parametrize(
    ("views", "conflict"),
    [
        pytest.param([], False, id="no view"),
        pytest.param([healthy_view(1)], False, id="one view"),
        pytest.param([healthy_view(1), healthy_view(2)], False, id="equal views"),
        pytest.param([healthy_view(1), healthy_view(2, leader=2)], True, id="different leaders"),
        pytest.param([healthy_view(1), healthy_view(2, voters=(1, 2, 3, 4))], True, id="different voters"),
        pytest.param(
            [healthy_view(1), view_of(leaderless(polled_server(2, self_answer(2, raft(1, 2, 3), 2), None)))],
            False,
            id="unhealthy server",
        ),
        pytest.param(
            [healthy_view(1), view_of(polled_server(2, self_answer(2, raft(1, 2, 3), 2), None, polls=1))],
            False,
            id="for one poll only",
        ),
        pytest.param(
            [
                healthy_view(1),
                view_of(after_poll(polled_server(2, self_answer(2, raft(1, 2, 3), 2), None), SELF, DENIED)),
            ],
            False,
            id="self denied",
        ),
    ],
)
def test_conflict_needs_healthy_fresh_and_stable_views(views: list[View], conflict: bool) -> None:
    assert has_conflict(views) is conflict


def elected(number: int, leader: int, *self_at: float, health_at: float) -> View:
    """Return a server that answered self at these seconds before the evaluation, with this leader, and then health."""
    snapshot = Snapshot(agent(f"s{number}"))
    for ago in self_at:
        snapshot = after_poll(snapshot, SELF, self_answer(number, raft(1, 2, 3), leader), ago)
    return view_of(after_poll(snapshot, HEALTH, health({Role.SERVER: HEALTHY}), health_at))


@pytest.mark.parametrize(
    ("old", "new", "conflict"),
    [
        pytest.param(elected(1, 1, 40, 25, 9, health_at=1), elected(2, 2, 26, 10, health_at=1), True, id="both repeat"),
        pytest.param(elected(1, 1, 40, 25, health_at=1), elected(2, 2, 26, 10, health_at=1), False, id="not yet asked"),
        pytest.param(
            elected(1, 0, 40, 25, 9, health_at=1), elected(2, 2, 26, 10, health_at=1), False, id="knows no leader"
        ),
        pytest.param(elected(1, 1, 8, 4, 1, health_at=6), elected(2, 2, 8, 4, 1, health_at=1), False, id="cut off"),
    ],
)
def test_view_of_an_earlier_leader_is_no_lasting_conflict(old: View, new: View, conflict: bool) -> None:
    assert has_conflict((old, new))
    assert has_lasting_conflict((old, new)) is conflict
    assert has_lasting_conflict((new, old)) is conflict
