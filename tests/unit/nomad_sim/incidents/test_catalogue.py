"""The stories: each can be played as it stands, and tells only what the exporter can say."""

from __future__ import annotations

import pytest
from nomad_exporter.judge.reasons import GUIDE, Question, Reason
from nomad_exporter.metrics.drawing import TABLES
from nomad_exporter.metrics.of_history import HISTORY

from nomad_exporter.demo.deeds import DEEDS, OF_ALL
from nomad_exporter.demo.incidents.cast import cast_of
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.needs import fitted, lacking, shape_of
from nomad_exporter.demo.incidents.story import ADD, Ask, Deed, Expected, Incident, Role, Scene, Sight
from nomad_exporter.demo.incidents.telling import deed_told, expected_told
from nomad_exporter.demo.layout import setups
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from tests.support.clusters import pass_time

OF_THE_ISSUE = [
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

LABELS = {family.name: set(family.labels) for table in TABLES for family in table}

each_incident = pytest.mark.parametrize("incident", INCIDENTS.values(), ids=lambda incident: incident.name)


def expectations(incident: Incident) -> list[Expected]:
    return [expected for scene in incident.scenes for expected in scene.expected]


def deeds(scene: Scene) -> list[Deed]:
    return [deed for deed in scene.deeds if isinstance(deed, Deed)]


def cluster_for(incident: Incident) -> Cluster:
    """The cluster that ``--incident`` gives it."""
    options = fitted(Options(port=20000), incident, ())
    cluster = Cluster(setups(options, None), Timing(), 1, 0.0)
    pass_time(cluster, 20.0)
    return cluster


def test_every_incident_of_the_plan_is_there_by_its_name() -> None:
    assert list(INCIDENTS) == OF_THE_ISSUE
    assert [incident.name for incident in INCIDENTS.values()] == OF_THE_ISSUE


@each_incident
def test_every_reason_is_of_the_closed_list_and_answers_its_question(incident: Incident) -> None:
    told = [(question, reason) for expected in expectations(incident) for question, reason in expected.reasons.items()]

    assert told
    assert all(Question(question) in GUIDE[Reason(reason)].questions for question, reason in told)


@each_incident
def test_every_sample_is_of_a_family_with_these_labels(incident: Incident) -> None:
    for expected in expectations(incident):
        for shown in expected.samples:
            assert shown.labels.keys() <= LABELS[shown.name]
            assert shown.sight is not Sight.GROWN or shown.name.endswith("_total")


def test_every_change_that_is_counted_is_counted_in_some_story() -> None:
    told = {shown.name for one in INCIDENTS.values() for expected in expectations(one) for shown in expected.samples}

    assert {family.name for family in HISTORY} - told == NEVER_CERTAIN


@each_incident
def test_every_deed_can_be_done_and_everybody_in_it_is_cast(incident: Incident) -> None:
    cluster = cluster_for(incident)
    cast = dict(cast_of(cluster.world.agents))

    assert Role.NEWCOMER not in cast
    for scene in incident.scenes:
        for deed in scene.deeds:
            if isinstance(deed, Deed) and deed.what == ADD:
                cast[Role.NEWCOMER] = cast[Role.LEADER]
            assert isinstance(deed, Ask) or deed.what in {ADD, *(DEEDS if deed.to else OF_ALL)}
            assert set((deed.of,) if isinstance(deed, Ask) else deed.to) <= cast.keys()
            assert "{" not in deed_told(deed, cast)
        for expected in scene.expected:
            assert set(expected.of) <= cast.keys()
            assert "newcomer" not in expected_told(expected, cast)


@each_incident
def test_what_an_incident_switches_on_is_all_that_it_needs(incident: Incident) -> None:
    shape = shape_of(cluster_for(incident).world.agents)

    assert lacking(incident.needs, shape) == ("TLS (--tls)" if incident.needs.tls else "")


@each_incident
def test_in_the_end_all_is_well_again(incident: Incident) -> None:
    """The last scene expects nothing bad to last, and nobody was left dead, frozen, cut off or without his rights."""
    last = [expected for expected in incident.scenes[-1].expected if not expected.passing]
    reasons = [(question, reason) for expected in last for question, reason in expected.reasons.items()]
    ends = {"kill": "start", "freeze": "thaw", "leave": "start", "cut": "heal", "expire": "renew", "revoke": "restore"}
    done = [(deed.what, role) for scene in incident.scenes for deed in deeds(scene) for role in deed.to or [None]]
    gone = {role for what, role in done if what == "remove"}

    assert reasons
    assert all(Question(question) in GUIDE[Reason(reason)].yes for question, reason in reasons)
    for number, (what, role) in enumerate(done):
        if what in ends and role not in gone:
            assert (ends[what], role) in done[number:]


@each_incident
def test_it_is_told_in_single_sentences(incident: Incident) -> None:
    for text in (incident.title, *(scene.sentence for scene in incident.scenes)):
        assert text.endswith(".")
        assert text[0].isupper()
        assert "\n" not in text


def test_one_incident_is_watched_at_every_moment() -> None:
    assert [incident.name for incident in INCIDENTS.values() if incident.strict] == ["rolling-restart"]
