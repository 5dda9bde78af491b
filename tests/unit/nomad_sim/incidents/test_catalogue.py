"""The stories: each can be played as it stands, and tells only what the exporter can say."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.families.transitions import TRANSITIONS
from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_sim.faults import CLUSTER_FAULTS, FAULTS
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.describe import describe_action, describe_expectation
from nomad_sim.incidents.requirements import cluster_shape, fit_options, missing_requirements
from nomad_sim.incidents.roles import assign_roles
from nomad_sim.incidents.scenario import ADD, Action, ApiCall, Expectation, Incident, Match, Role, Step
from nomad_sim.layout import setups
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from tests.support.clusters import pass_time

EXPECTED_NAMES = [
    "leader-killed",
    "quorum-lost",
    "follower-cut-off",
    "server-failed-and-back",
    "server-replaced",
    "client-cut-off",
    "client-cut-off-acl",
    "agent-frozen",
    "token-revoked",
    "certificate-expired",
    "region-lost",
    "rolling-restart",
    "full-restart",
    "gossip-encryption-off",
    "version-skew",
    "leader-blackholed",
]

NEVER_CERTAIN = {"nomad_agent_leader_losses_total", "nomad_agent_last_change_timestamp_seconds"}
"""No incident must end under the leader it began with; when a change was seen is no number of a story."""

LABELS = {family.name: set(family.labels) for table in CATALOGUE for family in table}

each_incident = pytest.mark.parametrize("incident", INCIDENTS.values(), ids=lambda incident: incident.name)


def expectations(incident: Incident) -> list[Expectation]:
    return [expected for step in incident.steps for expected in step.expectations]


def deeds(step: Step) -> list[Action]:
    return [action for action in step.actions if isinstance(action, Action)]


def cluster_for(incident: Incident) -> Cluster:
    """The cluster that ``--incident`` gives it."""
    options = fit_options(Options(port=20000), incident, ())
    cluster = Cluster(setups(options, None), Timing(), 1, 0.0)
    pass_time(cluster, 20.0)
    return cluster


def test_every_incident_of_the_plan_is_there_by_its_name() -> None:
    assert list(INCIDENTS) == EXPECTED_NAMES
    assert [incident.name for incident in INCIDENTS.values()] == EXPECTED_NAMES


@each_incident
def test_every_reason_is_of_the_closed_list_and_answers_its_question(incident: Incident) -> None:
    result = [
        (question, reason) for expected in expectations(incident) for question, reason in expected.reasons.items()
    ]

    assert result
    assert all(Question(question) in VERDICT_REASONS[VerdictReason(reason)].questions for question, reason in result)


@each_incident
def test_every_sample_is_of_a_family_with_these_labels(incident: Incident) -> None:
    for expected in expectations(incident):
        for output in expected.samples:
            assert output.labels.keys() <= LABELS[output.name]
            assert output.match is not Match.GROWN or output.name.endswith("_total")


def test_every_change_that_is_counted_is_counted_in_some_story() -> None:
    result = {
        output.name for one in INCIDENTS.values() for expected in expectations(one) for output in expected.samples
    }

    assert {family.name for family in TRANSITIONS} - result == NEVER_CERTAIN


@each_incident
def test_every_deed_can_be_done_and_everybody_in_it_is_cast(incident: Incident) -> None:
    cluster = cluster_for(incident)
    role_map = dict(assign_roles(cluster.world.agents))

    assert Role.NEWCOMER not in role_map
    for step in incident.steps:
        for action in step.actions:
            if isinstance(action, Action) and action.fault == ADD:
                role_map[Role.NEWCOMER] = role_map[Role.LEADER]
            assert isinstance(action, ApiCall) or action.fault in {ADD, *(FAULTS if action.roles else CLUSTER_FAULTS)}
            assert set((action.role,) if isinstance(action, ApiCall) else action.roles) <= role_map.keys()
            assert "{" not in describe_action(action, role_map)
        for expected in step.expectations:
            assert set(expected.roles) <= role_map.keys()
            assert "newcomer" not in describe_expectation(expected, role_map)


@each_incident
def test_what_an_incident_switches_on_is_all_that_it_needs(incident: Incident) -> None:
    shape = cluster_shape(cluster_for(incident).world.agents)

    assert missing_requirements(incident.requirements, shape) == ("TLS (--tls)" if incident.requirements.tls else "")


@each_incident
def test_in_the_end_all_is_well_again(incident: Incident) -> None:
    """The last step expects nothing bad to last, and nobody was left dead, frozen, cut off or without his rights."""
    last = [expected for expected in incident.steps[-1].expectations if not expected.transient]
    reasons = [(question, reason) for expected in last for question, reason in expected.reasons.items()]
    undo = {
        "kill": "start",
        "pause": "resume",
        "leave": "start",
        "partition": "heal",
        "expire-certificate": "renew-certificate",
        "revoke": "restore",
    }
    done = [
        (action.fault, role) for step in incident.steps for action in deeds(step) for role in action.roles or [None]
    ]
    removed = {role for what, role in done if what == "remove"}

    assert reasons
    assert all(Question(question) in VERDICT_REASONS[VerdictReason(reason)].yes for question, reason in reasons)
    for number, (what, role) in enumerate(done):
        if what in undo and role not in removed:
            assert (undo[what], role) in done[number:]


@each_incident
def test_it_is_told_in_single_sentences(incident: Incident) -> None:
    for text in (incident.title, *(step.description for step in incident.steps)):
        assert text.endswith(".")
        assert text[0].isupper()
        assert "\n" not in text


def test_one_incident_is_watched_at_every_moment() -> None:
    assert [incident.name for incident in INCIDENTS.values() if incident.strict] == ["rolling-restart"]
