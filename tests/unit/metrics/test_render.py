"""The lines of one agent, drawn anew with each reading: only of what was read, and never less than was known."""

from __future__ import annotations

from nomad_exporter.metrics.render import NAMES, Rendered, render_agent
from nomad_exporter.nomad.models import AgentSelf, Member, Members, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot
from nomad_exporter.polling.transitions import apply
from tests.support.pages import NOW, agent, failed, store_of


def own(**stats: str) -> AnyReading:
    """What an agent says of itself: that its term is 7, and stats of raft that the exporter does not know."""
    return Reading(Source.SELF, answer({f"raft.{key}": text for key, text in stats.items()}), NOW, 0.0)


def answer(unknown: dict[str, str]) -> AgentSelf:
    return AgentSelf(frozenset({Role.SERVER}), numbers={"raft.term": 7}, unknown=unknown)


def client() -> AnyReading:
    return Reading(Source.SELF, AgentSelf(frozenset({Role.CLIENT})), NOW, 0.0)


def members(*names: str) -> AnyReading:
    return Reading(Source.MEMBERS, Members(tuple(Member(name, "alive") for name in names)), NOW, 0.0)


def drawn(*readings: AnyReading) -> Rendered:
    """What is drawn of an agent once it was read so."""
    kept = store_of(*readings, name="s1").get("s1")
    assert kept
    return kept.rendered


def unknown(drawing: Rendered) -> list[str]:
    """The lines of stats that the exporter does not know."""
    return [line for _, found in drawing.unknown.values() for line in found.decode().splitlines()]


def test_before_any_reading_only_the_configuration_and_counts_are_drawn() -> None:
    drawing = render_agent(Snapshot(agent("s1")), None, None)

    assert b'nomad_exporter_agent_info{agent="s1"' in drawing.agent
    assert (
        b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="self"} 0\n'
        in drawing.polls[Source.SELF]
    )
    assert drawing.answers == {}


def test_an_answer_is_drawn_and_its_attempt_counted() -> None:
    drawing = drawn(own())

    assert b'nomad_agent_raft_term{agent="s1",nomad_cluster="default"} 7\n' in drawing.answers[Source.SELF]
    assert (
        b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="self"} 1\n'
        in drawing.polls[Source.SELF]
    )


def test_what_changed_is_drawn_also_while_the_agent_is_down() -> None:
    drawing = drawn(members("a"), members("a", "b"), failed(Source.MEMBERS))

    assert b'nomad_agent_members_appeared_total{agent="s1",nomad_cluster="default"} 1\n' in drawing.history[1]


def test_what_did_not_change_is_not_drawn_again() -> None:
    before = Snapshot(agent("s1"))
    changed, _ = apply(before, members("a"))
    same, _ = apply(changed, members("a"))
    drawings = [render_agent(before, None, None)]
    for snapshot in (changed, same):
        drawings.append(render_agent(snapshot, Source.MEMBERS, drawings[-1]))

    assert drawings[0].history[1] != drawings[1].history[1]
    assert drawings[1].history is drawings[2].history


def test_a_failed_poll_erases_nothing() -> None:
    well, failing = drawn(own(new="5")), drawn(own(new="5"), failed(Source.SELF))

    assert failing.answers == well.answers
    assert failing.unknown == well.unknown
    assert failing.polls != well.polls


def test_a_first_poll_that_fails_draws_no_answer() -> None:
    drawing = drawn(failed(Source.SELF))

    assert drawing.answers == {}
    assert (
        b'nomad_exporter_poll_failures_total{agent="s1",nomad_cluster="default",source="self"} 1\n'
        in drawing.polls[Source.SELF]
    )


def test_a_new_answer_takes_the_place_of_the_one_before_it() -> None:
    assert drawn(members("a", "b"), members("b")).answers == drawn(members("b")).answers


def test_only_what_was_read_is_drawn_anew() -> None:
    before = drawn(own(new="5"), members("a"))
    after = render_agent(Snapshot(agent("s1")).after(own(new="5")).after(members("a", "b")), Source.MEMBERS, before)

    assert after.answers[Source.SELF] is before.answers[Source.SELF]
    assert after.unknown is before.unknown
    assert after.answers[Source.MEMBERS] != before.answers[Source.MEMBERS]


def test_a_failure_draws_nothing_anew_but_its_attempt() -> None:
    before = drawn(own(new="5"))
    after = render_agent(Snapshot(agent("s1")).after(own(new="5")).after(failed(Source.SELF)), Source.SELF, before)

    assert after.answers[Source.SELF] is before.answers[Source.SELF]
    assert after.unknown is before.unknown
    assert after.polls[Source.SELF] != before.polls[Source.SELF]


def test_the_members_of_an_agent_that_is_no_server_any_more_are_gone_with_their_failure() -> None:
    drawing = drawn(own(), members("a"), failed(Source.MEMBERS), client())

    assert Source.MEMBERS not in drawing.answers
    assert not [line for line in drawing.polls[Source.MEMBERS] if b"failing" in line]
    assert (
        b'nomad_exporter_polls_total{agent="s1",nomad_cluster="default",source="members"} 2\n'
        in drawing.polls[Source.MEMBERS]
    )


def test_an_unknown_stat_is_drawn_beside_the_known_ones() -> None:
    assert unknown(drawn(own(new="5"))) == ['nomad_agent_raft_new{agent="s1",nomad_cluster="default"} 5']


def test_an_unknown_stat_that_was_a_duration_stays_one_while_it_is_zero() -> None:
    assert unknown(drawn(own(new="1.5ms"), own(new="0"))) == [
        'nomad_agent_raft_new_seconds{agent="s1",nomad_cluster="default"} 0.0'
    ]


def test_an_unknown_stat_that_was_a_number_is_not_shown_while_it_is_something_else() -> None:
    assert unknown(drawn(own(new="5"), own(new="5s"))) == []


def test_an_unknown_stat_that_is_told_no_more_is_gone() -> None:
    assert unknown(drawn(own(new="5"), own())) == []


def test_an_unknown_stat_with_a_name_of_ours_is_left_out() -> None:
    clashing = answer({"nomad.raft_term": "8", "client.info": "9", "nomad.up": "0", "nomad.members": "4"})
    drawing = drawn(Reading(Source.SELF, clashing, NOW, 0.0))

    assert unknown(drawing) == ['nomad_agent_client_info_stat{agent="s1",nomad_cluster="default"} 9']
    assert {"nomad_agent_raft_term", "nomad_agent_up", "nomad_agent_members"} <= NAMES


def test_two_unknown_stats_of_the_same_name_are_one_series() -> None:
    doubled = answer({"nomad.raft_new": "1", "raft.new": "2"})

    assert len(unknown(drawn(Reading(Source.SELF, doubled, NOW, 0.0)))) == 1
