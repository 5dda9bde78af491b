"""The page of all agents: one block per family, the same samples in both formats, and nothing that is too old."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import UNKNOWN_LIMIT, Rendered, render_agent
from nomad_exporter.nomad.models import AgentSelf, Check, Health, HealthAnswer, Member, Members, Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF
from nomad_exporter.polling.snapshot import Reading
from nomad_exporter.polling.store import Store
from tests.support.pages import NOW, agent, failed, fleet, page_of

MAX_AGE = 45.0
HEALTHY = HealthAnswer(200, {Role.SERVER: Check(ok=True, message="ok")})


def own(at: Instant = NOW, **unknown: str) -> Reading[Any]:
    stats = {f"raft.{key}": text for key, text in unknown.items()}
    return Reading(SELF, AgentSelf(frozenset(), numbers={"raft.term": 7}, unknown=stats), at, 0.0)


def members(at: Instant = NOW) -> Reading[Any]:
    return Reading(MEMBERS, Members((Member("s1", "alive", region="eu"),)), at, 0.0)


def health(at: Instant = NOW) -> Reading[Any]:
    return Reading(HEALTH, Health(HEALTHY, HEALTHY, leader_reachable=True), at, 0.0)


def store_with(**readings: list[Reading[Any]]) -> Store[Rendered]:
    """Return a store of agents, given by name with their readings."""
    store = Store(map(agent, readings), render_agent)
    for name, recorded in readings.items():
        for reading in recorded:
            store.record(agent(name), reading)
    return store


def page_lines(store: Store[Rendered], at: Instant = NOW, format: Format = Format.TEXT) -> list[str]:
    return page_of(store.entries(), at, MAX_AGE, format).decode().splitlines()


def matching(lines: list[str], pattern: str) -> list[str]:
    return [line for line in lines if re.match(pattern, line)]


def test_page_without_agents_is_empty() -> None:
    assert page_lines(fleet()) == []


def test_unpolled_agent_has_info_but_no_up() -> None:
    lines = page_lines(fleet("a"))

    assert matching(lines, "nomad_exporter_agent_info") == [
        'nomad_exporter_agent_info{agent="a",nomad_cluster="default",address="http://a.example.org:4646"} 1'
    ]
    assert matching(lines, ".*nomad_agent_") == []


def test_samples_of_all_agents_share_one_header() -> None:
    lines = page_lines(store_with(a=[own()], b=[own()]))

    assert matching(lines, ".*nomad_agent_raft_term") == [
        "# HELP nomad_agent_raft_term Current Raft election term. (self: stats.raft.term)",
        "# TYPE nomad_agent_raft_term gauge",
        'nomad_agent_raft_term{agent="a",nomad_cluster="default"} 7',
        'nomad_agent_raft_term{agent="b",nomad_cluster="default"} 7',
    ]


def test_every_family_is_one_block_with_a_header() -> None:
    lines = page_lines(store_with(a=[own(new="1"), members(), health()], b=[failed(SELF)], c=[own(new="2")]))
    blocks = re.split(r"^# HELP ", "\n".join(lines), flags=re.MULTILINE)[1:]

    assert len({block.split()[0] for block in blocks}) == len(blocks)
    assert all(re.match(r"(\S+) .+\n# TYPE \1 (gauge|counter)(\n\1\{.+)+$", block.strip()) for block in blocks)


def test_family_without_samples_has_no_header() -> None:
    assert matching(page_lines(store_with(a=[own()])), ".*nomad_agent_(member|healthy|client)") == []


@pytest.mark.parametrize(
    ("reading", "series"),
    [
        pytest.param(own(new="3"), "nomad_agent_raft_(term|new)", id="self"),
        pytest.param(members(), "nomad_agent_member_info", id="members"),
        pytest.param(health(), "nomad_agent_healthy", id="health"),
    ],
)
def test_answer_disappears_after_max_age(reading: Reading[Any], series: str) -> None:
    store = store_with(a=[reading])

    assert matching(page_lines(store, NOW + MAX_AGE), series) == matching(page_lines(store), series) != []
    assert matching(page_lines(store, NOW + (MAX_AGE + 0.001)), f".*({series})") == []


def test_each_answer_has_its_own_age() -> None:
    lines = page_lines(store_with(a=[own(), members(NOW + 30), health(NOW + 60)]), NOW + 60)

    assert matching(lines, "nomad_agent_raft_term") == []
    assert matching(lines, "nomad_agent_member_info") != []
    assert matching(lines, "nomad_agent_healthy") != []


def test_each_agent_has_its_own_age() -> None:
    lines = page_lines(store_with(a=[own()], b=[own(NOW + 30)]), NOW + 60)

    assert matching(lines, "nomad_agent_raft_term") == ['nomad_agent_raft_term{agent="b",nomad_cluster="default"} 7']


def test_failed_poll_sets_up_to_0_and_keeps_the_answer() -> None:
    lines = page_lines(store_with(a=[own(), failed(SELF)]))

    assert matching(lines, "nomad_agent_(raft_term|up)") == [
        'nomad_agent_up{agent="a",nomad_cluster="default"} 0',
        'nomad_agent_raft_term{agent="a",nomad_cluster="default"} 7',
    ]


def test_poll_series_do_not_disappear() -> None:
    lines = page_lines(store_with(a=[own(), failed(SELF)]), NOW + 3600)

    assert matching(lines, "nomad_agent_(up|raft_term)") == ['nomad_agent_up{agent="a",nomad_cluster="default"} 0']
    assert matching(lines, "nomad_exporter_poll_failing") == [
        'nomad_exporter_poll_failing{agent="a",nomad_cluster="default",source="self",reason="refused"} 1'
    ]


def test_transition_counters_do_not_disappear() -> None:
    lines = page_lines(store_with(a=[own(), failed(SELF)]), NOW + 3600)

    assert matching(lines, "nomad_agent_restarts_total") == [
        'nomad_agent_restarts_total{agent="a",nomad_cluster="default"} 0'
    ]


def test_wall_clock_step_does_not_change_ages() -> None:
    later = Instant(NOW.wall + 86400, NOW.monotonic + 1)

    assert matching(page_lines(store_with(a=[own()]), later), "nomad_agent_raft_term") != []


def test_unknown_stat_of_several_agents_is_one_family() -> None:
    assert matching(
        page_lines(store_with(a=[own(new="1")], b=[own()], c=[own(new="2")])), ".*nomad_agent_raft_new"
    ) == [
        "# HELP nomad_agent_raft_new Stat unknown to this exporter. (self: stats.raft.new)",
        "# TYPE nomad_agent_raft_new gauge",
        'nomad_agent_raft_new{agent="a",nomad_cluster="default"} 1',
        'nomad_agent_raft_new{agent="c",nomad_cluster="default"} 2',
    ]


def test_unknown_stats_are_limited_in_a_stable_order() -> None:
    first = {f"a{number:03}": "1" for number in range(UNKNOWN_LIMIT)}
    lines = page_lines(store_with(a=[own(z="1")], b=[own(NOW, **first)]))

    assert [line.split()[2] for line in matching(lines, "# TYPE nomad_agent_raft_(a|z)")] == [
        f"nomad_agent_raft_{key}" for key in sorted(first)
    ]


def test_both_formats_have_the_same_sample_lines() -> None:
    store = store_with(a=[own(new="1"), members(), health()], b=[failed(SELF)], c=[own(new="2")])
    text, openmetrics = (matching(page_lines(store, format=each), "[^#]") for each in Format)

    assert text == openmetrics
