"""All verdicts of a fleet: when each question can be answered, and what holds of whole fleets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.judge.judging import judge, judge_all, seats
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.nomad.answers import RaftServer, Role
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.failures import Reason as Failed
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.snapshot import Snapshot
from tests.support.answers import REFUSED, WELL, health
from tests.support.fleets import (
    AT,
    AUTOPILOT,
    GOSSIP,
    LIMITS,
    Fleet,
    agent,
    asked,
    autopilot,
    client,
    cluster,
    dead,
    deserted,
    gossip,
    judged,
    raft,
    reasons,
    red,
    safe,
    told,
    watched,
    without,
)

NEVER = Snapshot(agent("s9"))
DENIED = Failure(Failed.UNAUTHORIZED, "HTTP 403")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(NEVER, Reason.STARTING, id="never asked"),
        pytest.param(
            asked(NEVER, Source.HEALTH, health({Role.SERVER: WELL})), Reason.STARTING, id="asked for its health alone"
        ),
        pytest.param(
            asked(NEVER, Source.HEALTH, health({Role.CLIENT: WELL})), Reason.NOT_A_VOTER, id="a client by its health"
        ),
        pytest.param(client("s9"), Reason.NOT_A_VOTER, id="a client"),
        pytest.param(dead(client("s9")), Reason.NOT_A_VOTER, id="a client that died"),
        pytest.param(asked(NEVER, Source.SELF, REFUSED), Reason.UNKNOWN, id="never reached"),
        pytest.param(asked(NEVER, Source.SELF, DENIED), Reason.UNKNOWN, id="never let in"),
    ],
)
def test_without_a_seat_among_the_servers_there_is_little_to_say(snapshot: Snapshot, reason: Reason) -> None:
    found = judge(snapshot, None, AT, LIMITS)

    assert found.verdicts[Question.QUORUM].reason is reason
    assert found.standing is None


def test_each_question_is_answered_for_each_agent_in_their_order() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]
    found = judge_all(fleet, fleet, AT, LIMITS)

    assert [each.snapshot for each in found] == fleet
    assert all(list(each.verdicts) == list(Question) for each in found)
    assert all(verdict.question is question for each in found for question, verdict in each.verdicts.items())


def never_looked_through() -> Iterator[Snapshot]:
    raise AssertionError
    yield NEVER


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_a_probe_of_one_agent_costs_no_look_at_all_the_others(question: Question) -> None:
    found = judge_all(never_looked_through(), [client()], AT, LIMITS, [question])

    assert [list(each.verdicts) for each in found] == [[question]]


def test_who_is_not_asked_about_is_a_witness_all_the_same() -> None:
    fleet = list(cluster(3).values())
    (found,) = judge_all(fleet, fleet[:1], AT, LIMITS)

    assert found.verdicts[Question.QUORUM].reason is Reason.OK


def test_who_is_judged_alone_has_no_witnesses() -> None:
    fleet = list(cluster(3).values())
    (found,) = judge_all(fleet[:1], fleet[:1], AT, LIMITS)

    assert found.verdicts[Question.QUORUM].reason is Reason.NOT_ENOUGH_WITNESSES


def test_the_servers_of_a_cluster_share_one_standing_and_a_client_has_none() -> None:
    found = judged({**cluster(3), "c1": client()})

    assert found["s1"].standing is found["s2"].standing is found["s3"].standing
    assert found["s1"].standing
    assert found["c1"].standing is None


def test_an_agent_of_the_development_mode_is_judged_as_server_and_client() -> None:
    own = replace(told(1, raft(1)), roles=frozenset(Role), numbers={"nomad.leader": 1, "client.heartbeat_ttl": 10.0})
    both = watched(1, own, gossip(1), health_says=health(dict.fromkeys(Role, WELL)))
    verdicts = judged({"s1": both})["s1"].verdicts

    assert [verdict.reason for verdict in verdicts.values()] == [Reason.OK, Reason.OK, Reason.NO_MARGIN]


def test_where_the_exporter_stalls_only_live_is_yes() -> None:
    later = AT + (LIMITS.stall + 1)
    verdicts = judged(cluster(3), at=later)["s1"].verdicts

    assert {question for question, verdict in verdicts.items() if verdict.holds} == {Question.LIVE}
    assert {verdict.reason for verdict in verdicts.values()} == {Reason.EXPORTER_STALLED}


def test_who_never_told_of_itself_has_no_seat() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]

    assert set(seats(fleet, {"s1", "c1", "s9"}, AT, LIMITS)) == {"s1", "s2", "s3"}


def test_clusters_of_which_nobody_is_asked_about_are_not_judged() -> None:
    assert seats(cluster(3).values(), {"c1"}, AT, LIMITS) == {}


# Whole fleets, in whatever state.

SICKNESSES: dict[str, Callable[[Snapshot], Snapshot]] = {
    "well": lambda each: each,
    "dead": dead,
    "red": red,
    "deserted": deserted,
    "mute": lambda each: asked(each, Source.SELF, DENIED),
    "hushed": lambda each: asked(each, Source.MEMBERS, DENIED),
}

MOSTLY_WELL = st.sampled_from([*["well"] * 9, *SICKNESSES])

LIMITS_OF_ALL_KINDS = st.sampled_from([LIMITS, GOSSIP, AUTOPILOT, replace(GOSSIP, autopilot=True)])


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


@given(fleet=fleets(gossip_agrees=True), limits=LIMITS_OF_ALL_KINDS, data=st.data())
@settings(deadline=None)
def test_what_an_agent_does_not_tell_any_more_makes_stopping_another_no_safer(
    fleet: Fleet, limits: Limits, data: st.DataObject
) -> None:
    """Not its health, nor its members where all hear the same of them, nor autopilot. Who it is, it has told once."""
    name = data.draw(st.sampled_from(sorted(fleet)))
    source = data.draw(st.sampled_from([Source.HEALTH, Source.MEMBERS, Source.AUTOPILOT]))
    quieter = {**fleet, name: without(fleet[name], source)}

    assert (safe(quieter, limits) - safe(fleet, limits)) <= {name}


@given(fleet=fleets(gossip_agrees=True), limits=LIMITS_OF_ALL_KINDS, data=st.data())
@settings(deadline=None)
def test_nor_does_a_failure(fleet: Fleet, limits: Limits, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fleet)))
    source = data.draw(st.sampled_from([Source.HEALTH, Source.SELF]))
    failed = {**fleet, name: asked(fleet[name], source, data.draw(st.sampled_from([REFUSED, DENIED])))}

    assert (safe(failed, limits) - safe(fleet, limits)) <= {name}


@given(fleet=fleets(gossip_agrees=True), name=st.sampled_from(["s2", "s3", "s4", "s5"]))
@settings(deadline=None)
def test_by_the_usual_limits_nor_does_one_that_never_told_who_it_is(fleet: Fleet, name: str) -> None:
    """Whoever it is, gossip alone speaks for it. The leader is another matter: who is well has reached it just now."""
    stranger = {**fleet, name: Snapshot(agent(name))}

    assert safe(stranger) <= safe(fleet)


@given(fleet=fleets(), limits=LIMITS_OF_ALL_KINDS, chance=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_a_fleet_makes_no_difference(fleet: Fleet, limits: Limits, chance: random.Random) -> None:
    shuffled = dict(chance.sample(sorted(fleet.items()), len(fleet)))

    assert reasons(shuffled, limits) == reasons(fleet, limits)


@given(fleet=fleets(), other=fleets(), limits=LIMITS_OF_ALL_KINDS)
@settings(deadline=None)
def test_an_unrelated_cluster_changes_nothing(fleet: Fleet, other: Fleet, limits: Limits) -> None:
    """It has the same addresses and the same name of its region, but servers of its own."""
    strangers = {f"other-{name}": _of_another_cluster(each) for name, each in other.items()}
    together = reasons({**fleet, **strangers}, limits)

    assert {name: together[name] for name in fleet} == reasons(fleet, limits)
    assert {name: together[name] for name in strangers} == reasons(strangers, limits)


def _of_another_cluster(snapshot: Snapshot) -> Snapshot:
    own, members = snapshot.own, snapshot.members
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
        own=replace(own, answer=replace(own.answer, configuration=configuration, member=member)),
        members=replace(members, answer=told_members),
        autopilot=replace(snapshot.autopilot, answer=told_autopilot),
    )


@given(fleet=fleets(), limits=LIMITS_OF_ALL_KINDS)
@settings(deadline=None)
def test_who_may_be_stopped_leaves_a_majority_that_somebody_vouches_for(fleet: Fleet, limits: Limits) -> None:
    for name, each in judged(fleet, limits).items():
        if each.verdicts[Question.QUORUM].holds:
            assert each.standing
            assert each.standing.leader
            stopped = int(name[1:])
            left = [
                voter
                for voter, words in each.standing.testimonies.items()
                if voter.id != f"id-{stopped}" and False not in words.values()
            ]
            assert len(left) > each.standing.count.voters // 2
