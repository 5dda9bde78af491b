"""The page of all agents: one block per family, the same samples in both formats, and nothing that is too old."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.render import UNKNOWN_LIMIT, Rendered, render_agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import (
    AgentSelf,
    Autopilot,
    Check,
    Health,
    HealthAnswer,
    Member,
    Members,
    RaftServer,
    Role,
)
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
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


# Claims of the moment.

CLAIMS = (
    "nomad_agent_(leader|leader_known|leader_info|raft_state|raft_last_contact_seconds|healthy|leader_reachable)[{]"
)


def leading(term: int = 7, at: Instant = NOW, leader: int = 1) -> Reading[Any]:
    """Return an answer of a server in this term."""
    numbers = {"nomad.leader": leader, "raft.term": term, "raft.last_contact": 0.1, "raft.commit_index": 3}
    texts = {"nomad.leader_addr": "10.0.0.1:4647", "raft.state": "Leader"}
    configuration = (RaftServer("Voter", "id-1", "10.0.0.1:4647"), RaftServer("Voter", "id-2", "10.0.0.2:4647"))
    own_member = Member("s1", "alive", f"id-{1 if leader else 2}", f"10.0.0.{1 if leader else 2}:4647")
    roles = frozenset({Role.SERVER})
    answer = AgentSelf(roles, numbers=numbers, texts=texts, configuration=configuration, member=own_member)
    return Reading(SELF, answer, at, 0.0)


def claims(*readings: Reading[Any], at: Instant = NOW + 2) -> set[str]:
    """Return the names of the claims of the moment on the page of an agent with these readings."""
    lines = page_lines(store_with(a=[leading(), health(), *readings]), at)
    return {re.split("[{]", line)[0].removeprefix("nomad_agent_") for line in matching(lines, CLAIMS)}


OF_SELF = {"leader", "leader_known", "leader_info", "raft_state", "raft_last_contact_seconds"}
OF_HEALTH = {"healthy", "leader_reachable"}


def failed_with(source: Source[Any], reason: FailureReason) -> Reading[Any]:
    return Reading(source, Failure(reason, "failed"), NOW + 1, 0.0)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        pytest.param(failed_with(MEMBERS, FailureReason.UNAUTHORIZED), OF_SELF | OF_HEALTH, id="members rejected"),
        pytest.param(failed_with(MEMBERS, FailureReason.TIMEOUT), OF_SELF | OF_HEALTH, id="members timed out"),
        pytest.param(failed_with(SELF, FailureReason.UNAUTHORIZED), OF_HEALTH, id="self rejected"),
        pytest.param(failed_with(HEALTH, FailureReason.STATUS), OF_SELF, id="health failed"),
        pytest.param(failed_with(SELF, FailureReason.TIMEOUT), set(), id="self timed out"),
        pytest.param(failed_with(HEALTH, FailureReason.REFUSED), set(), id="health refused"),
        pytest.param(failed_with(HEALTH, FailureReason.UNREACHABLE), set(), id="health unreachable"),
    ],
)
def test_claims_end_at_the_first_failed_poll(reading: Reading[Any], expected: set[str]) -> None:
    assert claims() == OF_SELF | OF_HEALTH
    assert claims(reading) == expected


def test_claims_of_health_return_with_its_next_answer() -> None:
    assert claims(failed_with(SELF, FailureReason.TIMEOUT), health(NOW + 2)) == OF_HEALTH


def test_claims_of_autopilot_end_with_the_leader() -> None:
    no_leader = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})
    lost = Reading(HEALTH, Health(no_leader, no_leader, leader_reachable=False), NOW + 1, 0.0)
    autopilot = Reading(AUTOPILOT, Autopilot(healthy=True, failure_tolerance=1), NOW, 0.0)

    def series(*readings: Reading[Any]) -> list[str]:
        return matching(page_lines(store_with(a=[health(), *readings]), NOW + 2), "nomad_agent_autopilot")

    assert len(series(autopilot)) == 2
    assert series(autopilot, lost) == []


def test_indexes_and_terms_outlive_a_failed_poll() -> None:
    lines = page_lines(store_with(a=[leading(), failed(SELF)]))

    assert matching(lines, "nomad_agent_raft_(term|commit_index|servers)") != []


def test_agent_info_lasts_as_long_as_the_agent_is_configured() -> None:
    store = store_with(a=[Reading(SELF, AgentSelf(frozenset({Role.SERVER}), region="eu"), NOW, 0.0), failed(SELF)])

    assert matching(page_lines(store, NOW + 86_400), "nomad_agent_info") == matching(
        page_lines(store, NOW), "nomad_agent_info"
    )


def test_leader_of_an_older_term_leads_no_longer() -> None:
    old, new = (
        store_with(a=[leading(7)], b=[leading(7, leader=0)]),
        store_with(a=[leading(7)], b=[leading(8, leader=0)]),
    )

    assert len(matching(page_lines(old), "nomad_agent_leader[{]")) == 2
    assert matching(page_lines(new), "nomad_agent_leader[{]") == [
        'nomad_agent_leader{agent="b",nomad_cluster="default"} 0'
    ]


def test_follower_of_an_older_term_still_does_not_lead() -> None:
    store = store_with(a=[leading(8)], b=[leading(7, leader=0)])

    assert len(matching(page_lines(store), "nomad_agent_leader[{]")) == 2


def test_reload_of_other_labels_keeps_every_series() -> None:
    store = store_with(a=[leading(), own(new="1"), members(), health(), failed(MEMBERS)])
    before = page_lines(store)
    store.replace([replace(agent("a"), labels=(("rack", "b"),))])

    assert [line.replace(',rack="b"', "") for line in page_lines(store)] == before
