"""All incidents: each can run, and expects only reasons and metrics that the exporter has."""

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
from nomad_sim.options import Options
from tests.support.clusters import elected_cluster

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

UNPREDICTABLE = {"nomad_agent_leader_losses_total", "nomad_agent_last_change_timestamp_seconds"}
"""Metrics that no incident can expect: whether the first leader leads again depends on chance, and so does a time."""

LABELS = {family.name: set(family.labels) for table in CATALOGUE for family in table}

each_incident = pytest.mark.parametrize("incident", INCIDENTS.values(), ids=lambda incident: incident.name)


def expectations(incident: Incident) -> list[Expectation]:
    return [expected for step in incident.steps for expected in step.expectations]


def faults_of(step: Step) -> list[Action]:
    return [action for action in step.actions if isinstance(action, Action)]


def cluster_for(incident: Incident) -> Cluster:
    """Return the cluster that ``--incident`` starts."""
    options = fit_options(Options(port=20000), incident, ())
    return elected_cluster(*setups(options, None))


def test_catalogue_has_all_incidents_by_name() -> None:
    assert list(INCIDENTS) == EXPECTED_NAMES
    assert [incident.name for incident in INCIDENTS.values()] == EXPECTED_NAMES


@each_incident
def test_expected_reasons_exist_for_their_questions(incident: Incident) -> None:
    reasons = [
        (question, reason) for expected in expectations(incident) for question, reason in expected.reasons.items()
    ]

    assert reasons
    assert all(Question(question) in VERDICT_REASONS[VerdictReason(reason)].questions for question, reason in reasons)


@each_incident
def test_expected_samples_belong_to_known_families(incident: Incident) -> None:
    for expected in expectations(incident):
        for sample in expected.samples:
            assert sample.labels.keys() <= LABELS[sample.name]
            assert sample.match is not Match.INCREASED or sample.name.endswith("_total")


def test_every_transition_metric_is_expected_somewhere() -> None:
    found = {
        sample.name
        for incident in INCIDENTS.values()
        for expected in expectations(incident)
        for sample in expected.samples
    }

    assert {family.name for family in TRANSITIONS} - found == UNPREDICTABLE


@each_incident
def test_every_action_is_known_and_every_role_assigned(incident: Incident) -> None:
    cluster = cluster_for(incident)
    role_map = dict(assign_roles(cluster.world.agents))

    assert Role.NEW_SERVER not in role_map
    for step in incident.steps:
        for action in step.actions:
            if isinstance(action, Action) and action.fault == ADD:
                role_map[Role.NEW_SERVER] = role_map[Role.LEADER]
            assert isinstance(action, ApiCall) or action.fault in {ADD, *(FAULTS if action.roles else CLUSTER_FAULTS)}
            assert set((action.role,) if isinstance(action, ApiCall) else action.roles) <= role_map.keys()
            assert "{" not in describe_action(action, role_map)
        for expected in step.expectations:
            assert set(expected.roles) <= role_map.keys()
            assert "new_server" not in describe_expectation(expected, role_map)


@each_incident
def test_required_options_make_cluster_suitable(incident: Incident) -> None:
    shape = cluster_shape(cluster_for(incident).world.agents)

    assert missing_requirements(incident.requirements, shape) == ("TLS (--tls)" if incident.requirements.tls else "")


@each_incident
def test_incident_ends_with_a_healthy_cluster(incident: Incident) -> None:
    """The last step expects only good reasons to last, and every fault is repaired."""
    last = [expected for expected in incident.steps[-1].expectations if not expected.transient]
    reasons = [(question, reason) for expected in last for question, reason in expected.reasons.items()]
    repairs = {
        "kill": "start",
        "pause": "resume",
        "leave": "start",
        "partition": "heal",
        "expire-certificate": "renew-certificate",
        "revoke-token": "restore-token",
    }
    applied = [
        (action.fault, role) for step in incident.steps for action in faults_of(step) for role in action.roles or [None]
    ]
    removed = {role for fault, role in applied if fault == "remove"}

    assert reasons
    assert all(Question(question) in VERDICT_REASONS[VerdictReason(reason)].yes for question, reason in reasons)
    for number, (fault, role) in enumerate(applied):
        if fault in repairs and role not in removed:
            assert (repairs[fault], role) in applied[number:]


@each_incident
def test_texts_are_sentences(incident: Incident) -> None:
    for text in (incident.title, *(step.description for step in incident.steps)):
        assert text.endswith(".")
        assert text[0].isupper()
        assert "\n" not in text


def test_only_rolling_restart_is_strict() -> None:
    assert [incident.name for incident in INCIDENTS.values() if incident.strict] == ["rolling-restart"]
