"""The ready verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.failures import FAILURE_REASONS, Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import apply
from nomad_exporter.verdicts.ready import apply_lag, ready
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import HEALTHY, REFUSED, health
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    after_poll,
    agent,
    client,
    cluster,
    cut_off,
    dead,
    gossip,
    leaderless,
    member,
    polled_server,
    raft,
    reading,
    self_answer,
    shared,
    without,
)

SERVER = cluster(3)["s2"]
CLIENT = client()
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")
ERROR = Failure(FailureReason.STATUS, "HTTP 500", status=500)


def verdict_on(snapshot: Snapshot, thresholds: Thresholds = THRESHOLDS) -> Verdict:
    return ready(snapshot, AT, thresholds)


def server(**fields: Any) -> Snapshot:
    """Return a healthy follower; ``fields`` override its self answer, ``numbers`` are merged."""
    default = self_answer(2, raft(1, 2, 3))
    numbers = {**default.numbers, **fields.pop("numbers", {})}
    return polled_server(2, replace(default, numbers=numbers, **fields), gossip(1, 2, 3))


def unhealthy(role: Role, message: str) -> Snapshot:
    """Return an agent of one role that reports itself unhealthy with this message."""
    return after_poll(
        SERVER if role is Role.SERVER else CLIENT, HEALTH, health({role: Check(ok=False, message=message)})
    )


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [(SERVER, "The server is ready."), (CLIENT, "The client is ready.")],
    ids=["server", "client"],
)
def test_healthy_agent_is_ready(snapshot: Snapshot, message: str) -> None:
    assert verdict_on(snapshot) == Verdict(Question.READY, VerdictReason.OK, message)


def test_agent_never_polled_is_starting() -> None:
    verdict = verdict_on(Snapshot(agent("s1")))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.STARTING)


@pytest.mark.parametrize("source", [HEALTH, SELF])
def test_agent_is_starting_until_health_and_self_are_polled(source: Source[Any]) -> None:
    assert verdict_on(without(SERVER, source)).reason is VerdictReason.STARTING


# Health.


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (REFUSED, VerdictReason.UNRESPONSIVE),
        (Failure(FailureReason.RESET, "reset"), VerdictReason.UNRESPONSIVE),
        (TIMED_OUT, VerdictReason.UNRESPONSIVE),
        (replace(TIMED_OUT, has_partial_response=True), VerdictReason.POLL_ERROR),
        (Failure(FailureReason.TLS, "certificate expired"), VerdictReason.POLL_ERROR),
        (Failure(FailureReason.CREDENTIALS, "token"), VerdictReason.POLL_ERROR),
        (Failure(FailureReason.DNS, "no such host"), VerdictReason.POLL_ERROR),
        (Failure(FailureReason.STATUS, "HTTP 429", status=429), VerdictReason.POLL_ERROR),
        (Failure(FailureReason.GATEWAY, "HTTP 502, not from Nomad", status=502), VerdictReason.POLL_ERROR),
    ],
    ids=lambda value: str(value) if isinstance(value, Failure) else "",
)
@pytest.mark.parametrize("snapshot", [SERVER, CLIENT], ids=["server", "client"])
def test_one_failed_health_poll_makes_agent_not_ready(
    snapshot: Snapshot, failure: Failure, reason: VerdictReason
) -> None:
    verdict = verdict_on(after_poll(snapshot, HEALTH, failure))

    assert (verdict.ok, verdict.reason) == (False, reason)
    cause = failure.detail if reason is VerdictReason.UNRESPONSIVE else f"{failure.reason}: {failure.detail}"
    assert verdict.message == f"Poll of /v1/agent/health failed ({cause})."
    is_poll_error = reason is VerdictReason.POLL_ERROR
    assert verdict.remedy == (FAILURE_REASONS[failure.reason] if is_poll_error else VERDICT_REASONS[reason]).remedy


@pytest.mark.parametrize(("later", "reason"), [(14.0, VerdictReason.OK), (14.1, VerdictReason.EXPORTER_STALLED)])
def test_old_health_answer_means_the_exporter_has_stalled(later: float, reason: VerdictReason) -> None:
    assert ready(SERVER, AT + later, THRESHOLDS).reason is reason


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(leaderless(SERVER), VerdictReason.NO_LEADER, id="no leader"),
        pytest.param(
            unhealthy(Role.SERVER, "No cluster leader"),
            VerdictReason.NO_LEADER,
            id="no leader, in another wording of Nomad",
        ),
        pytest.param(cut_off(SERVER), VerdictReason.LEADER_UNREACHABLE, id="leader unreachable"),
        pytest.param(
            unhealthy(Role.SERVER, "rpc error: EOF"), VerdictReason.UNHEALTHY, id="server with an unknown message"
        ),
        pytest.param(
            unhealthy(Role.CLIENT, "no known servers"), VerdictReason.SERVERS_UNREACHABLE, id="no known servers"
        ),
        pytest.param(unhealthy(Role.CLIENT, "no leader"), VerdictReason.UNHEALTHY, id="client with an unknown message"),
    ],
)
def test_unhealthy_agent_is_not_ready(snapshot: Snapshot, reason: VerdictReason) -> None:
    verdict = verdict_on(snapshot)

    assert (verdict.ok, verdict.reason) == (False, reason)
    assert "'s health check fails: " in verdict.message


def test_message_quotes_nomad() -> None:
    verdict = verdict_on(unhealthy(Role.SERVER, "No cluster leader"))

    assert verdict.message == "The server's health check fails: No cluster leader."


# The self answer.


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(DENIED, VerdictReason.POLL_ERROR), (ERROR, VerdictReason.POLL_ERROR), (TIMED_OUT, VerdictReason.UNRESPONSIVE)],
    ids=str,
)
def test_server_is_ready_while_its_self_answer_is_fresh(failure: Failure, reason: VerdictReason) -> None:
    failing = after_poll(SERVER, SELF, failure)
    old = after_poll(after_poll(without(SERVER, SELF), SELF, SERVER[SELF].answer, ago=46), SELF, failure)

    cause = failure.detail if reason is VerdictReason.UNRESPONSIVE else str(failure)
    assert verdict_on(failing).ok
    assert verdict_on(old).reason is reason
    assert verdict_on(old).message == f"No valid response from /v1/agent/self for 46s ({cause})."


def test_agent_without_a_self_answer_is_not_ready() -> None:
    verdict = verdict_on(after_poll(without(SERVER, SELF), SELF, DENIED))

    assert verdict.reason is VerdictReason.POLL_ERROR
    assert verdict.message == f"No valid response from /v1/agent/self yet ({DENIED})."


def test_self_answer_expires_without_a_failed_poll() -> None:
    assert verdict_on(after_poll(without(SERVER, SELF), SELF, SERVER[SELF].answer, ago=46)) == Verdict(
        Question.READY, VerdictReason.POLL_ERROR, "No valid response from /v1/agent/self for 46s."
    )


@pytest.mark.parametrize("failure", [TIMED_OUT, ERROR], ids=str)
@pytest.mark.parametrize("before", [CLIENT, without(CLIENT, SELF)], ids=["self answered before", "self never answered"])
def test_client_that_cannot_validate_token_reaches_no_server(before: Snapshot, failure: Failure) -> None:
    verdict = verdict_on(after_poll(before, SELF, failure))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.SERVERS_UNREACHABLE)
    cause = failure.detail if failure is TIMED_OUT else str(failure)
    assert verdict.message == f"The client could not validate the exporter's token ({cause}): it cannot reach a server."


@pytest.mark.parametrize("failure", [DENIED, REFUSED, Failure(FailureReason.STATUS, "HTTP 404", status=404)], ids=str)
def test_other_self_failures_do_not_affect_client(failure: Failure) -> None:
    assert verdict_on(after_poll(CLIENT, SELF, failure)).ok


# Servers.


def test_restarted_server_without_vote_is_not_ready() -> None:
    verdict = verdict_on(server(configuration=raft(1, 3, nonvoters=[2])))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.NOT_YET_VOTER)
    assert verdict.message == "The server is a Nonvoter in its own Raft configuration."


def test_server_missing_from_its_configuration_is_not_ready() -> None:
    verdict = verdict_on(server(configuration=raft(1, 3)))

    assert verdict.reason is VerdictReason.NOT_YET_VOTER
    assert verdict.message == "The server is not in its own Raft configuration."


@pytest.mark.parametrize("configuration", [raft(1, 3, nonvoters=[2]), raft(1, 3)], ids=["nonvoter", "missing"])
def test_intended_nonvoter_needs_no_vote(configuration: Any) -> None:
    assert verdict_on(server(configuration=configuration, member=member(2, nonvoter=True))).ok


@pytest.mark.parametrize("fields", [{"configuration": None}, {"member": None}], ids=str)
def test_missing_configuration_or_member_is_no_problem(fields: dict[str, Any]) -> None:
    assert verdict_on(server(**fields)).ok


def refusing(source: Source[Any], ago: float) -> Snapshot:
    """Return the server after a poll was refused ``ago`` seconds ago; all other polls were a second ago."""
    snapshot, _ = apply(without(SERVER, MEMBERS), reading(source, REFUSED, ago))
    return snapshot


def test_refused_connection_invalidates_the_self_answer() -> None:
    restarted = after_poll(refusing(HEALTH, 0.8), HEALTH, health({Role.SERVER: HEALTHY}), 0.2)
    polled_again, _ = apply(restarted, reading(SELF, SERVER[SELF].answer, 0.1))

    assert verdict_on(refusing(HEALTH, 0.8)).reason is VerdictReason.UNRESPONSIVE
    assert verdict_on(refusing(SELF, 0.5)).reason is VerdictReason.UNRESPONSIVE, "any source counts"
    assert verdict_on(restarted).reason is VerdictReason.STARTING
    assert verdict_on(polled_again).ok


def test_rejected_token_after_a_restart_is_a_poll_error() -> None:
    restarted = after_poll(refusing(HEALTH, 0.8), HEALTH, health({Role.SERVER: HEALTHY}), 0.2)
    verdict = verdict_on(after_poll(restarted, SELF, Failure(FailureReason.UNAUTHORIZED, "HTTP 403"), 0.1))

    assert verdict.reason is VerdictReason.POLL_ERROR
    assert verdict.message == (
        "The agent restarted, and no poll of /v1/agent/self has succeeded since (unauthorized: HTTP 403)."
    )


def test_newer_leader_contact_in_health_outweighs_last_contact() -> None:
    old = server(numbers={"raft.last_contact": 20.0})

    assert verdict_on(old).reason is VerdictReason.LEADER_CONTACT_LOST
    reached = replace(health({Role.SERVER: HEALTHY}), leader_reachable=True)
    assert verdict_on(after_poll(old, HEALTH, reached, 0.1)).ok


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (0.0, VerdictReason.OK),
        (0.1, VerdictReason.OK),
        (10.0, VerdictReason.OK),
        (10.5, VerdictReason.LEADER_CONTACT_LOST),
    ],
)
def test_server_needs_recent_leader_contact(contact: float, reason: VerdictReason) -> None:
    assert verdict_on(server(numbers={"raft.last_contact": contact})).reason is reason


def test_max_leader_contact_is_configurable() -> None:
    isolated = server(numbers={"raft.last_contact": 10.5})

    assert verdict_on(isolated).message == "The server last heard from its leader 10.5s ago (maximum 10s)."
    assert verdict_on(isolated, Thresholds(max_leader_contact=10.5)).ok


@pytest.mark.parametrize(
    ("applied", "reason"), [(2000, VerdictReason.OK), (1000, VerdictReason.OK), (999, VerdictReason.RAFT_APPLY_LAG)]
)
def test_server_needs_small_apply_lag(applied: int, reason: VerdictReason) -> None:
    verdict = verdict_on(server(numbers={"raft.commit_index": 2000, "raft.applied_index": applied}))

    assert verdict.reason is reason
    assert verdict.ok or verdict.message == "The server has 1001 committed entries left to apply (maximum 1000)."


def test_max_apply_lag_is_configurable() -> None:
    behind = server(numbers={"raft.commit_index": 2000, "raft.applied_index": 1990})

    assert verdict_on(behind, Thresholds(max_apply_lag=10)).ok
    assert not verdict_on(behind, Thresholds(max_apply_lag=9)).ok


@pytest.mark.parametrize(
    ("numbers", "lag"),
    [
        ({}, None),
        ({"raft.commit_index": 7}, None),
        ({"raft.applied_index": 7}, None),
        ({"raft.commit_index": 7, "raft.applied_index": 7}, 0),
        ({"raft.commit_index": 9, "raft.applied_index": 7}, 2),
        ({"raft.commit_index": 7, "raft.applied_index": 9}, 0),
    ],
)
def test_apply_lag_is_committed_minus_applied(numbers: dict[str, int], lag: int | None) -> None:
    assert apply_lag(AgentSelf(frozenset({Role.SERVER}), numbers=numbers)) == lag


# Clients.


def client_with(heartbeat: float | None, ttl: float | None = 10.0) -> Snapshot:
    numbers = {"client.heartbeat_ttl": ttl, "client.last_heartbeat": heartbeat}
    return client(numbers={name: value for name, value in numbers.items() if value is not None})


@pytest.mark.parametrize(
    ("heartbeat", "reason"),
    [
        pytest.param(0.0, VerdictReason.OK, id="just now"),
        pytest.param(10.12, VerdictReason.OK, id="at the end of its TTL"),
        pytest.param(20.0, VerdictReason.OK, id="within the grace period"),
        pytest.param(20.1, VerdictReason.SERVERS_UNREACHABLE, id="past the grace period"),
        pytest.param(None, VerdictReason.OK, id="missing"),
    ],
)
def test_heartbeat_may_be_as_old_as_ttl_plus_grace(heartbeat: float | None, reason: VerdictReason) -> None:
    assert verdict_on(client_with(heartbeat)).reason is reason


def test_message_about_old_heartbeat_names_its_limits() -> None:
    assert verdict_on(client_with(67.4)).message == "The client's last heartbeat was 1m7s ago (TTL 10s, grace 10s)."


def test_heartbeat_grace_is_configurable() -> None:
    assert not verdict_on(client_with(10.2), Thresholds(heartbeat_grace=0.1)).ok
    assert verdict_on(client_with(10.2), Thresholds(heartbeat_grace=0.2)).ok


def test_age_of_the_answer_is_not_added_to_heartbeat() -> None:
    old = after_poll(without(client_with(19.0), SELF), SELF, client_with(19.0)[SELF].answer, ago=44)

    assert verdict_on(old).ok


def test_client_without_ttl_is_not_registered() -> None:
    verdict = verdict_on(client_with(0.2, ttl=None))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.NOT_REGISTERED)


# Several agents at one address.


@pytest.mark.parametrize("snapshot", [SERVER, client(texts={"client.node_id": "node-1"})], ids=["server", "client"])
def test_several_agents_at_one_address_are_not_ready(snapshot: Snapshot) -> None:
    verdict = verdict_on(shared(snapshot))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.SEVERAL_AGENTS)
    assert "node-1, node-9" in verdict.message or "id-2, id-9" in verdict.message


def test_several_agents_are_a_problem_before_their_health() -> None:
    assert verdict_on(shared(leaderless(SERVER))).reason is VerdictReason.SEVERAL_AGENTS
    assert verdict_on(dead(shared(SERVER))).reason is VerdictReason.UNRESPONSIVE


# Agents with both roles.


def both(checks: dict[Role, Check] | None = None, **numbers: float) -> Snapshot:
    numbers = {"client.heartbeat_ttl": 10.0, **{name.replace("_", ".", 1): value for name, value in numbers.items()}}
    default = self_answer(1, raft(1))
    agent_self = replace(default, roles=frozenset(Role), numbers={**default.numbers, **numbers})
    return polled_server(1, agent_self, gossip(1), health_outcome=health(checks or dict.fromkeys(Role, HEALTHY)))


def test_agent_is_ready_if_both_roles_are() -> None:
    assert verdict_on(both()) == Verdict(Question.READY, VerdictReason.OK, "The client and server are ready.")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(
            both({Role.SERVER: Check(False, "no leader"), Role.CLIENT: HEALTHY}),
            VerdictReason.NO_LEADER,
            id="server unhealthy",
        ),
        pytest.param(
            both({Role.SERVER: HEALTHY, Role.CLIENT: Check(False, "no known servers")}),
            VerdictReason.SERVERS_UNREACHABLE,
            id="client unhealthy",
        ),
        pytest.param(
            both(raft_last_contact=11.0), VerdictReason.LEADER_CONTACT_LOST, id="server without leader contact"
        ),
        pytest.param(
            both(client_last_heartbeat=21.0), VerdictReason.SERVERS_UNREACHABLE, id="client without heartbeat"
        ),
    ],
)
def test_agent_is_not_ready_if_one_role_is_not(snapshot: Snapshot, reason: VerdictReason) -> None:
    assert verdict_on(snapshot).reason is reason


def test_token_check_of_server_with_client_is_local() -> None:
    assert verdict_on(after_poll(both(), SELF, TIMED_OUT)).ok


def test_first_problem_decides() -> None:
    failing = after_poll(after_poll(leaderless(SERVER), SELF, TIMED_OUT), HEALTH, REFUSED)

    assert verdict_on(failing).reason is VerdictReason.UNRESPONSIVE


def test_server_that_became_client_is_evaluated_as_client() -> None:
    converted = after_poll(SERVER, HEALTH, health({Role.CLIENT: HEALTHY}))
    converted = after_poll(converted, SELF, CLIENT[SELF].answer)

    assert verdict_on(converted) == Verdict(Question.READY, VerdictReason.OK, "The client is ready.")
    assert isinstance(converted[SELF].answer, AgentSelf)
