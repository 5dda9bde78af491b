"""The evaluation of a check: state, reason and message of each agent after a single poll."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.check.collect import NOT_POLLED
from nomad_exporter.check.command import QUESTIONS
from nomad_exporter.check.findings import NOT_POLLED_REMEDY, check_agents, required_sources
from nomad_exporter.nomad.failures import FAILURE_REASONS, Failure
from nomad_exporter.nomad.models import Check, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.lines import State
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, describe
from tests.support.answers import GATEWAY, HEALTHY, REFUSED, health
from tests.support.fleets import AT, NO_LEADER, after_poll, agent, autopilot, client, cluster, self_answer
from tests.unit.check.once import (
    ALL,
    DENIED,
    ONCE,
    TIMED_OUT,
    UNREADABLE,
    UNRESOLVED,
    UNTRUSTED,
    failed,
    finding_of,
    server,
    snapshots_of,
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_required_sources_depend_on_question(question: str) -> None:
    needed = {
        "live": {HEALTH},
        "health": {HEALTH},
        "ready": {HEALTH, SELF},
        "quorum": {HEALTH, SELF, MEMBERS},
    }[question]

    assert set(required_sources(question, Thresholds())) == needed
    assert set(required_sources(question, Thresholds(autopilot=True))) == needed | (
        {AUTOPILOT} if question == "quorum" else set()
    )


def test_different_leaders_conflict_at_once() -> None:
    other = server(2, agent_self=self_answer(2, ALL, leader=2))

    finding = finding_of("quorum", server(1), other, server(3))

    assert (finding.state, finding.report.reason) == (State.CRITICAL, VerdictReason.CONFLICTING_VIEWS)


def test_details_and_ages_equal_those_of_path() -> None:
    finding = finding_of("quorum", *snapshots_of(cluster(3)))

    assert {
        "voters": 3,
        "healthy": 3,
        "quorum_size": 2,
        "failure_tolerance": 1,
    }.items() <= finding.report.details.items()
    assert set(finding.report.ages) == {"poll", "health", "self", "members"}


def test_findings_keep_order_of_fleet() -> None:
    fleet = snapshots_of(cluster(3))

    assert [finding.report.agent for finding in check_agents("ready", fleet, ["s3", "s1"], AT, ONCE)] == ["s1", "s3"]


def test_check_uses_configured_thresholds() -> None:
    late = client(numbers={"client.heartbeat_ttl": 12.0, "client.last_heartbeat": 25.0})

    assert finding_of("ready", late).report.reason is VerdictReason.SERVERS_UNREACHABLE
    assert finding_of("ready", late, thresholds=replace(ONCE, heartbeat_grace=60.0)).state is State.OK


# Statuses.


@pytest.mark.parametrize("question", QUESTIONS)
def test_healthy_cluster_is_ok_for_every_question(question: str) -> None:
    finding = finding_of(question, server(1), server(2), server(3))

    assert (finding.state, finding.report.reason) == (State.OK, VerdictReason.OK)


@pytest.mark.parametrize(
    ("question", "failure", "state", "reason"),
    [
        pytest.param("live", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not live at once"),
        pytest.param("live", TIMED_OUT, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="timeout: not live at once"),
        pytest.param("live", GATEWAY, State.CRITICAL, VerdictReason.POLL_ERROR, id="gateway: not live at once"),
        pytest.param("live", DENIED, State.OK, VerdictReason.OK, id="denied: live"),
        pytest.param("live", UNTRUSTED, State.OK, VerdictReason.OK, id="untrusted certificate: live"),
        pytest.param("live", UNRESOLVED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="unresolved: nothing is known"),
        pytest.param("live", UNREADABLE, State.UNKNOWN, VerdictReason.POLL_ERROR, id="unreadable token: not polled"),
        pytest.param("ready", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not ready"),
        pytest.param(
            "ready", UNTRUSTED, State.CRITICAL, VerdictReason.POLL_ERROR, id="untrusted certificate: not ready"
        ),
        pytest.param("ready", UNRESOLVED, State.CRITICAL, VerdictReason.POLL_ERROR, id="unresolved: not ready"),
        pytest.param("ready", DENIED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="denied: fault of the caller"),
        pytest.param(
            "ready", UNREADABLE, State.UNKNOWN, VerdictReason.POLL_ERROR, id="unreadable token: fault of the caller"
        ),
        pytest.param("quorum", REFUSED, State.CRITICAL, VerdictReason.UNKNOWN, id="refused: identity is unknown"),
        pytest.param("quorum", DENIED, State.UNKNOWN, VerdictReason.UNKNOWN, id="denied: identity is unknown"),
        pytest.param("health", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not healthy"),
        pytest.param("health", GATEWAY, State.CRITICAL, VerdictReason.POLL_ERROR, id="gateway: not healthy"),
        pytest.param(
            "health", UNTRUSTED, State.CRITICAL, VerdictReason.POLL_ERROR, id="untrusted certificate: not healthy"
        ),
        pytest.param(
            "health", UNREADABLE, State.UNKNOWN, VerdictReason.POLL_ERROR, id="unreadable token: health is unknown"
        ),
    ],
)
def test_state_of_failed_poll_depends_on_failure(
    question: str, failure: Failure, state: State, reason: VerdictReason
) -> None:
    finding = finding_of(question, failed(1, failure), server(2), server(3))

    assert (finding.state, finding.report.reason) == (state, reason)
    assert describe(failure) in finding.report.message or state is State.OK


@pytest.mark.parametrize("question", ["live", "ready", "health"])
@pytest.mark.parametrize("failure", [UNRESOLVED, UNREADABLE, DENIED, UNTRUSTED], ids=lambda failure: failure.reason)
def test_remedy_of_failed_poll_is_that_of_failure(question: str, failure: Failure) -> None:
    report = finding_of(question, failed(1, failure)).report

    assert report.ok or report.remedy == FAILURE_REASONS[failure.reason].remedy


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param([failed(1, REFUSED)], id="dead"),
        pytest.param([server(1)], id="one of three servers"),
        pytest.param([server(1), failed(2, REFUSED), failed(3, REFUSED)], id="one of three servers responds"),
        pytest.param([server(1), server(2), server(3, health({Role.SERVER: NO_LEADER}))], id="one without a leader"),
        pytest.param([server(number, health({Role.SERVER: NO_LEADER})) for number in (1, 2, 3)], id="no leader"),
        pytest.param([server(1, health({Role.SERVER: Check(ok=False, message="disk full")}))], id="unhealthy"),
    ],
)
def test_message_does_not_repeat_the_reason(question: str, fleet: list[Snapshot]) -> None:
    for finding in check_agents(question, fleet, [snapshot.agent.name for snapshot in fleet], AT, ONCE):
        repeated = str(finding.report.reason).replace("_", " ")
        assert repeated == "ok" or not finding.report.message.lower().startswith(repeated)
        assert f"{repeated}:" not in finding.report.message


@pytest.mark.parametrize("question", QUESTIONS)
def test_agent_that_was_not_polled_is_unknown(question: str) -> None:
    finding = finding_of(question, failed(1, NOT_POLLED), server(2), server(3))

    assert finding.state is State.UNKNOWN
    assert "not polled" in finding.report.message
    assert finding.report.remedy == NOT_POLLED_REMEDY


def test_dead_agent_is_critical_even_if_self_was_not_polled() -> None:
    finding = finding_of("ready", server(1, REFUSED, agent_self=NOT_POLLED))

    assert (finding.state, finding.report.reason) == (State.CRITICAL, VerdictReason.UNRESPONSIVE)


def test_voter_that_was_not_polled_makes_quorum_unknown() -> None:
    finding = finding_of("quorum", server(1), server(2), failed(3, NOT_POLLED))

    assert (finding.state, finding.report.reason) == (State.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE)


def test_ready_is_unknown_if_self_is_denied() -> None:
    finding = finding_of("ready", server(1, agent_self=DENIED))

    assert (finding.state, finding.report.reason) == (State.UNKNOWN, VerdictReason.POLL_ERROR)


def test_unhealthy_server_is_critical_even_if_self_is_denied() -> None:
    finding = finding_of("ready", server(1, health({Role.SERVER: NO_LEADER}), agent_self=DENIED))

    assert (finding.state, finding.report.reason) == (State.CRITICAL, VerdictReason.NO_LEADER)


def test_one_dead_server_of_three_makes_quorum_critical() -> None:
    finding = finding_of("quorum", server(1), server(2), failed(3, REFUSED))

    assert finding.state is State.CRITICAL
    assert "refused" in finding.report.message


def test_evidence_source_that_denies_access_makes_quorum_unknown() -> None:
    finding = finding_of("quorum", server(1), server(2), failed(3, DENIED))

    assert (finding.state, finding.report.reason) == (State.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE)
    assert finding.report.message.endswith(f"Not reporting: s3 ({DENIED}).")


def test_quorum_is_unknown_if_members_are_denied() -> None:
    finding = finding_of("quorum", *(server(number, members=DENIED) for number in (1, 2, 3)))

    assert (finding.state, finding.report.reason) == (State.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE)


def test_message_names_the_agent_itself_first() -> None:
    fleet = [failed(number, REFUSED) for number in (1, 2, 3, 4, 5)]

    (finding,) = check_agents("quorum", fleet, ["s3"], AT, ONCE)

    assert "Not reporting: s3 (refused: connection refused), s1 (" in finding.report.message
    assert finding.report.message.count("refused: connection refused") == 3


def test_denied_access_is_irrelevant_if_evidence_suffices() -> None:
    four_of_five = snapshots_of(cluster(5))[:4]

    finding = finding_of("quorum", *four_of_five, failed(5, DENIED))

    assert (finding.state, finding.report.reason) == (State.OK, VerdictReason.OK)


@pytest.mark.parametrize(
    "thresholds",
    [
        pytest.param(replace(ONCE, trust_gossip=True), id="trusting gossip"),
        pytest.param(replace(ONCE, autopilot=True), id="trusting autopilot"),
    ],
)
def test_dead_server_is_not_healthy_before_gossip_notices(thresholds: Thresholds) -> None:
    reporting = [after_poll(server(number), AUTOPILOT, autopilot(1, 2, 3)) for number in (1, 2)]

    before = finding_of("quorum", *reporting, thresholds=thresholds)
    finding = finding_of("quorum", *reporting, failed(3, REFUSED), thresholds=thresholds)

    assert before.state is State.OK
    assert (finding.state, finding.report.reason) == (State.CRITICAL, VerdictReason.INSUFFICIENT_EVIDENCE)
    assert finding.report.message.endswith("Not reporting: s3 (refused: connection refused).")


def test_dead_client_is_irrelevant_if_every_voter_responds() -> None:
    trusting = replace(ONCE, trust_gossip=True, autopilot=False)

    finding = finding_of("quorum", server(1), server(2), server(3), failed(4, REFUSED), thresholds=trusting)

    assert finding.state is State.OK
    assert "refused" not in finding.report.message


def test_client_may_be_stopped() -> None:
    finding = finding_of("quorum", client())

    assert (finding.state, finding.report.reason) == (State.OK, VerdictReason.NOT_A_VOTER)


def test_health_message_quotes_nomad() -> None:
    both = health({Role.SERVER: NO_LEADER, Role.CLIENT: HEALTHY})
    finding = finding_of("health", after_poll(Snapshot(agent("s1")), HEALTH, both))

    assert (finding.state, finding.report.reason) == (State.CRITICAL, VerdictReason.UNHEALTHY)
    assert finding.report.message == "Nomad reports client: ok; server: no leader."
    assert finding.report.details == {"server_health": "no leader", "client_health": "ok"}
