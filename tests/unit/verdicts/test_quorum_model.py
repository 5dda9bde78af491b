"""The verdict against the truth: anything happens to a simulated cluster, and then what may be stopped is stopped.

What the verdict says rests on a crash-stop, so an agent is cut off from all others or from none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, leader, leaders, pass_time, time_until
from tests.support.fleets import AUTOPILOT, GOSSIP, THRESHOLDS
from tests.support.model_poller import STATE_EVERY, ModelPoller

TWO_POLLS = 2 * STATE_EVERY
NOTICED = 15
"""Beats after which gossip and autopilot have noticed what happened, and it was heard from them twice."""


def reasons(watch: ModelPoller) -> dict[str, str]:
    return {name: str(each.verdicts[Question.QUORUM].reason) for name, each in watch.judged().items()}


def safe(watch: ModelPoller) -> list[str]:
    return sorted(name for name, each in watch.judged().items() if each.verdicts[Question.QUORUM].ok)


def watched(cluster: Cluster, thresholds: Thresholds = THRESHOLDS, *names: str) -> ModelPoller:
    """A cluster that has been watched for two polls; all of it, unless agents are named."""
    watch = ModelPoller(cluster, names or cluster.world.running(), thresholds)
    watch.polls(TWO_POLLS)
    return watch


# What is known to happen.


@pytest.mark.parametrize("series", VERSIONS)
@pytest.mark.parametrize(
    ("servers", "reason"), [(1, "would_lose_quorum"), (2, "would_lose_quorum"), (3, "ok"), (4, "ok"), (5, "ok")]
)
def test_a_cluster_at_rest_raises_no_alarm(series: str, servers: int, reason: str) -> None:
    watch = watched(calm_cluster(servers, version=VERSIONS[series]))

    assert set(reasons(watch).values()) == {reason}


@pytest.mark.parametrize("limits", [AUTOPILOT, GOSSIP], ids=["autopilot", "gossip"])
def test_nor_does_one_of_which_the_leader_alone_is_watched(thresholds: Thresholds) -> None:
    cluster = calm_cluster(3)

    assert set(reasons(watched(cluster, thresholds, leader(cluster))).values()) == {"ok"}


def test_after_an_election_each_of_five_may_be_stopped_the_dead_leader_too() -> None:
    cluster = calm_cluster(5)
    watch = watched(cluster)
    cluster.kill(leader(cluster))
    watch.polls(STATE_EVERY)

    assert set(reasons(watch).values()) == {"ok"}


def test_while_one_of_three_is_down_or_no_voter_yet_no_other_may_be_stopped_and_then_each_may_again() -> None:
    cluster = calm_cluster(3)
    watch = watched(cluster)
    lost = next(name for name in cluster.world.running() if name != leader(cluster))
    cluster.kill(lost)
    for _ in range(12):
        watch.polls(1)
        assert set(safe(watch)) <= {lost}

    cluster.start(lost)
    while len(safe(watch)) < 3:
        watch.polls(1)
        assert len(safe(watch)) == 3 or set(safe(watch)) <= {lost}
    assert all(each.quorum_state and each.quorum_state.count.voters == 3 for each in watch.judged().values())


# Whatever happens.


@dataclass(frozen=True)
class Deed:
    """Something that is done to one of the servers, and for how many beats it is watched then."""

    does: Callable[[Cluster, str], None]
    server: int
    beats: int


def kill(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is not State.DEAD:
        cluster.kill(name)


def start(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is State.DEAD:
        cluster.start(name)


def freeze(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].is_running:
        cluster.pause(name)


def thaw(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is State.PAUSED:
        cluster.resume(name)


def leave(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].is_running:
        cluster.leave(name)


def cut(cluster: Cluster, name: str) -> None:
    cluster.partition(name, cluster.world.agents)


def heal(cluster: Cluster, _: str) -> None:
    for name in cluster.world.agents:
        cluster.heal(name)


DEEDS = st.builds(
    Deed,
    st.sampled_from([kill, start, start, freeze, thaw, leave, cut, heal]),
    st.integers(0, 4),
    st.sampled_from([0, 0, 1, 1, 2, 3, 8, 12]),
)


def done(watch: ModelPoller, deeds: list[Deed]) -> None:
    names = sorted(watch.cluster.world.agents)
    for deed in deeds:
        deed.does(watch.cluster, names[deed.server % len(names)])
        watch.polls(deed.beats)


def elects(cluster: Cluster) -> bool:
    """Whether a leader is there when all leases are over, and is there to stay."""
    pass_time(cluster, 5.0)
    try:
        time_until(cluster, lambda: leaders(cluster), 40.0)
    except AssertionError:
        return False
    pass_time(cluster, 5.0)
    return bool(leaders(cluster))


@given(
    servers=st.sampled_from([3, 3, 4, 5, 5]),
    seed=st.integers(0, 9),
    actions=st.lists(DEEDS, max_size=6),
    choice=st.integers(0, 4),
    unwatched=st.sets(st.integers(0, 4), max_size=2),
    thresholds=st.sampled_from([THRESHOLDS, AUTOPILOT, GOSSIP]),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_a_server_that_may_be_stopped_leaves_a_cluster_that_elects_a_leader(
    servers: int, seed: int, deeds: list[Deed], choice: int, unwatched: set[int], thresholds: Thresholds
) -> None:
    cluster = calm_cluster(servers, seed=seed)
    names = cluster.world.running()
    seen = (
        [name for number, name in enumerate(names) if number not in unwatched]
        if thresholds is not THRESHOLDS
        else names
    )
    watch = watched(cluster, thresholds, *seen)
    done(watch, deeds)
    watch.polls(TWO_POLLS if thresholds is THRESHOLDS else NOTICED)
    may_stop = safe(watch)
    if may_stop:
        kill(cluster, may_stop[choice % len(may_stop)])
        assert elects(cluster)


@given(servers=st.sampled_from([3, 5]), seed=st.integers(0, 9), actions=st.lists(DEEDS, max_size=5))
@settings(deadline=None, max_examples=20)
def test_at_no_moment_are_more_voters_well_than_run(servers: int, seed: int, deeds: list[Deed]) -> None:
    """A moment after a poll, at which all was asked."""
    watch = watched(calm_cluster(servers, seed=seed))
    for deed in deeds:
        done(watch, [deed])
        watch.polls(STATE_EVERY)
        running = watch.cluster.world.running()
        for each in watch.judged().values():
            assert each.quorum_state is None or each.quorum_state.count.healthy <= len(running)
