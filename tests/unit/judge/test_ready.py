"""Ready: whether this agent can do its work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.ready import apply_lag, ready
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Verdict
from nomad_exporter.nomad.answers import AgentSelf, Check, Role
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.failures import Reason as Failed
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.changes import follow
from nomad_exporter.watch.snapshot import Snapshot
from tests.support.answers import REFUSED, WELL, health, own
from tests.support.fleets import (
    AT,
    LIMITS,
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
DENIED = Failure(Failed.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
TIMED_OUT = Failure(Failed.TIMEOUT, "no whole answer within 4s")
ERROR = Failure(Failed.STATUS, "HTTP 500", status=500)


def judged(snapshot: Snapshot, limits: Limits = LIMITS) -> Verdict:
    return ready(snapshot, AT, limits)


def server(**said: Any) -> Snapshot:
    """A well follower that says this of itself, too."""
    usual = told(2, raft(1, 2, 3))
    numbers = {**usual.numbers, **said.pop("numbers", {})}
    return watched(2, replace(usual, numbers=numbers, **said), gossip(1, 2, 3))


def sick(role: Role, message: str) -> Snapshot:
    """An agent of one role that calls itself unhealthy in these words."""
    return asked(
        SERVER if role is Role.SERVER else CLIENT, Source.HEALTH, health({role: Check(ok=False, message=message)})
    )


@pytest.mark.parametrize(
    ("snapshot", "sentence"),
    [(SERVER, "The server can do its work."), (CLIENT, "The client can do its work.")],
    ids=["server", "client"],
)
def test_an_agent_that_is_well_is_ready(snapshot: Snapshot, sentence: str) -> None:
    assert judged(snapshot) == Verdict(Question.READY, Reason.OK, sentence)


def test_an_agent_that_was_never_asked_is_starting() -> None:
    verdict = judged(Snapshot(agent("s1")))

    assert (verdict.holds, verdict.reason) == (False, Reason.STARTING)


@pytest.mark.parametrize("source", [Source.HEALTH, Source.SELF])
def test_an_agent_that_was_asked_for_one_half_only_is_starting(source: Source) -> None:
    assert judged(without(SERVER, source)).reason is Reason.STARTING


# Health.


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (REFUSED, Reason.NOT_ANSWERING),
        (Failure(Failed.RESET, "reset"), Reason.NOT_ANSWERING),
        (TIMED_OUT, Reason.NOT_ANSWERING),
        (replace(TIMED_OUT, answered=True), Reason.NOT_READABLE),
        (Failure(Failed.TLS, "certificate expired"), Reason.NOT_READABLE),
        (Failure(Failed.CREDENTIALS, "token"), Reason.NOT_READABLE),
        (Failure(Failed.DNS, "no such host"), Reason.NOT_READABLE),
        (Failure(Failed.STATUS, "HTTP 429", status=429), Reason.NOT_READABLE),
    ],
    ids=lambda told: str(told) if isinstance(told, Failure) else "",
)
@pytest.mark.parametrize("snapshot", [SERVER, CLIENT], ids=["server", "client"])
def test_one_failed_attempt_at_its_health_is_enough(snapshot: Snapshot, failure: Failure, reason: Reason) -> None:
    verdict = judged(asked(snapshot, Source.HEALTH, failure))

    assert (verdict.holds, verdict.reason) == (False, reason)
    assert verdict.sentence == f"The agent did not tell its health ({failure})."


@pytest.mark.parametrize(("later", "reason"), [(14.0, Reason.OK), (14.1, Reason.EXPORTER_STALLED)])
def test_health_that_is_not_asked_for_any_more_is_a_fault_of_the_exporter(later: float, reason: Reason) -> None:
    assert ready(SERVER, AT + later, LIMITS).reason is reason


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(red(SERVER), Reason.NO_LEADER, id="no leader"),
        pytest.param(sick(Role.SERVER, "No cluster leader"), Reason.NO_LEADER, id="no leader, in Nomad's other words"),
        pytest.param(deserted(SERVER), Reason.LEADER_UNREACHABLE, id="a leader that does not answer"),
        pytest.param(sick(Role.SERVER, "rpc error: EOF"), Reason.UNHEALTHY, id="a server in other words"),
        pytest.param(sick(Role.CLIENT, "no known servers"), Reason.SERVERS_UNREACHABLE, id="no known servers"),
        pytest.param(sick(Role.CLIENT, "no leader"), Reason.UNHEALTHY, id="a client in other words"),
    ],
)
def test_an_agent_that_calls_itself_unhealthy_is_not_ready(snapshot: Snapshot, reason: Reason) -> None:
    verdict = judged(snapshot)

    assert (verdict.holds, verdict.reason) == (False, reason)
    assert "is unhealthy: " in verdict.sentence


# What it tells of itself.


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(DENIED, Reason.NOT_READABLE), (ERROR, Reason.NOT_READABLE), (TIMED_OUT, Reason.NOT_ANSWERING)],
    ids=str,
)
def test_a_server_that_tells_nothing_of_itself_any_more_is_believed_until_what_it_told_is_too_old(
    failure: Failure, reason: Reason
) -> None:
    failing = asked(SERVER, Source.SELF, failure)
    old = asked(asked(without(SERVER, Source.SELF), Source.SELF, SERVER.own.answer, ago=46), Source.SELF, failure)

    assert judged(failing).holds
    assert judged(old) == Verdict(Question.READY, reason, f"The agent has told nothing of itself for 46s ({failure}).")


def test_an_agent_that_never_told_of_itself_cannot_be_judged() -> None:
    verdict = judged(asked(without(SERVER, Source.SELF), Source.SELF, DENIED))

    assert verdict.reason is Reason.NOT_READABLE
    assert verdict.sentence == f"The agent has told nothing of itself yet ({DENIED})."


def test_what_it_told_long_ago_without_a_failure_since_is_too_old_as_well() -> None:
    assert judged(asked(without(SERVER, Source.SELF), Source.SELF, SERVER.own.answer, ago=46)) == Verdict(
        Question.READY, Reason.NOT_READABLE, "The agent has told nothing of itself for 46s."
    )


@pytest.mark.parametrize("failure", [TIMED_OUT, ERROR], ids=str)
@pytest.mark.parametrize("before", [CLIENT, without(CLIENT, Source.SELF)], ids=["it told before", "it never told"])
def test_a_client_that_cannot_have_our_token_judged_reaches_none_of_its_servers(
    before: Snapshot, failure: Failure
) -> None:
    verdict = judged(asked(before, Source.SELF, failure))

    assert (verdict.holds, verdict.reason) == (False, Reason.SERVERS_UNREACHABLE)
    assert verdict.sentence == f"The client could not have the token judged ({failure})."


@pytest.mark.parametrize("failure", [DENIED, REFUSED, Failure(Failed.STATUS, "HTTP 404", status=404)], ids=str)
def test_any_other_failure_says_nothing_of_its_servers(failure: Failure) -> None:
    assert judged(asked(CLIENT, Source.SELF, failure)).holds


# A server.


def test_a_restarted_server_that_is_no_voter_yet_is_not_ready() -> None:
    verdict = judged(server(configuration=raft(1, 3, nonvoters=[2])))

    assert (verdict.holds, verdict.reason) == (False, Reason.NOT_YET_VOTER)
    assert verdict.sentence == "The server is a Nonvoter in its own raft configuration."


def test_nor_is_one_that_is_in_no_configuration() -> None:
    verdict = judged(server(configuration=raft(1, 3)))

    assert verdict.reason is Reason.NOT_YET_VOTER
    assert verdict.sentence == "The server is not in its own raft configuration."


@pytest.mark.parametrize("configuration", [raft(1, 3, nonvoters=[2]), raft(1, 3)], ids=["nonvoter", "not in it"])
def test_a_server_that_is_meant_to_have_no_vote_needs_none(configuration: Any) -> None:
    assert judged(server(configuration=configuration, member=member(2, nonvoter=True))).holds


@pytest.mark.parametrize("said", [{"configuration": None}, {"member": None}], ids=str)
def test_a_server_that_does_not_say_who_votes_or_who_it_is_is_not_blamed_for_that(said: dict[str, Any]) -> None:
    assert judged(server(**said)).holds


def refusing(source: Source, ago: float) -> Snapshot:
    """The server once an attempt was refused, so many seconds ago; it told all a second ago or so before."""
    snapshot, _ = follow(without(SERVER, Source.MEMBERS), reading(source, REFUSED, ago))
    return snapshot


def test_what_a_server_told_before_it_refused_an_attempt_does_not_hold_any_more() -> None:
    back = asked(refusing(Source.HEALTH, 0.8), Source.HEALTH, health({Role.SERVER: WELL}), 0.2)
    again, _ = follow(back, reading(Source.SELF, SERVER.own.answer, 0.1))

    assert judged(refusing(Source.HEALTH, 0.8)).reason is Reason.NOT_ANSWERING
    assert judged(refusing(Source.SELF, 0.5)).reason is Reason.NOT_ANSWERING, "whatever was refused"
    assert judged(back).reason is Reason.STARTING
    assert judged(again).holds


def test_a_contact_that_is_older_than_the_way_to_the_leader_is_not_held_against_a_server() -> None:
    old = server(numbers={"raft.last_contact": 20.0})

    assert judged(old).reason is Reason.CONTACT_LOST
    reached = replace(health({Role.SERVER: WELL}), leader_reachable=True)
    assert judged(asked(old, Source.HEALTH, reached, 0.1)).holds


@pytest.mark.parametrize(
    ("contact", "reason"),
    [(0.0, Reason.OK), (0.1, Reason.OK), (10.0, Reason.OK), (10.5, Reason.CONTACT_LOST)],
)
def test_a_server_must_have_heard_from_its_leader(contact: float, reason: Reason) -> None:
    assert judged(server(numbers={"raft.last_contact": contact})).reason is reason


def test_how_long_ago_may_be_told() -> None:
    silent = server(numbers={"raft.last_contact": 10.5})

    assert judged(silent).sentence == "The server heard from its leader last 10.5s ago."
    assert judged(silent, Limits(max_contact=10.5)).holds


@pytest.mark.parametrize(("applied", "reason"), [(2000, Reason.OK), (1000, Reason.OK), (999, Reason.APPLY_LAGGING)])
def test_a_server_must_have_applied_nearly_all_that_is_committed(applied: int, reason: Reason) -> None:
    verdict = judged(server(numbers={"raft.commit_index": 2000, "raft.applied_index": applied}))

    assert verdict.reason is reason
    assert verdict.holds or verdict.sentence == "The server has 1001 committed entries still to apply."


def test_how_much_it_may_lag_may_be_told() -> None:
    behind = server(numbers={"raft.commit_index": 2000, "raft.applied_index": 1990})

    assert judged(behind, Limits(max_apply_lag=10)).holds
    assert not judged(behind, Limits(max_apply_lag=9)).holds


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
def test_the_lag_is_what_is_committed_and_not_yet_applied(numbers: dict[str, int], lag: int | None) -> None:
    assert apply_lag(own(numbers=numbers)) == lag


# A client.


def heard(heartbeat: float | None, ttl: float | None = 10.0) -> Snapshot:
    numbers = {"client.heartbeat_ttl": ttl, "client.last_heartbeat": heartbeat}
    return client(numbers={name: value for name, value in numbers.items() if value is not None})


@pytest.mark.parametrize(
    ("heartbeat", "reason"),
    [
        pytest.param(0.0, Reason.OK, id="just now"),
        pytest.param(10.12, Reason.OK, id="at the end of its TTL, as healthy clients are"),
        pytest.param(20.0, Reason.OK, id="within the grace"),
        pytest.param(20.1, Reason.SERVERS_UNREACHABLE, id="beyond it"),
        pytest.param(None, Reason.OK, id="not told"),
    ],
)
def test_a_heartbeat_may_be_as_old_as_its_ttl_and_the_grace(heartbeat: float | None, reason: Reason) -> None:
    assert judged(heard(heartbeat)).reason is reason


def test_a_late_heartbeat_is_told_with_its_ttl() -> None:
    assert judged(heard(67.4)).sentence == "The client's heartbeat was answered last 1m7s ago, its TTL is 10s."


def test_the_grace_may_be_told() -> None:
    assert not judged(heard(10.2), Limits(heartbeat_grace=0.1)).holds
    assert judged(heard(10.2), Limits(heartbeat_grace=0.2)).holds


def test_no_age_is_added_to_a_heartbeat() -> None:
    old = asked(without(heard(19.0), Source.SELF), Source.SELF, heard(19.0).own.answer, ago=44)

    assert judged(old).holds


def test_a_client_that_has_no_ttl_has_not_registered() -> None:
    verdict = judged(heard(0.2, ttl=None))

    assert (verdict.holds, verdict.reason) == (False, Reason.NOT_REGISTERED)


# Both roles.


def both(checks: dict[Role, Check] | None = None, **numbers: float) -> Snapshot:
    numbers = {"client.heartbeat_ttl": 10.0, **{name.replace("_", ".", 1): value for name, value in numbers.items()}}
    usual = told(1, raft(1))
    said = replace(usual, roles=frozenset(Role), numbers={**usual.numbers, **numbers})
    return watched(1, said, gossip(1), health_says=health(checks or dict.fromkeys(Role, WELL)))


def test_an_agent_of_both_roles_is_ready_when_both_are() -> None:
    assert judged(both()) == Verdict(Question.READY, Reason.OK, "The client and server can do its work.")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(
            both({Role.SERVER: Check(False, "no leader"), Role.CLIENT: WELL}), Reason.NO_LEADER, id="the server is sick"
        ),
        pytest.param(
            both({Role.SERVER: WELL, Role.CLIENT: Check(False, "no known servers")}),
            Reason.SERVERS_UNREACHABLE,
            id="the client is sick",
        ),
        pytest.param(both(raft_last_contact=11.0), Reason.CONTACT_LOST, id="the server hears nothing"),
        pytest.param(both(client_last_heartbeat=21.0), Reason.SERVERS_UNREACHABLE, id="the client hears nothing"),
    ],
)
def test_and_not_when_one_is_not(snapshot: Snapshot, reason: Reason) -> None:
    assert judged(snapshot).reason is reason


def test_an_agent_of_both_roles_judges_our_token_itself() -> None:
    assert judged(asked(both(), Source.SELF, TIMED_OUT)).holds


def test_the_first_trouble_is_told() -> None:
    failing = asked(asked(red(SERVER), Source.SELF, TIMED_OUT), Source.HEALTH, REFUSED)

    assert judged(failing).reason is Reason.NOT_ANSWERING


def test_an_agent_that_became_a_client_is_judged_as_one() -> None:
    became = asked(asked(SERVER, Source.HEALTH, health({Role.CLIENT: WELL})), Source.SELF, CLIENT.own.answer)

    assert judged(became) == Verdict(Question.READY, Reason.OK, "The client can do its work.")
    assert isinstance(became.own.answer, AgentSelf)
