"""Ready: whether this agent can do its work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.transitions import apply
from nomad_exporter.verdicts.ready import apply_lag, ready
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import REFUSED, WELL, health, own
from tests.support.fleets import (
    AT,
    THRESHOLDS,
    agent,
    asked,
    client,
    cluster,
    deserted,
    gossip,
    member,
    raft,
    reading,
    red,
    told,
    watched,
    without,
)

SERVER = cluster(3)["s2"]
CLIENT = client()
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")
ERROR = Failure(FailureReason.STATUS, "HTTP 500", status=500)


def judged(snapshot: Snapshot, thresholds: Thresholds = THRESHOLDS) -> Verdict:
    return ready(snapshot, AT, thresholds)


def server(**said: Any) -> Snapshot:
    """A well follower that says this of itself, too."""
    usual = told(2, raft(1, 2, 3))
    numbers = {**usual.numbers, **said.pop("details", {})}
    return watched(2, replace(usual, numbers=numbers, **said), gossip(1, 2, 3))


def sick(role: Role, message: str) -> Snapshot:
    """An agent of one role that calls itself unhealthy in these words."""
    return asked(
        SERVER if role is Role.SERVER else CLIENT, Source.HEALTH, health({role: Check(ok=False, message=message)})
    )


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [(SERVER, "The server can do its work."), (CLIENT, "The client can do its work.")],
    ids=["server", "client"],
)
def test_an_agent_that_is_well_is_ready(snapshot: Snapshot, sentence: str) -> None:
    assert judged(snapshot) == Verdict(Question.READY, VerdictReason.OK, sentence)


def test_an_agent_that_was_never_asked_is_starting() -> None:
    verdict = judged(Snapshot(agent("s1")))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.STARTING)


@pytest.mark.parametrize("source", [Source.HEALTH, Source.SELF])
def test_an_agent_that_was_asked_for_one_half_only_is_starting(source: Source) -> None:
    assert judged(without(SERVER, source)).reason is VerdictReason.STARTING


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
    ],
    ids=lambda told: str(told) if isinstance(told, Failure) else "",
)
@pytest.mark.parametrize("snapshot", [SERVER, CLIENT], ids=["server", "client"])
def test_one_failed_attempt_at_its_health_is_enough(
    snapshot: Snapshot, failure: Failure, reason: VerdictReason
) -> None:
    verdict = judged(asked(snapshot, Source.HEALTH, failure))

    assert (verdict.ok, verdict.reason) == (False, reason)
    assert verdict.message == f"The agent did not tell its health ({failure})."


@pytest.mark.parametrize(("later", "reason"), [(14.0, VerdictReason.OK), (14.1, VerdictReason.EXPORTER_STALLED)])
def test_health_that_is_not_asked_for_any_more_is_a_fault_of_the_exporter(later: float, reason: VerdictReason) -> None:
    assert ready(SERVER, AT + later, THRESHOLDS).reason is reason


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(red(SERVER), VerdictReason.NO_LEADER, id="no leader"),
        pytest.param(
            sick(Role.SERVER, "No cluster leader"), VerdictReason.NO_LEADER, id="no leader, in Nomad's other words"
        ),
        pytest.param(deserted(SERVER), VerdictReason.LEADER_UNREACHABLE, id="a leader that does not answer"),
        pytest.param(sick(Role.SERVER, "rpc error: EOF"), VerdictReason.UNHEALTHY, id="a server in other words"),
        pytest.param(sick(Role.CLIENT, "no known servers"), VerdictReason.SERVERS_UNREACHABLE, id="no known servers"),
        pytest.param(sick(Role.CLIENT, "no leader"), VerdictReason.UNHEALTHY, id="a client in other words"),
    ],
)
def test_an_agent_that_calls_itself_unhealthy_is_not_ready(snapshot: Snapshot, reason: VerdictReason) -> None:
    verdict = judged(snapshot)

    assert (verdict.ok, verdict.reason) == (False, reason)
    assert "is unhealthy: " in verdict.message


# What it tells of itself.


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(DENIED, VerdictReason.POLL_ERROR), (ERROR, VerdictReason.POLL_ERROR), (TIMED_OUT, VerdictReason.UNRESPONSIVE)],
    ids=str,
)
def test_a_server_that_tells_nothing_of_itself_any_more_is_believed_until_what_it_told_is_too_old(
    failure: Failure, reason: VerdictReason
) -> None:
    failing = asked(SERVER, Source.SELF, failure)
    old = asked(
        asked(without(SERVER, Source.SELF), Source.SELF, SERVER.agent_self.answer, ago=46), Source.SELF, failure
    )

    assert judged(failing).ok
    assert judged(old) == Verdict(Question.READY, reason, f"The agent has told nothing of itself for 46s ({failure}).")


def test_an_agent_that_never_told_of_itself_cannot_be_judged() -> None:
    verdict = judged(asked(without(SERVER, Source.SELF), Source.SELF, DENIED))

    assert verdict.reason is VerdictReason.POLL_ERROR
    assert verdict.message == f"The agent has told nothing of itself yet ({DENIED})."


def test_what_it_told_long_ago_without_a_failure_since_is_too_old_as_well() -> None:
    assert judged(asked(without(SERVER, Source.SELF), Source.SELF, SERVER.agent_self.answer, ago=46)) == Verdict(
        Question.READY, VerdictReason.POLL_ERROR, "The agent has told nothing of itself for 46s."
    )


@pytest.mark.parametrize("failure", [TIMED_OUT, ERROR], ids=str)
@pytest.mark.parametrize("before", [CLIENT, without(CLIENT, Source.SELF)], ids=["it told before", "it never told"])
def test_a_client_that_cannot_have_our_token_judged_reaches_none_of_its_servers(
    before: Snapshot, failure: Failure
) -> None:
    verdict = judged(asked(before, Source.SELF, failure))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.SERVERS_UNREACHABLE)
    assert verdict.message == f"The client could not have the token judged ({failure})."


@pytest.mark.parametrize("failure", [DENIED, REFUSED, Failure(FailureReason.STATUS, "HTTP 404", status=404)], ids=str)
def test_any_other_failure_says_nothing_of_its_servers(failure: Failure) -> None:
    assert judged(asked(CLIENT, Source.SELF, failure)).ok


# A server.


def test_a_restarted_server_that_is_no_voter_yet_is_not_ready() -> None:
    verdict = judged(server(configuration=raft(1, 3, nonvoters=[2])))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.NOT_YET_VOTER)
    assert verdict.message == "The server is a Nonvoter in its own raft configuration."


def test_nor_is_one_that_is_in_no_configuration() -> None:
    verdict = judged(server(configuration=raft(1, 3)))

    assert verdict.reason is VerdictReason.NOT_YET_VOTER
    assert verdict.message == "The server is not in its own raft configuration."


@pytest.mark.parametrize("configuration", [raft(1, 3, nonvoters=[2]), raft(1, 3)], ids=["nonvoter", "not in it"])
def test_a_server_that_is_meant_to_have_no_vote_needs_none(configuration: Any) -> None:
    assert judged(server(configuration=configuration, member=member(2, nonvoter=True))).ok


@pytest.mark.parametrize("said", [{"configuration": None}, {"member": None}], ids=str)
def test_a_server_that_does_not_say_who_votes_or_who_it_is_is_not_blamed_for_that(said: dict[str, Any]) -> None:
    assert judged(server(**said)).ok


def refusing(source: Source, ago: float) -> Snapshot:
    """The server once an attempt was refused, so many seconds ago; it told all a second ago or so before."""
    snapshot, _ = apply(without(SERVER, Source.MEMBERS), reading(source, REFUSED, ago))
    return snapshot


def test_what_a_server_told_before_it_refused_an_attempt_does_not_hold_any_more() -> None:
    back = asked(refusing(Source.HEALTH, 0.8), Source.HEALTH, health({Role.SERVER: WELL}), 0.2)
    again, _ = apply(back, reading(Source.SELF, SERVER.agent_self.answer, 0.1))

    assert judged(refusing(Source.HEALTH, 0.8)).reason is VerdictReason.UNRESPONSIVE
    assert judged(refusing(Source.SELF, 0.5)).reason is VerdictReason.UNRESPONSIVE, "whatever was refused"
    assert judged(back).reason is VerdictReason.STARTING
    assert judged(again).ok


def test_a_contact_that_is_older_than_the_way_to_the_leader_is_not_held_against_a_server() -> None:
    old = server(numbers={"raft.last_contact": 20.0})

    assert judged(old).reason is VerdictReason.LEADER_CONTACT_LOST
    reached = replace(health({Role.SERVER: WELL}), leader_reachable=True)
    assert judged(asked(old, Source.HEALTH, reached, 0.1)).ok


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (0.0, VerdictReason.OK),
        (0.1, VerdictReason.OK),
        (10.0, VerdictReason.OK),
        (10.5, VerdictReason.LEADER_CONTACT_LOST),
    ],
)
def test_a_server_must_have_heard_from_its_leader(contact: float, reason: VerdictReason) -> None:
    assert judged(server(numbers={"raft.last_contact": contact})).reason is reason


def test_how_long_ago_may_be_told() -> None:
    silent = server(numbers={"raft.last_contact": 10.5})

    assert judged(silent).message == "The server heard from its leader last 10.5s ago."
    assert judged(silent, Thresholds(max_leader_contact=10.5)).ok


@pytest.mark.parametrize(
    ("applied", "reason"), [(2000, VerdictReason.OK), (1000, VerdictReason.OK), (999, VerdictReason.RAFT_APPLY_LAG)]
)
def test_a_server_must_have_applied_nearly_all_that_is_committed(applied: int, reason: VerdictReason) -> None:
    verdict = judged(server(numbers={"raft.commit_index": 2000, "raft.applied_index": applied}))

    assert verdict.reason is reason
    assert verdict.ok or verdict.message == "The server has 1001 committed entries still to apply."


def test_how_much_it_may_lag_may_be_told() -> None:
    behind = server(numbers={"raft.commit_index": 2000, "raft.applied_index": 1990})

    assert judged(behind, Thresholds(max_apply_lag=10)).ok
    assert not judged(behind, Thresholds(max_apply_lag=9)).ok


@pytest.mark.parametrize(
    ("details", "lag"),
    [
        ({}, None),
        ({"raft.commit_index": 7}, None),
        ({"raft.applied_index": 7}, None),
        ({"raft.commit_index": 7, "raft.applied_index": 7}, 0),
        ({"raft.commit_index": 9, "raft.applied_index": 7}, 2),
        ({"raft.commit_index": 7, "raft.applied_index": 9}, 0),
    ],
)
def test_the_lag_is_what_is_committed_and_not_yet_applied(numbers: dict[str, int], lag: int | None) -> None:
    assert apply_lag(own(numbers=numbers)) == lag


# A client.


def heard(heartbeat: float | None, ttl: float | None = 10.0) -> Snapshot:
    numbers = {"client.heartbeat_ttl": ttl, "client.last_heartbeat": heartbeat}
    return client(numbers={name: value for name, value in numbers.items() if value is not None})


@pytest.mark.parametrize(
    ("heartbeat", "reason"),
    [
        pytest.param(0.0, VerdictReason.OK, id="just now"),
        pytest.param(10.12, VerdictReason.OK, id="at the end of its TTL, as healthy clients are"),
        pytest.param(20.0, VerdictReason.OK, id="within the grace"),
        pytest.param(20.1, VerdictReason.SERVERS_UNREACHABLE, id="beyond it"),
        pytest.param(None, VerdictReason.OK, id="not told"),
    ],
)
def test_a_heartbeat_may_be_as_old_as_its_ttl_and_the_grace(heartbeat: float | None, reason: VerdictReason) -> None:
    assert judged(heard(heartbeat)).reason is reason


def test_a_late_heartbeat_is_told_with_its_ttl() -> None:
    assert judged(heard(67.4)).message == "The client's heartbeat was answered last 1m7s ago, its TTL is 10s."


def test_the_grace_may_be_told() -> None:
    assert not judged(heard(10.2), Thresholds(heartbeat_grace=0.1)).ok
    assert judged(heard(10.2), Thresholds(heartbeat_grace=0.2)).ok


def test_no_age_is_added_to_a_heartbeat() -> None:
    old = asked(without(heard(19.0), Source.SELF), Source.SELF, heard(19.0).agent_self.answer, ago=44)

    assert judged(old).ok


def test_a_client_that_has_no_ttl_has_not_registered() -> None:
    verdict = judged(heard(0.2, ttl=None))

    assert (verdict.ok, verdict.reason) == (False, VerdictReason.NOT_REGISTERED)


# Both roles.


def both(checks: dict[Role, Check] | None = None, **numbers: float) -> Snapshot:
    numbers = {"client.heartbeat_ttl": 10.0, **{name.replace("_", ".", 1): value for name, value in numbers.items()}}
    usual = told(1, raft(1))
    said = replace(usual, roles=frozenset(Role), numbers={**usual.numbers, **numbers})
    return watched(1, said, gossip(1), health_says=health(checks or dict.fromkeys(Role, WELL)))


def test_an_agent_of_both_roles_is_ready_when_both_are() -> None:
    assert judged(both()) == Verdict(Question.READY, VerdictReason.OK, "The client and server can do its work.")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(
            both({Role.SERVER: Check(False, "no leader"), Role.CLIENT: WELL}),
            VerdictReason.NO_LEADER,
            id="the server is sick",
        ),
        pytest.param(
            both({Role.SERVER: WELL, Role.CLIENT: Check(False, "no known servers")}),
            VerdictReason.SERVERS_UNREACHABLE,
            id="the client is sick",
        ),
        pytest.param(both(raft_last_contact=11.0), VerdictReason.LEADER_CONTACT_LOST, id="the server hears nothing"),
        pytest.param(
            both(client_last_heartbeat=21.0), VerdictReason.SERVERS_UNREACHABLE, id="the client hears nothing"
        ),
    ],
)
def test_and_not_when_one_is_not(snapshot: Snapshot, reason: VerdictReason) -> None:
    assert judged(snapshot).reason is reason


def test_an_agent_of_both_roles_judges_our_token_itself() -> None:
    assert judged(asked(both(), Source.SELF, TIMED_OUT)).ok


def test_the_first_trouble_is_told() -> None:
    failing = asked(asked(red(SERVER), Source.SELF, TIMED_OUT), Source.HEALTH, REFUSED)

    assert judged(failing).reason is VerdictReason.UNRESPONSIVE


def test_an_agent_that_became_a_client_is_judged_as_one() -> None:
    became = asked(asked(SERVER, Source.HEALTH, health({Role.CLIENT: WELL})), Source.SELF, CLIENT.agent_self.answer)

    assert judged(became) == Verdict(Question.READY, VerdictReason.OK, "The client can do its work.")
    assert isinstance(became.agent_self.answer, AgentSelf)
