"""All verdicts of a fleet: when each question can be answered, and what holds of whole fleets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import RaftServer, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import evaluate, evaluate_agent, server_quorums
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import (
    AT,
    AUTOPILOT,
    GOSSIP,
    THRESHOLDS,
    Fleet,
    agent,
    asked,
    autopilot,
    client,
    cluster,
    dead,
    deserted,
    evaluated,
    gossip,
    raft,
    reasons,
    red,
    safe,
    told,
    watched,
    without,
)

NEVER = Snapshot(agent("s9"))
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(NEVER, VerdictReason.STARTING, id="never asked"),
        pytest.param(
            asked(NEVER, Source.HEALTH, health({Role.SERVER: WELL})),
            VerdictReason.STARTING,
            id="asked for its health alone",
        ),
        pytest.param(
            asked(NEVER, Source.HEALTH, health({Role.CLIENT: WELL})),
            VerdictReason.NOT_A_VOTER,
            id="a client by its health",
        ),
        pytest.param(client("s9"), VerdictReason.NOT_A_VOTER, id="a client"),
        pytest.param(dead(client("s9")), VerdictReason.NOT_A_VOTER, id="a client that died"),
        pytest.param(asked(NEVER, Source.SELF, REFUSED), VerdictReason.UNKNOWN, id="never reached"),
        pytest.param(asked(NEVER, Source.SELF, DENIED), VerdictReason.UNKNOWN, id="never let in"),
    ],
)
def test_without_a_seat_among_the_servers_there_is_little_to_say(snapshot: Snapshot, reason: VerdictReason) -> None:
    found = evaluate_agent(snapshot, None, AT, THRESHOLDS)

    assert found.verdicts[Question.QUORUM].reason is reason
    assert found.quorum_state is None


def test_each_question_is_answered_for_each_agent_in_their_order() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]
    found = evaluate(fleet, fleet, AT, THRESHOLDS)

    assert [each.snapshot for each in found] == fleet
    assert all(list(each.verdicts) == list(Question) for each in found)
    assert all(verdict.question is question for each in found for question, verdict in each.verdicts.items())


def never_looked_through() -> Iterator[Snapshot]:
    raise AssertionError
    yield NEVER


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_a_probe_of_one_agent_costs_no_look_at_all_the_others(question: Question) -> None:
    found = evaluate(never_looked_through(), [client()], AT, THRESHOLDS, [question])

    assert [list(each.verdicts) for each in found] == [[question]]


def test_who_is_not_asked_about_is_a_witness_all_the_same() -> None:
    fleet = list(cluster(3).values())
    (found,) = evaluate(fleet, fleet[:1], AT, THRESHOLDS)

    assert found.verdicts[Question.QUORUM].reason is VerdictReason.OK


def test_who_is_judged_alone_has_no_witnesses() -> None:
    fleet = list(cluster(3).values())
    (found,) = evaluate(fleet[:1], fleet[:1], AT, THRESHOLDS)

    assert found.verdicts[Question.QUORUM].reason is VerdictReason.INSUFFICIENT_EVIDENCE


def test_the_servers_of_a_cluster_share_one_standing_and_a_client_has_none() -> None:
    found = evaluated({**cluster(3), "c1": client()})

    assert found["s1"].quorum_state is found["s2"].quorum_state is found["s3"].quorum_state
    assert found["s1"].quorum_state
    assert found["c1"].quorum_state is None


def test_an_agent_of_the_development_mode_is_judged_as_server_and_client() -> None:
    own = replace(told(1, raft(1)), roles=frozenset(Role), numbers={"nomad.leader": 1, "client.heartbeat_ttl": 10.0})
    both = watched(1, own, gossip(1), health_says=health(dict.fromkeys(Role, WELL)))
    verdicts = evaluated({"s1": both})["s1"].verdicts

    assert [verdict.reason for verdict in verdicts.values()] == [
        VerdictReason.OK,
        VerdictReason.OK,
        VerdictReason.WOULD_LOSE_QUORUM,
    ]


def test_where_the_exporter_stalls_only_live_is_yes() -> None:
    later = AT + (THRESHOLDS.stall_timeout + 1)
    verdicts = evaluated(cluster(3), at=later)["s1"].verdicts

    assert {question for question, verdict in verdicts.items() if verdict.ok} == {Question.LIVE}
    assert {verdict.reason for verdict in verdicts.values()} == {VerdictReason.EXPORTER_STALLED}


def test_who_never_told_of_itself_has_no_seat() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]

    assert set(server_quorums(fleet, {"s1", "c1", "s9"}, AT, THRESHOLDS)) == {"s1", "s2", "s3"}


def test_clusters_of_which_nobody_is_asked_about_are_not_judged() -> None:
    assert server_quorums(cluster(3).values(), {"c1"}, AT, THRESHOLDS) == {}


# Whole fleets, in whatever state.

SICKNESSES: dict[str, Callable[[Snapshot], Snapshot]] = {
    "healthy": lambda each: each,
    "dead": dead,
    "red": red,
    "deserted": deserted,
    "mute": lambda each: asked(each, Source.SELF, DENIED),
    "hushed": lambda each: asked(each, Source.MEMBERS, DENIED),
}

MOSTLY_WELL = st.sampled_from([*["well"] * 9, *SICKNESSES])

LIMITS_OF_ALL_KINDS = st.sampled_from([THRESHOLDS, GOSSIP, AUTOPILOT, replace(GOSSIP, autopilot=True)])


@st.composite
def fleets(draw: st.DrawFn, gossip_agrees: bool = False) -> dict[str, Snapshot]:
    """A cluster in which anything may be wrong: with some servers, with what they hear in gossip, with autopilot."""
    voters = draw(st.integers(1, 5))
    numbers = range(1, voters + 1)
    gone = draw(st.sets(st.sampled_from(numbers), max_size=2))
    heard = [gossip(*numbers), gossip(*(one for one in numbers if one not in gone), failed=sorted(gone))]
    all_hear = draw(st.sampled_from(heard))
    found = {}
    for number in sorted(draw(st.sets(st.sampled_from(numbers), min_size=max(1, voters - 1)))):
        hears = all_hear if gossip_agrees else draw(st.sampled_from(heard))
        server = watched(number, told(number, raft(*numbers)), hears)
        found[f"s{number}"] = SICKNESSES[draw(MOSTLY_WELL)](server)
    if "s1" in found and draw(st.booleans()):
        unhealthy = draw(st.sets(st.sampled_from(numbers), max_size=1))
        says = autopilot(*(one for one in numbers if one not in unhealthy), unhealthy=unhealthy)
        found["s1"] = asked(found["s1"], Source.AUTOPILOT, says, 1)
    return found


@given(fleet=fleets(gossip_agrees=True), thresholds=LIMITS_OF_ALL_KINDS, data=st.data())
@settings(deadline=None)
def test_what_an_agent_does_not_tell_any_more_makes_stopping_another_no_safer(
    fleet: Fleet, thresholds: Thresholds, data: st.DataObject
) -> None:
    """Not its health, nor its members where all hear the same of them, nor autopilot. Who it is, it has told once."""
    name = data.draw(st.sampled_from(sorted(fleet)))
    source = data.draw(st.sampled_from([Source.HEALTH, Source.MEMBERS, Source.AUTOPILOT]))
    quieter = {**fleet, name: without(fleet[name], source)}

    assert (safe(quieter, thresholds) - safe(fleet, thresholds)) <= {name}


@given(fleet=fleets(gossip_agrees=True), thresholds=LIMITS_OF_ALL_KINDS, data=st.data())
@settings(deadline=None)
def test_nor_does_a_failure(fleet: Fleet, thresholds: Thresholds, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fleet)))
    source = data.draw(st.sampled_from([Source.HEALTH, Source.SELF]))
    failed = {**fleet, name: asked(fleet[name], source, data.draw(st.sampled_from([REFUSED, DENIED])))}

    assert (safe(failed, thresholds) - safe(fleet, thresholds)) <= {name}


@given(fleet=fleets(gossip_agrees=True), name=st.sampled_from(["s2", "s3", "s4", "s5"]))
@settings(deadline=None)
def test_by_the_usual_limits_nor_does_one_that_never_told_who_it_is(fleet: Fleet, name: str) -> None:
    """Whoever it is, gossip alone speaks for it. The leader is another matter: who is well has reached it just now."""
    stranger = {**fleet, name: Snapshot(agent(name))}

    assert safe(stranger) <= safe(fleet)


@given(fleet=fleets(), thresholds=LIMITS_OF_ALL_KINDS, chance=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_a_fleet_makes_no_difference(fleet: Fleet, thresholds: Thresholds, chance: random.Random) -> None:
    shuffled = dict(chance.sample(sorted(fleet.items()), len(fleet)))

    assert reasons(shuffled, thresholds) == reasons(fleet, thresholds)


@given(fleet=fleets(), other=fleets(), thresholds=LIMITS_OF_ALL_KINDS)
@settings(deadline=None)
def test_an_unrelated_cluster_changes_nothing(fleet: Fleet, other: Fleet, thresholds: Thresholds) -> None:
    """It has the same addresses and the same name of its region, but servers of its own."""
    unidentified = {f"other-{name}": _of_another_cluster(each) for name, each in other.items()}
    together = reasons({**fleet, **unidentified}, thresholds)

    assert {name: together[name] for name in fleet} == reasons(fleet, thresholds)
    assert {name: together[name] for name in unidentified} == reasons(unidentified, thresholds)


def _of_another_cluster(snapshot: Snapshot) -> Snapshot:
    own, members = snapshot.agent_self, snapshot.members
    assert own.answer
    assert own.answer.member
    configuration = tuple(
        RaftServer(one.suffrage, f"other-{one.id}", one.address) for one in own.answer.configuration or ()
    )
    member = replace(own.answer.member, id=f"other-{own.answer.member.id}")
    told_members = members.answer and replace(
        members.answer, members=tuple(replace(one, id=f"other-{one.id}") for one in members.answer.members)
    )
    told_autopilot = snapshot.autopilot.answer and replace(
        snapshot.autopilot.answer,
        servers=tuple(replace(one, id=f"other-{one.id}") for one in snapshot.autopilot.answer.servers),
    )
    return replace(
        snapshot,
        agent=agent(f"other-{snapshot.agent.name}"),
        agent_self=replace(own, answer=replace(own.answer, configuration=configuration, member=member)),
        members=replace(members, answer=told_members),
        autopilot=replace(snapshot.autopilot, answer=told_autopilot),
    )


@given(fleet=fleets(), thresholds=LIMITS_OF_ALL_KINDS)
@settings(deadline=None)
def test_who_may_be_stopped_leaves_a_majority_that_somebody_vouches_for(fleet: Fleet, thresholds: Thresholds) -> None:
    for name, each in evaluated(fleet, thresholds).items():
        if each.verdicts[Question.QUORUM].ok:
            assert each.quorum_state
            assert each.quorum_state.leader
            stopped = int(name[1:])
            left = [
                voter
                for voter, words in each.quorum_state.evidence.items()
                if voter.id != f"id-{stopped}" and False not in words.values()
            ]
            assert len(left) > each.quorum_state.count.voters // 2
