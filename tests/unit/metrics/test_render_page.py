"""The page of all agents: family by family, in two formats with the same lines, and nothing on it that is too old."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import UNKNOWN_LIMIT, Rendered, render_agent
from nomad_exporter.nomad.models import AgentSelf, Check, Health, HealthAnswer, Member, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Reading
from nomad_exporter.polling.store import Store
from tests.support.pages import NOW, agent, failed, fleet, page_of

MAX_AGE = 45.0
HEALTHY = HealthAnswer(200, {Role.SERVER: Check(ok=True, message="ok")})


def own(at: Instant = NOW, **unknown: str) -> AnyReading:
    stats = {f"raft.{key}": text for key, text in unknown.items()}
    return Reading(Source.SELF, AgentSelf(frozenset(), numbers={"raft.term": 7}, unknown=stats), at, 0.0)


def members(at: Instant = NOW) -> AnyReading:
    return Reading(Source.MEMBERS, Members((Member("s1", "alive", region="eu"),)), at, 0.0)


def health(at: Instant = NOW) -> AnyReading:
    return Reading(Source.HEALTH, Health(HEALTHY, HEALTHY, leader_reachable=True), at, 0.0)


def known(**readings: list[AnyReading]) -> Store[Rendered]:
    """A store of agents, given by name with what was read of each."""
    store = Store(map(agent, readings), render_agent)
    for name, found in readings.items():
        for reading in found:
            store.record(agent(name), reading)
    return store


def shown(store: Store[Rendered], at: Instant = NOW, form: Format = Format.TEXT) -> list[str]:
    return page_of(store.entries(), at, MAX_AGE, form).decode().splitlines()


def of(lines: list[str], pattern: str) -> list[str]:
    return [line for line in lines if re.match(pattern, line)]


def test_no_agents_are_an_empty_page() -> None:
    assert shown(fleet()) == []


def test_an_agent_that_was_not_asked_yet_is_on_the_page_and_not_said_to_be_up_or_down() -> None:
    lines = shown(fleet("a"))

    assert of(lines, "nomad_exporter_agent_info") == [
        'nomad_exporter_agent_info{agent="a",nomad_cluster="default",address="http://a.example.org:4646"} 1'
    ]
    assert of(lines, ".*nomad_agent_") == []


def test_the_lines_of_all_agents_stand_together_below_one_header() -> None:
    lines = shown(known(a=[own()], b=[own()]))

    assert of(lines, ".*nomad_agent_raft_term") == [
        "# HELP nomad_agent_raft_term Current election term. (self: stats.raft.term)",
        "# TYPE nomad_agent_raft_term gauge",
        'nomad_agent_raft_term{agent="a",nomad_cluster="default"} 7',
        'nomad_agent_raft_term{agent="b",nomad_cluster="default"} 7',
    ]


def test_every_family_is_one_block_with_a_header() -> None:
    lines = shown(known(a=[own(new="1"), members(), health()], b=[failed(Source.SELF)], c=[own(new="2")]))
    blocks = re.split(r"^# HELP ", "\n".join(lines), flags=re.MULTILINE)[1:]

    assert len({block.split()[0] for block in blocks}) == len(blocks)
    assert all(re.match(r"(\S+) .+\n# TYPE \1 (gauge|counter)(\n\1\{.+)+$", block.strip()) for block in blocks)


def test_a_family_without_samples_has_no_header() -> None:
    assert of(shown(known(a=[own()])), ".*nomad_agent_(member|healthy|client)") == []


@pytest.mark.parametrize(
    ("reading", "series"),
    [
        pytest.param(own(new="3"), "nomad_agent_raft_(term|new)", id="self"),
        pytest.param(members(), "nomad_agent_member_info", id="members"),
        pytest.param(health(), "nomad_agent_healthy", id="health"),
    ],
)
def test_an_answer_is_shown_until_it_is_older_than_max_age(reading: AnyReading, series: str) -> None:
    store = known(a=[reading])

    assert of(shown(store, NOW + MAX_AGE), series) == of(shown(store), series) != []
    assert of(shown(store, NOW + (MAX_AGE + 0.001)), f".*({series})") == []


def test_each_answer_has_its_own_age() -> None:
    lines = shown(known(a=[own(), members(NOW + 30), health(NOW + 60)]), NOW + 60)

    assert of(lines, "nomad_agent_raft_term") == []
    assert of(lines, "nomad_agent_member_info") != []
    assert of(lines, "nomad_agent_healthy") != []


def test_each_agent_has_its_own_age() -> None:
    lines = shown(known(a=[own()], b=[own(NOW + 30)]), NOW + 60)

    assert of(lines, "nomad_agent_raft_term") == ['nomad_agent_raft_term{agent="b",nomad_cluster="default"} 7']


def test_a_failure_erases_nothing_and_says_at_once_that_the_agent_is_down() -> None:
    lines = shown(known(a=[own(), failed(Source.SELF)]))

    assert of(lines, "nomad_agent_(raft_term|up)") == [
        'nomad_agent_up{agent="a",nomad_cluster="default"} 0',
        'nomad_agent_raft_term{agent="a",nomad_cluster="default"} 7',
    ]


def test_what_tells_of_the_asking_has_no_age() -> None:
    lines = shown(known(a=[own(), failed(Source.SELF)]), NOW + 3600)

    assert of(lines, "nomad_agent_(up|raft_term)") == ['nomad_agent_up{agent="a",nomad_cluster="default"} 0']
    assert of(lines, "nomad_exporter_poll_failing") == [
        'nomad_exporter_poll_failing{agent="a",nomad_cluster="default",source="self",reason="refused"} 1'
    ]


def test_what_was_counted_has_no_age() -> None:
    lines = shown(known(a=[own(), failed(Source.SELF)]), NOW + 3600)

    assert of(lines, "nomad_agent_restarts_total") == [
        'nomad_agent_restarts_total{agent="a",nomad_cluster="default"} 0'
    ]


def test_a_wall_clock_that_steps_makes_nothing_older() -> None:
    later = Instant(NOW.wall + 86400, NOW.monotonic + 1)

    assert of(shown(known(a=[own()]), later), "nomad_agent_raft_term") != []


def test_an_unknown_stat_of_several_agents_is_one_family() -> None:
    assert of(shown(known(a=[own(new="1")], b=[own()], c=[own(new="2")])), ".*nomad_agent_raft_new") == [
        "# HELP nomad_agent_raft_new A stat that this exporter does not know. (self: stats.raft.new)",
        "# TYPE nomad_agent_raft_new gauge",
        'nomad_agent_raft_new{agent="a",nomad_cluster="default"} 1',
        'nomad_agent_raft_new{agent="c",nomad_cluster="default"} 2',
    ]


def test_unknown_stats_are_capped_over_all_agents_and_always_the_same_ones_stay() -> None:
    first = {f"a{number:03}": "1" for number in range(UNKNOWN_LIMIT)}
    lines = shown(known(a=[own(z="1")], b=[own(NOW, **first)]))

    assert [line.split()[2] for line in of(lines, "# TYPE nomad_agent_raft_(a|z)")] == [
        f"nomad_agent_raft_{key}" for key in sorted(first)
    ]


def test_both_formats_have_the_same_lines_of_samples() -> None:
    store = known(a=[own(new="1"), members(), health()], b=[failed(Source.SELF)], c=[own(new="2")])
    text, openmetrics = (of(shown(store, form=form), "[^#]") for form in Format)

    assert text == openmetrics
