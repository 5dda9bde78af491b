"""Who reaches whom, and who hears of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, compress, product

from nomad_sim.model.agents import Agent, State
from nomad_sim.model.network import Partitions, Reach, can_gossip, gossip_reachable, reach
from tests.support.clusters import calm_cluster, new_cluster

S1, S2, S3 = NAMES = ("s1.global", "s2.global", "s3.global")


def agents(**states: State) -> Mapping[str, Agent]:
    """Three servers that know each other, and a client; by the first part of a name, what its process does."""
    known = calm_cluster(clients=1).world.agents
    return {name: replace(agent, state=states.get(name[:2], State.RUNNING)) for name, agent in known.items()}


def partitioned(one: str, other: str) -> Partitions:
    return frozenset({frozenset((one, other))})


def test_an_agent_that_runs_answers() -> None:
    assert reach(agents(), frozenset(), S1, S2) is Reach.CONNECTED


def test_a_dead_agent_refuses() -> None:
    assert reach(agents(s2=State.DEAD), frozenset(), S1, S2) is Reach.REFUSED


def test_a_frozen_agent_is_silent() -> None:
    assert reach(agents(s2=State.PAUSED), frozenset(), S1, S2) is Reach.TIMED_OUT


def test_an_agent_that_is_cut_off_is_silent_whether_it_lives_or_not() -> None:
    for state in State:
        assert reach(agents(s2=state), partitioned(S1, S2), S1, S2) is Reach.TIMED_OUT
        assert reach(agents(s2=state), partitioned(S1, S2), S2, S1) is Reach.TIMED_OUT


def test_an_agent_always_reaches_itself() -> None:
    for state in State:
        assert reach(agents(s1=state), frozenset(), S1, S1) is Reach.CONNECTED


def test_a_server_hears_of_those_whom_only_others_reach() -> None:
    assert gossip_reachable(agents(), partitioned(S1, S2), S1) == {S1, S2, S3}


def test_a_server_hears_of_no_one_through_a_server_that_is_gone() -> None:
    assert gossip_reachable(agents(s3=State.DEAD), partitioned(S1, S2), S1) == {S1}
    assert gossip_reachable(agents(s3=State.PAUSED), partitioned(S1, S2), S1) == {S1}


def test_a_server_that_was_told_of_nobody_hears_of_nobody() -> None:
    assert gossip_reachable(new_cluster().world.agents, frozenset(), S1) == {S1}


def test_a_server_without_the_key_of_gossip_is_reached_and_hears_nobody() -> None:
    known = agents()
    plain = {**known, S2: replace(known[S2], setup=replace(known[S2].setup, encrypted=True))}

    assert reach(plain, frozenset(), S1, S2) is Reach.CONNECTED
    assert not can_gossip(plain, frozenset(), S1, S2)
    assert not can_gossip(plain, frozenset(), S2, S1)
    assert gossip_reachable(plain, frozenset(), S2) == {S2}
    assert gossip_reachable(plain, frozenset(), S1) == {S1, S3}


def test_gossip_passes_between_all_with_the_key_or_all_without() -> None:
    known = agents(s3=State.DEAD)
    keyed = {name: replace(agent, setup=replace(agent.setup, encrypted=True)) for name, agent in known.items()}

    for alike in (known, keyed):
        assert can_gossip(alike, frozenset(), S1, S2)
        assert not can_gossip(alike, frozenset(), S1, S3)
        assert not can_gossip(alike, partitioned(S1, S2), S1, S2)


def test_a_client_hears_no_gossip() -> None:
    assert gossip_reachable(agents(), frozenset(), "c1") == {"c1"}


def test_hearing_is_mutual() -> None:
    known = agents()
    for entries in product([True, False], repeat=3):
        cuts = frozenset(map(frozenset, compress(combinations(NAMES, 2), entries)))
        hears = {name: gossip_reachable(known, cuts, name) for name in NAMES}

        assert all((one in hears[other]) == (other in hears[one]) for one in NAMES for other in NAMES)
