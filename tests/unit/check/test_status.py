"""What the answers mean for a check: which state, which exit code, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.check.command import QUESTIONS
from nomad_exporter.check.evaluate import State, findings
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.reasons import VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import AT, NO_LEADER, after_poll, agent, autopilot, client, cluster
from tests.unit.check.once import (
    DENIED,
    DISTRUSTED,
    LOCKED,
    NAMELESS,
    ONCE,
    SILENT,
    fleet_of,
    found,
    nothing_from,
    server,
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_well_cluster_is_well_whatever_is_asked(question: str) -> None:
    finding = found(question, server(1), server(2), server(3))

    assert (finding.state, finding.told.reason) == (State.OK, VerdictReason.OK)


@pytest.mark.parametrize(
    ("question", "failure", "state", "reason"),
    [
        pytest.param("live", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not alive, at once"),
        pytest.param("live", SILENT, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="silent: not alive, at once"),
        pytest.param("live", DENIED, State.OK, VerdictReason.OK, id="whoever refuses us lives"),
        pytest.param("live", DISTRUSTED, State.OK, VerdictReason.OK, id="a certificate is life"),
        pytest.param(
            "live", NAMELESS, State.UNKNOWN, VerdictReason.POLL_ERROR, id="without an address nothing is known"
        ),
        pytest.param("live", LOCKED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="without our token nothing was asked"),
        pytest.param("ready", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not ready"),
        pytest.param(
            "ready", DISTRUSTED, State.CRITICAL, VerdictReason.POLL_ERROR, id="a certificate is not readiness"
        ),
        pytest.param(
            "ready", NAMELESS, State.CRITICAL, VerdictReason.POLL_ERROR, id="nobody can use one without a name"
        ),
        pytest.param("ready", DENIED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="denied: it is our fault"),
        pytest.param("ready", LOCKED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="no token: it is our fault"),
        pytest.param("quorum", REFUSED, State.CRITICAL, VerdictReason.UNKNOWN, id="who refuses has not told who it is"),
        pytest.param("quorum", DENIED, State.UNKNOWN, VerdictReason.UNKNOWN, id="denied: it is our fault, too"),
        pytest.param("health", REFUSED, State.CRITICAL, VerdictReason.UNRESPONSIVE, id="refused: not healthy"),
        pytest.param("health", DISTRUSTED, State.CRITICAL, VerdictReason.POLL_ERROR, id="a certificate is not health"),
        pytest.param("health", LOCKED, State.UNKNOWN, VerdictReason.POLL_ERROR, id="no token: health is not known"),
    ],
)
def test_one_that_says_nothing_is_judged_by_why(
    question: str, failure: Failure, state: State, reason: VerdictReason
) -> None:
    finding = found(question, nothing_from(1, failure), server(2), server(3))

    assert (finding.state, finding.told.reason) == (state, reason)
    assert str(failure) in finding.told.message or state is State.OK


def test_without_the_right_to_read_self_nobody_knows_whether_it_is_ready() -> None:
    finding = found("ready", server(1, own=DENIED))

    assert (finding.state, finding.told.reason) == (State.UNKNOWN, VerdictReason.POLL_ERROR)


def test_one_that_is_red_is_red_whatever_we_may_not_read() -> None:
    finding = found("ready", server(1, health({Role.SERVER: NO_LEADER}), own=DENIED))

    assert (finding.state, finding.told.reason) == (State.CRITICAL, VerdictReason.NO_LEADER)


def test_of_three_servers_with_one_dead_none_may_be_stopped() -> None:
    finding = found("quorum", server(1), server(2), nothing_from(3, REFUSED))

    assert finding.state is State.CRITICAL
    assert "refused" in finding.told.message


def test_a_witness_who_keeps_us_out_is_our_fault() -> None:
    finding = found("quorum", server(1), server(2), nothing_from(3, DENIED))

    assert (finding.state, finding.told.reason) == (State.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE)
    assert finding.told.message.endswith(f"Not told: s3 ({DENIED}).")


def test_without_the_right_to_read_members_too_little_is_known() -> None:
    finding = found("quorum", *(server(number, members=DENIED) for number in (1, 2, 3)))

    assert (finding.state, finding.told.reason) == (State.UNKNOWN, VerdictReason.INSUFFICIENT_EVIDENCE)


def test_what_the_agent_itself_did_not_tell_is_told_first() -> None:
    fleet = [nothing_from(number, REFUSED) for number in (1, 2, 3, 4, 5)]

    (finding,) = findings("quorum", fleet, ["s3"], AT, ONCE)

    assert "Not told: s3 (refused: connection refused), s1 (" in finding.told.message
    assert finding.told.message.count("connection refused") == 3


def test_a_witness_who_keeps_us_out_does_not_matter_where_enough_is_known_without_him() -> None:
    four_of_five = fleet_of(cluster(5))[:4]

    finding = found("quorum", *four_of_five, nothing_from(5, DENIED))

    assert (finding.state, finding.told.reason) == (State.OK, VerdictReason.OK)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(replace(ONCE, trust_gossip=True), id="trusting gossip"),
        pytest.param(replace(ONCE, autopilot=True), id="trusting autopilot"),
    ],
)
def test_one_that_just_died_is_not_counted_though_gossip_and_autopilot_have_not_noticed(thresholds: Thresholds) -> None:
    vouching = [after_poll(server(number), Source.AUTOPILOT, autopilot(1, 2, 3)) for number in (1, 2)]

    before = found("quorum", *vouching, thresholds=thresholds)
    finding = found("quorum", *vouching, nothing_from(3, REFUSED), thresholds=thresholds)

    assert before.state is State.OK
    assert (finding.state, finding.told.reason) == (State.CRITICAL, VerdictReason.INSUFFICIENT_EVIDENCE)
    assert finding.told.message.endswith("Not told: s3 (refused: connection refused).")


def test_a_dead_client_costs_nothing_where_every_voter_vouches_for_itself() -> None:
    trusting = replace(ONCE, trust_gossip=True, autopilot=False)

    finding = found("quorum", server(1), server(2), server(3), nothing_from(4, REFUSED), thresholds=trusting)

    assert finding.state is State.OK
    assert "refused" not in finding.told.message


def test_a_client_may_be_stopped() -> None:
    finding = found("quorum", client())

    assert (finding.state, finding.told.reason) == (State.OK, VerdictReason.NOT_A_VOTER)


def test_health_is_told_in_the_words_of_nomad() -> None:
    both = health({Role.SERVER: NO_LEADER, Role.CLIENT: WELL})
    finding = found("health", after_poll(Snapshot(agent("s1")), Source.HEALTH, both))

    assert (finding.state, finding.told.reason) == (State.CRITICAL, VerdictReason.UNHEALTHY)
    assert finding.told.message == "Nomad says of the client: ok; of the server: no leader."
    assert finding.told.details == {"server_health": "no leader", "client_health": "ok"}
