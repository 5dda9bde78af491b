"""The quorum verdict against a Raft model: after any faults, a server that is safe to stop is stopped."""

# The verdict assumes crash-stop, so an agent is partitioned from all others or from none.

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
SETTLE_POLLS = 15
"""The number of polls after which gossip and autopilot have detected a fault and have been polled twice."""


def reasons(poller: ModelPoller) -> dict[str, str]:
    return {name: str(evaluation.verdicts[Question.QUORUM].reason) for name, evaluation in poller.evaluations().items()}


def safe(poller: ModelPoller) -> list[str]:
    return sorted(name for name, evaluation in poller.evaluations().items() if evaluation.verdicts[Question.QUORUM].ok)


def monitor(cluster: Cluster, thresholds: Thresholds = THRESHOLDS, *names: str) -> ModelPoller:
    """Return the poller of the running agents, or of those named, after two polls of all sources."""
    poller = ModelPoller(cluster, names or cluster.world.running(), thresholds)
    poller.polls(TWO_POLLS)
    return poller


# Single cases.


@pytest.mark.parametrize("series", VERSIONS)
@pytest.mark.parametrize(
    ("servers", "reason"), [(1, "would_lose_quorum"), (2, "would_lose_quorum"), (3, "ok"), (4, "ok"), (5, "ok")]
)
def test_healthy_cluster_is_safe_from_three_servers_on(series: str, servers: int, reason: str) -> None:
    poller = monitor(calm_cluster(servers, version=VERSIONS[series]))

    assert set(reasons(poller).values()) == {reason}


@pytest.mark.parametrize("thresholds", [AUTOPILOT, GOSSIP], ids=["autopilot", "gossip"])
def test_monitoring_the_leader_alone_is_sufficient(thresholds: Thresholds) -> None:
    cluster = calm_cluster(3)

    assert set(reasons(monitor(cluster, thresholds, leader(cluster))).values()) == {"ok"}


def test_all_of_five_servers_are_safe_after_an_election() -> None:
    cluster = calm_cluster(5)
    poller = monitor(cluster)
    cluster.kill(leader(cluster))
    poller.polls(STATE_EVERY)

    assert set(reasons(poller).values()) == {"ok"}


def test_no_other_of_three_servers_is_safe_until_one_has_its_vote() -> None:
    cluster = calm_cluster(3)
    poller = monitor(cluster)
    lost = next(name for name in cluster.world.running() if name != leader(cluster))
    cluster.kill(lost)
    for _ in range(12):
        poller.polls(1)
        assert set(safe(poller)) <= {lost}

    cluster.start(lost)
    while len(safe(poller)) < 3:
        poller.polls(1)
        assert len(safe(poller)) == 3 or set(safe(poller)) <= {lost}
    states = [evaluation.quorum_state for evaluation in poller.evaluations().values()]
    assert all(state and state.count.voters == 3 for state in states)


# Random faults.


@dataclass(frozen=True)
class Action:
    """An action on one of the servers, and the number of polls after it."""

    run: Callable[[Cluster, str], None]
    server: int
    polls: int


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


def run_actions(poller: ModelPoller, actions: list[Action]) -> None:
    names = sorted(poller.cluster.world.agents)
    for action in actions:
        action.run(poller.cluster, names[action.server % len(names)])
        poller.polls(action.polls)


def elects_stable_leader(cluster: Cluster) -> bool:
    """Return whether the cluster has a stable leader after all leader leases have expired."""
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
    unmonitored=st.sets(st.integers(0, 4), max_size=2),
    thresholds=st.sampled_from([THRESHOLDS, AUTOPILOT, GOSSIP]),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_cluster_elects_a_leader_after_a_safe_stop(
    servers: int, seed: int, actions: list[Action], choice: int, unmonitored: set[int], thresholds: Thresholds
) -> None:
    cluster = calm_cluster(servers, seed=seed)
    names = cluster.world.running()
    monitored = (
        [name for index, name in enumerate(names) if index not in unmonitored]
        if thresholds is not THRESHOLDS
        else names
    )
    poller = monitor(cluster, thresholds, *monitored)
    run_actions(poller, actions)
    poller.polls(TWO_POLLS if thresholds is THRESHOLDS else SETTLE_POLLS)
    safe_names = safe(poller)
    if safe_names:
        kill(cluster, safe_names[choice % len(safe_names)])
        assert elects_stable_leader(cluster)


@given(servers=st.sampled_from([3, 5]), seed=st.integers(0, 9), actions=st.lists(ACTIONS, max_size=5))
@settings(deadline=None, max_examples=20)
def test_healthy_voters_never_exceed_running_servers(servers: int, seed: int, actions: list[Action]) -> None:
    poller = monitor(calm_cluster(servers, seed=seed))
    for action in actions:
        run_actions(poller, [action])
        # All sources are polled before the comparison.
        poller.polls(STATE_EVERY)
        running = poller.cluster.world.running()
        for evaluation in poller.evaluations().values():
            state = evaluation.quorum_state
            assert state is None or state.count.healthy <= len(running)
