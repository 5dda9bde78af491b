"""Families about transitions: counters that begin at zero, and the time of the last change."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.transitions import CHANGES, TRANSITIONS
from nomad_exporter.nomad.models import Members, Role
from nomad_exporter.polling.history import History, Transition, TransitionKey, zeros
from tests.support.answers import HEALTHY, START, health, self_answer
from tests.unit.metrics.rendering import render_lines

LAST_CHANGE = "nomad_agent_last_change_timestamp_seconds"


def after(*changes: TransitionKey, answer: object = None) -> History:
    """Return a history that began with ``answer`` and counted ``changes`` one second apart."""
    history = History().with_zeros(zeros(answer))
    for number, change in enumerate(changes):
        history = history.with_transitions([change], START + number)
    return history


def test_no_series_before_the_first_answer() -> None:
    assert render_lines(TRANSITIONS, History()) == []


def test_counters_of_a_client_begin_at_zero() -> None:
    assert render_lines(TRANSITIONS, after(answer=self_answer(Role.CLIENT))) == [
        "nomad_agent_restarts_total 0",
        "nomad_agent_version_changes_total 0",
    ]


def test_counters_of_a_server_begin_at_zero() -> None:
    assert render_lines(TRANSITIONS, after(answer=self_answer(Role.SERVER))) == [
        "nomad_agent_leader_changes_total 0",
        "nomad_agent_leader_losses_total 0",
        'nomad_agent_raft_state_transitions_total{from="Follower",to="Candidate"} 0',
        'nomad_agent_raft_state_transitions_total{from="Follower",to="Leader"} 0',
        'nomad_agent_raft_state_transitions_total{from="Candidate",to="Follower"} 0',
        'nomad_agent_raft_state_transitions_total{from="Candidate",to="Leader"} 0',
        'nomad_agent_raft_state_transitions_total{from="Leader",to="Follower"} 0',
        'nomad_agent_raft_state_transitions_total{from="Leader",to="Candidate"} 0',
        "nomad_agent_raft_term_increases_total 0",
        "nomad_agent_restarts_total 0",
        "nomad_agent_version_changes_total 0",
    ]


def test_counters_of_members_begin_at_zero() -> None:
    lines = render_lines(TRANSITIONS, after(answer=Members(())))

    assert len(lines) == 14
    assert 'nomad_agent_member_transitions_total{from="alive",to="failed"} 0' in lines
    assert 'nomad_agent_member_transitions_total{from="failed",to="alive"} 0' in lines
    assert {"nomad_agent_members_appeared_total 0", "nomad_agent_members_vanished_total 0"} <= {*lines}


def test_counters_of_health_begin_at_zero() -> None:
    lines = render_lines(TRANSITIONS, after(answer=health({Role.CLIENT: HEALTHY})))

    assert lines == [
        'nomad_agent_health_transitions_total{role="client",to="healthy"} 0',
        'nomad_agent_health_transitions_total{role="client",to="unhealthy"} 0',
    ]


def test_transitions_are_counted_by_labels() -> None:
    failed: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("alive", "failed"))
    lines = render_lines(TRANSITIONS, after(failed, failed, answer=Members(())), "nomad_agent_member_transitions_total")

    assert [line for line in lines if not line.endswith(" 0")] == [
        'nomad_agent_member_transitions_total{from="alive",to="failed"} 2'
    ]


def test_unusual_raft_state_appears_with_its_first_transition() -> None:
    shut_down: TransitionKey = (Transition.RAFT_STATE_TRANSITIONS, ("Follower", "Shutdown"))
    lines = render_lines(TRANSITIONS, after(shut_down, answer=self_answer()))

    assert 'nomad_agent_raft_state_transitions_total{from="Follower",to="Shutdown"} 1' in lines


@pytest.mark.parametrize("transition", Transition)
def test_each_transition_has_a_counter_and_a_last_change(transition: Transition) -> None:
    (family,) = (family for family in TRANSITIONS if family.name == f"nomad_agent_{transition}_total")
    history = after((transition, ("",) * len(family.labels)))

    assert [*family.samples(history)] == [(("",) * len(family.labels), 1)]
    assert render_lines(TRANSITIONS, history, LAST_CHANGE) == [
        f'{LAST_CHANGE}{{change="{CHANGES[transition]}"}} 1800000000.0'
    ]


def test_last_change_is_the_newest_of_its_transitions() -> None:
    appeared, vanished = (Transition.MEMBERS_APPEARED, ()), (Transition.MEMBERS_VANISHED, ())
    expected = [f'{LAST_CHANGE}{{change="members"}} 1800000001.0']

    assert render_lines(TRANSITIONS, after(appeared, vanished), LAST_CHANGE) == expected
    assert render_lines(TRANSITIONS, after(vanished, appeared), LAST_CHANGE) == expected
