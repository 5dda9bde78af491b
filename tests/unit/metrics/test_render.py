"""Rendering of one agent: after a reading, only the polled source is rendered again, and nothing known is lost."""

from __future__ import annotations

from typing import Any

from nomad_exporter.metrics.render import NAMES, SERIES_PER_HOUR, Rendered, agent_labels, render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.models import AgentSelf, Member, Members, Role
from nomad_exporter.nomad.sources import MEMBERS, SELF
from nomad_exporter.polling.history import Transition
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.transitions import apply
from tests.support.pages import NOW, agent, failed, store_of


def own(**stats: str) -> Reading[Any]:
    """Return a reading of self with Raft term 7 and unknown Raft stats."""
    return Reading(SELF, answer({f"raft.{key}": text for key, text in stats.items()}), NOW, 0.0)


def answer(unknown: dict[str, str]) -> AgentSelf:
    return AgentSelf(frozenset({Role.SERVER}), numbers={"raft.term": 7}, unknown=unknown)


def client() -> Reading[Any]:
    return Reading(SELF, AgentSelf(frozenset({Role.CLIENT})), NOW, 0.0)


def members(*names: str) -> Reading[Any]:
    return Reading(MEMBERS, Members(tuple(Member(name, "alive") for name in names)), NOW, 0.0)


def rendered(*readings: Reading[Any]) -> Rendered:
    """Return the rendering of an agent after these readings."""
    entry = store_of(*readings, name="s1").get("s1")
    assert entry
    return entry.rendered


def unknown_lines(agent: Rendered) -> list[str]:
    """Return the lines of unknown stats."""
    return [line for _, chunk in agent.answers[SELF].unknown.values() for line in chunk.decode().splitlines()]


def test_labels_of_an_agent_are_its_name_and_cluster() -> None:
    address = Address("http", "s1.example.org", 4646)

    assert agent_labels(Agent("s1", address)) == 'agent="s1",nomad_cluster="default"'
    assert agent_labels(Agent("s1", address, cluster="east")) == 'agent="s1",nomad_cluster="east"'


def test_configured_labels_are_on_agent_info_only() -> None:
    named = Agent("s1", Address("http", "s1.example.org", 4646), labels=(("rack", "r7"),))
    result = render_agent(Snapshot(named), None, None)

    assert result.agent.startswith(b'nomad_exporter_agent_info{agent="s1",nomad_cluster="default",rack="r7",address=')
    assert not [line for chunks in result.polls.values() for line in chunks if b"rack" in line]


def test_only_configuration_and_counts_before_any_reading() -> None:
    result = render_agent(Snapshot(agent("s1")), None, None)

    assert b'nomad_exporter_agent_info{agent="s1"' in result.agent
    assert b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="self"} 0\n' in result.polls[SELF]
    assert result.answers == {}


def test_answer_is_rendered_and_poll_is_counted() -> None:
    result = rendered(own())

    assert b'nomad_agent_raft_term{agent="s1",nomad_cluster="default"} 7\n' in result.answers[SELF].chunks
    assert b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="self"} 1\n' in result.polls[SELF]


def test_transitions_are_rendered_while_the_agent_is_down() -> None:
    result = rendered(members("a"), members("a", "b"), failed(MEMBERS))

    assert b'nomad_agent_members_appeared_total{agent="s1",nomad_cluster="default"} 1\n' in result.history[1]


def test_unchanged_transitions_are_not_rendered_again() -> None:
    before = Snapshot(agent("s1"))
    changed, _ = apply(before, members("a"))
    same, _ = apply(changed, members("a"))
    results = [render_agent(before, None, None)]
    for snapshot in (changed, same):
        results.append(render_agent(snapshot, MEMBERS, results[-1]))

    assert results[0].history[1] != results[1].history[1]
    assert results[1].history is results[2].history


def test_failed_poll_keeps_the_last_answer() -> None:
    healthy, failing = rendered(own(new="5")), rendered(own(new="5"), failed(SELF))

    assert failing.answers == healthy.answers
    assert failing.polls != healthy.polls


def test_failed_first_poll_has_no_answer() -> None:
    result = rendered(failed(SELF))

    assert result.answers == {}
    assert (
        b'nomad_exporter_poll_failures_total{agent="s1",nomad_cluster="default",source="self"} 1\n'
        in result.polls[SELF]
    )


def test_new_answer_replaces_the_last_one() -> None:
    assert rendered(members("a", "b"), members("b")).answers == rendered(members("b")).answers


def test_only_the_polled_source_is_rendered_again() -> None:
    before = rendered(own(new="5"), members("a"))
    after = render_agent(Snapshot(agent("s1")).after(own(new="5")).after(members("a", "b")), MEMBERS, before)

    assert after.answers[SELF] is before.answers[SELF]
    assert after.answers[MEMBERS] != before.answers[MEMBERS]


def test_failure_renders_only_the_polls_again() -> None:
    before = rendered(own(new="5"))
    after = render_agent(Snapshot(agent("s1")).after(own(new="5")).after(failed(SELF)), SELF, before)

    assert after.answers[SELF] is before.answers[SELF]
    assert after.polls[SELF] != before.polls[SELF]


def test_former_server_loses_members_and_their_failure() -> None:
    result = rendered(own(), members("a"), failed(MEMBERS), client())

    assert MEMBERS not in result.answers
    assert not [line for line in result.polls[MEMBERS] if b"failing" in line]
    assert (
        b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="members"} 2\n' in result.polls[MEMBERS]
    )


def test_unknown_stat_is_rendered() -> None:
    assert unknown_lines(rendered(own(new="5"))) == ['nomad_agent_raft_new{agent="s1",nomad_cluster="default"} 5']


def test_unknown_duration_stays_a_duration_at_zero() -> None:
    assert unknown_lines(rendered(own(new="1.5ms"), own(new="0"))) == [
        'nomad_agent_raft_new_seconds{agent="s1",nomad_cluster="default"} 0.0'
    ]


def test_unknown_number_is_absent_while_it_has_another_kind() -> None:
    assert unknown_lines(rendered(own(new="5"), own(new="5s"))) == []


def test_missing_unknown_stat_is_absent() -> None:
    assert unknown_lines(rendered(own(new="5"), own())) == []


def test_unknown_stat_with_a_known_name_is_left_out() -> None:
    clashes = answer({"nomad.raft_term": "8", "client.info": "9", "nomad.up": "0", "nomad.members": "4"})
    result = rendered(Reading(SELF, clashes, NOW, 0.0))

    assert unknown_lines(result) == ['nomad_agent_client_info_stat{agent="s1",nomad_cluster="default"} 9']
    assert {"nomad_agent_raft_term", "nomad_agent_up", "nomad_agent_members"} <= NAMES


def test_unknown_stat_with_the_openmetrics_name_of_a_counter_is_left_out() -> None:
    clashes = answer({f"nomad.{transition}": "1" for transition in Transition})

    assert unknown_lines(rendered(Reading(SELF, clashes, NOW, 0.0))) == []


def test_unknown_stats_of_the_same_name_are_one_series() -> None:
    duplicates = answer({"nomad.raft_new": "1", "raft.new": "2"})

    assert len(unknown_lines(rendered(Reading(SELF, duplicates, NOW, 0.0)))) == 1


# Limits.


def omitted_lines(agent: Rendered) -> str:
    return b"".join(answer.omitted for answer in agent.answers.values()).decode()


def test_nothing_is_omitted_from_an_ordinary_answer() -> None:
    assert omitted_lines(rendered(own(new="5"), members("a", "b"))) == ""


def test_values_that_a_decoder_left_out_are_counted() -> None:
    reading = Reading(MEMBERS, Members((Member("a"),), omitted={"members": 7}), NOW, 0.0)

    assert omitted_lines(rendered(reading)) == (
        'nomad_exporter_poll_omitted_values{agent="s1",nomad_cluster="default",source="members",kind="members"} 7\n'
    )


def churning(rounds: int, seconds: float) -> Rendered:
    """Return the rendering after answers at this interval, each with 500 new members."""
    readings = [
        Reading(MEMBERS, Members(tuple(Member(f"{number}-{index}") for index in range(500))), NOW + number * seconds, 0)
        for number in range(rounds)
    ]
    return rendered(*readings)


def test_new_series_of_an_hour_are_limited() -> None:
    assert omitted_lines(churning(9, 15)) == ""
    assert 'kind="series"} 500' in omitted_lines(churning(12, 15))
    assert omitted_lines(churning(12, 3600)) == ""


def test_series_beyond_the_limit_are_left_out() -> None:
    result = churning(12, 15)

    assert b"".join(result.answers[MEMBERS].chunks).count(b"nomad_agent_member_info") == 0
    assert len(result.series.admitted) == SERIES_PER_HOUR


def test_unknown_stats_count_as_series() -> None:
    readings = [own(**{f"key_{number}_{index}": "1" for index in range(50)}) for number in range(110)]

    assert len(unknown_lines(rendered(*readings))) == 0
    assert len(unknown_lines(rendered(*readings[:99]))) == 50
