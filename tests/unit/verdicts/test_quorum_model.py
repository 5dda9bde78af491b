"""The quorum verdict against the Raft model: a server with a positive verdict is stopped, and a leader is elected.

The verdict assumes crash-stop failures, so a partition isolates an agent from all other agents.
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
from tests.support.fleets import GOSSIP, THRESHOLDS, WITH_AUTOPILOT
from tests.support.model_poller import STATE_POLL_EVERY, ModelPoller
from tests.support.profiles import scaled

pytestmark = pytest.mark.slow  # Minutes of simulated time.

TWO_STATE_POLLS = 2 * STATE_POLL_EVERY
"""Intervals that contain two state polls of each agent."""
DETECTION_INTERVALS = 15
"""Intervals until gossip and autopilot have detected a failure, and both were polled twice after that."""


def quorum_reasons(poller: ModelPoller) -> dict[str, str]:
    """Return the reason of each agent's quorum verdict."""
    return {name: str(each.verdicts[Question.QUORUM].reason) for name, each in poller.evaluations().items()}


def stoppable(poller: ModelPoller) -> list[str]:
    """Return the names of the agents that may be stopped according to their quorum verdict."""
    return sorted(name for name, each in poller.evaluations().items() if each.verdicts[Question.QUORUM].ok)


def polled(cluster: Cluster, thresholds: Thresholds = THRESHOLDS, *names: str) -> ModelPoller:
    """Return a poller after two state polls of the named agents, by default of all running agents."""
    poller = ModelPoller(cluster, names or cluster.world.running(), thresholds)
    poller.run(TWO_STATE_POLLS)
    return poller


# Known scenarios.


@pytest.mark.parametrize("series", VERSIONS)
@pytest.mark.parametrize(
    ("servers", "reason"), [(1, "would_lose_quorum"), (2, "would_lose_quorum"), (3, "ok"), (4, "ok"), (5, "ok")]
)
def test_stable_cluster_has_expected_verdict(series: str, servers: int, reason: str) -> None:
    poller = polled(calm_cluster(servers, version=VERSIONS[series]))

    assert set(quorum_reasons(poller).values()) == {reason}


@pytest.mark.parametrize("thresholds", [WITH_AUTOPILOT, GOSSIP], ids=["autopilot", "gossip"])
def test_leader_alone_provides_enough_evidence(thresholds: Thresholds) -> None:
    cluster = calm_cluster(3)

    assert set(quorum_reasons(polled(cluster, thresholds, leader(cluster))).values()) == {"ok"}


def test_any_of_five_may_stop_after_an_election() -> None:
    cluster = calm_cluster(5)
    poller = polled(cluster)
    cluster.kill(leader(cluster))
    poller.run(STATE_POLL_EVERY)

    assert set(quorum_reasons(poller).values()) == {"ok"}


def test_no_other_of_three_may_stop_until_the_third_votes_again() -> None:
    cluster = calm_cluster(3)
    poller = polled(cluster)
    dead = next(name for name in cluster.world.running() if name != leader(cluster))
    cluster.kill(dead)
    for _ in range(12):
        poller.run(1)
        assert set(stoppable(poller)) <= {dead}

    cluster.start(dead)
    while len(stoppable(poller)) < 3:
        poller.run(1)
        assert len(stoppable(poller)) == 3 or set(stoppable(poller)) <= {dead}
    assert all(each.quorum_state and each.quorum_state.count.voters == 3 for each in poller.evaluations().values())


# Random actions.


@dataclass(frozen=True)
class Action:
    """An action on one of the servers, and the number of poll intervals that follow."""

    apply: Callable[[Cluster, str], None]
    server: int
    intervals: int


def kill(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is not State.DEAD:
        cluster.kill(name)


def start(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is State.DEAD:
        cluster.start(name)


def pause(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].is_running:
        cluster.pause(name)


def resume(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].state is State.PAUSED:
        cluster.resume(name)


def leave(cluster: Cluster, name: str) -> None:
    if cluster.world.agents[name].is_running:
        cluster.leave(name)


def partition(cluster: Cluster, name: str) -> None:
    cluster.partition(name, cluster.world.agents)


def heal(cluster: Cluster, _: str) -> None:
    for name in cluster.world.agents:
        cluster.heal(name)


ACTIONS = st.builds(
    Action,
    st.sampled_from([kill, start, start, pause, resume, leave, partition, heal]),
    st.integers(0, 4),
    st.sampled_from([0, 0, 1, 1, 2, 3, 8, 12]),
)


def apply_actions(poller: ModelPoller, actions: list[Action]) -> None:
    names = sorted(poller.cluster.world.agents)
    for action in actions:
        action.apply(poller.cluster, names[action.server % len(names)])
        poller.run(action.intervals)


def elects_stable_leader(cluster: Cluster) -> bool:
    """Return whether the cluster has a leader after every lease has ended, and keeps it."""
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
    actions=st.lists(ACTIONS, max_size=6),
    choice=st.integers(0, 4),
    unpolled=st.sets(st.integers(0, 4), max_size=2),
    thresholds=st.sampled_from([THRESHOLDS, WITH_AUTOPILOT, GOSSIP]),
)
@settings(max_examples=scaled(25), derandomize=True)
def test_cluster_elects_a_leader_after_a_permitted_stop(
    servers: int, seed: int, actions: list[Action], choice: int, unpolled: set[int], thresholds: Thresholds
) -> None:
    cluster = calm_cluster(servers, seed=seed)
    names = cluster.world.running()
    polled_names = (
        [name for number, name in enumerate(names) if number not in unpolled] if thresholds is not THRESHOLDS else names
    )
    poller = polled(cluster, thresholds, *polled_names)
    apply_actions(poller, actions)
    poller.run(TWO_STATE_POLLS if thresholds is THRESHOLDS else DETECTION_INTERVALS)
    candidates = stoppable(poller)
    if candidates:
        kill(cluster, candidates[choice % len(candidates)])
        assert elects_stable_leader(cluster)


@given(servers=st.sampled_from([3, 5]), seed=st.integers(0, 9), actions=st.lists(ACTIONS, max_size=5))
@settings(max_examples=scaled(8))
def test_healthy_voters_never_exceed_running_servers(servers: int, seed: int, actions: list[Action]) -> None:
    poller = polled(calm_cluster(servers, seed=seed))
    for action in actions:
        apply_actions(poller, [action])
        poller.run(STATE_POLL_EVERY)
        running = poller.cluster.world.running()
        for each in poller.evaluations().values():
            assert each.quorum_state is None or each.quorum_state.count.healthy <= len(running)
