"""What changed, as counters that begin at zero, and the moment of the newest change of each kind."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.transitions import CHANGES, TRANSITIONS
from nomad_exporter.nomad.models import Members, Role
from nomad_exporter.polling.history import History, Transition, TransitionKey, zeros
from tests.support.answers import START, WELL, health, own
from tests.unit.metrics.showing import shown

LAST_CHANGE = "nomad_agent_last_change_timestamp_seconds"


def after(*changes: TransitionKey, answer: object = None) -> History:
    """A history that began with ``answer`` and counted ``changes``, a second apart."""
    history = History().with_zeros(zeros(answer))
    for number, change in enumerate(changes):
        history = history.with_transitions([change], START + number)
    return history


def names(lines: list[str]) -> set[str]:
    return {line.partition(" ")[0].partition("{")[0] for line in lines}


def test_before_the_first_answer_nothing_is_told() -> None:
    assert shown(TRANSITIONS, History()) == []


def test_a_client_begins_with_what_can_change_of_a_client() -> None:
    assert shown(TRANSITIONS, after(answer=own(Role.CLIENT))) == [
        "nomad_agent_restarts_total 0",
        "nomad_agent_version_changes_total 0",
    ]


def test_a_server_begins_with_what_can_change_of_a_server() -> None:
    assert shown(TRANSITIONS, after(answer=own(Role.SERVER))) == [
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


def test_members_begin_with_all_ways_from_one_status_to_another() -> None:
    lines = shown(TRANSITIONS, after(answer=Members(())))

    assert len(lines) == 14
    assert 'nomad_agent_member_transitions_total{from="alive",to="failed"} 0' in lines
    assert 'nomad_agent_member_transitions_total{from="failed",to="alive"} 0' in lines
    assert {"nomad_agent_members_appeared_total 0", "nomad_agent_members_vanished_total 0"} <= {*lines}


def test_health_begins_with_both_directions_of_each_role() -> None:
    lines = shown(TRANSITIONS, after(answer=health({Role.CLIENT: WELL})))

    assert lines == [
        'nomad_agent_health_transitions_total{role="client",to="healthy"} 0',
        'nomad_agent_health_transitions_total{role="client",to="unhealthy"} 0',
    ]


def test_what_changed_is_counted_by_its_labels() -> None:
    failed: TransitionKey = (Transition.MEMBER_TRANSITIONS, ("alive", "failed"))
    lines = shown(TRANSITIONS, after(failed, failed, answer=Members(())), "nomad_agent_member_transitions_total")

    assert [line for line in lines if not line.endswith(" 0")] == [
        'nomad_agent_member_transitions_total{from="alive",to="failed"} 2'
    ]


def test_a_state_that_a_well_server_never_has_is_shown_once_it_was_seen() -> None:
    shut_down: TransitionKey = (Transition.RAFT_STATE_TRANSITIONS, ("Follower", "Shutdown"))
    lines = shown(TRANSITIONS, after(shut_down, answer=own()))

    assert 'nomad_agent_raft_state_transitions_total{from="Follower",to="Shutdown"} 1' in lines


@pytest.mark.parametrize("counted", Transition)
def test_each_kind_of_change_has_its_counter_and_its_moment(counted: Transition) -> None:
    (family,) = (family for family in TRANSITIONS if family.name == f"nomad_agent_{counted}_total")
    history = after((counted, ("",) * len(family.labels)))

    assert [*family.samples(history)] == [(("",) * len(family.labels), 1)]
    assert shown(TRANSITIONS, history, LAST_CHANGE) == [f'{LAST_CHANGE}{{change="{CHANGES[counted]}"}} 1800000000.0']


def test_of_kinds_with_one_name_the_newest_moment_is_told() -> None:
    appeared, vanished = (Transition.MEMBERS_APPEARED, ()), (Transition.MEMBERS_VANISHED, ())
    expected = [f'{LAST_CHANGE}{{change="members"}} 1800000001.0']

    assert shown(TRANSITIONS, after(appeared, vanished), LAST_CHANGE) == expected
    assert shown(TRANSITIONS, after(vanished, appeared), LAST_CHANGE) == expected
