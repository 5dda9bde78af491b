"""The evaluation of all verdicts about a fleet: single cases, and laws about whole fleets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import RaftServer, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import evaluate, evaluate_agent, server_quorums
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import HEALTHY, REFUSED, health
from tests.support.fleets import (
    AT,
    GOSSIP,
    THRESHOLDS,
    WITH_AUTOPILOT,
    Fleet,
    after_poll,
    agent,
    autopilot,
    client,
    cluster,
    cut_off,
    dead,
    evaluate_fleet,
    gossip,
    leaderless,
    polled_server,
    raft,
    reasons,
    safe,
    self_answer,
    shared,
    without,
)

NEVER = Snapshot(agent("s9"))
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(NEVER, VerdictReason.STARTING, id="never polled"),
        pytest.param(
            after_poll(NEVER, HEALTH, health({Role.SERVER: HEALTHY})),
            VerdictReason.STARTING,
            id="only health polled",
        ),
        pytest.param(
            after_poll(NEVER, HEALTH, health({Role.CLIENT: HEALTHY})),
            VerdictReason.NOT_A_VOTER,
            id="a client by its health",
        ),
        pytest.param(client("s9"), VerdictReason.NOT_A_VOTER, id="a client"),
        pytest.param(dead(client("s9")), VerdictReason.NOT_A_VOTER, id="a dead client"),
        pytest.param(after_poll(NEVER, SELF, REFUSED), VerdictReason.UNKNOWN, id="never responded"),
        pytest.param(after_poll(NEVER, SELF, DENIED), VerdictReason.UNKNOWN, id="token always rejected"),
    ],
)
def test_quorum_without_a_view_depends_on_polls_and_role(snapshot: Snapshot, reason: VerdictReason) -> None:
    evaluation = evaluate_agent(snapshot, None, AT, THRESHOLDS)

    assert evaluation.verdicts[Question.QUORUM].reason is reason
    assert evaluation.quorum_state is None


def test_unidentified_agent_message_names_poll_failure() -> None:
    verdict = evaluate_agent(after_poll(NEVER, SELF, DENIED), None, AT, THRESHOLDS).verdicts[Question.QUORUM]

    assert verdict.message == "The agent has not yet reported its cluster in /v1/agent/self (unauthorized: HTTP 403)."


@pytest.mark.parametrize(
    "snapshot", [cluster(3)["s1"], client(texts={"client.node_id": "node-1"})], ids=["server", "client"]
)
def test_no_agent_at_a_shared_address_is_safe_to_stop(snapshot: Snapshot) -> None:
    (evaluation,) = evaluate([shared(snapshot)], [shared(snapshot)], AT, THRESHOLDS)

    assert evaluation.verdicts[Question.QUORUM].reason is VerdictReason.SEVERAL_AGENTS
    assert evaluation.verdicts[Question.LIVE].ok
    assert evaluation.quorum_state is None


def test_shared_address_is_no_evidence_for_other_servers() -> None:
    fleet = cluster(3)
    assert safe(fleet) == {"s1", "s2", "s3"}

    fleet["s3"] = shared(fleet["s3"])
    assert reasons(fleet) == {
        "s1": VerdictReason.INSUFFICIENT_EVIDENCE,
        "s2": VerdictReason.INSUFFICIENT_EVIDENCE,
        "s3": VerdictReason.SEVERAL_AGENTS,
    }


def test_every_agent_has_every_verdict_in_order() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]
    evaluations = evaluate(fleet, fleet, AT, THRESHOLDS)
    verdicts = [evaluation.verdicts for evaluation in evaluations]

    assert [evaluation.snapshot for evaluation in evaluations] == fleet
    assert all(list(by_question) == list(Question) for by_question in verdicts)
    assert all(verdict.question is question for by_question in verdicts for question, verdict in by_question.items())


def never_iterated() -> Iterator[Snapshot]:
    raise AssertionError
    yield NEVER


@pytest.mark.parametrize("question", [Question.LIVE, Question.READY])
def test_live_and_ready_do_not_iterate_over_the_fleet(question: Question) -> None:
    (evaluation,) = evaluate(never_iterated(), [client()], AT, THRESHOLDS, [question])

    assert list(evaluation.verdicts) == [question]


def test_agents_not_selected_are_evidence() -> None:
    fleet = list(cluster(3).values())
    (evaluation,) = evaluate(fleet, fleet[:1], AT, THRESHOLDS)

    assert evaluation.verdicts[Question.QUORUM].reason is VerdictReason.OK


def test_agents_outside_the_fleet_are_no_evidence() -> None:
    fleet = list(cluster(3).values())
    (evaluation,) = evaluate(fleet[:1], fleet[:1], AT, THRESHOLDS)

    assert evaluation.verdicts[Question.QUORUM].reason is VerdictReason.INSUFFICIENT_EVIDENCE


def test_servers_of_a_cluster_share_quorum_state() -> None:
    evaluations = evaluate_fleet({**cluster(3), "c1": client()})
    states = [evaluations[name].quorum_state for name in ("s1", "s2", "s3")]

    assert states[0]
    assert all(state is states[0] for state in states)
    assert evaluations["c1"].quorum_state is None


def test_dev_agent_is_evaluated_as_server_and_client() -> None:
    numbers = {"nomad.leader": 1, "client.heartbeat_ttl": 10.0}
    agent_self = replace(self_answer(1, raft(1)), roles=frozenset(Role), numbers=numbers)
    both = polled_server(1, agent_self, gossip(1), health_outcome=health(dict.fromkeys(Role, HEALTHY)))
    verdicts = evaluate_fleet({"s1": both})["s1"].verdicts

    assert [verdict.reason for verdict in verdicts.values()] == [
        VerdictReason.OK,
        VerdictReason.OK,
        VerdictReason.WOULD_LOSE_QUORUM,
    ]


def test_only_live_is_ok_if_the_exporter_stalls() -> None:
    later = AT + (THRESHOLDS.stall_timeout + 1)
    verdicts = evaluate_fleet(cluster(3), at=later)["s1"].verdicts

    assert {question for question, verdict in verdicts.items() if verdict.ok} == {Question.LIVE}
    assert {verdict.reason for verdict in verdicts.values()} == {VerdictReason.EXPORTER_STALLED}


def test_server_quorums_need_a_self_answer() -> None:
    fleet = [*cluster(3).values(), client(), NEVER]

    assert set(server_quorums(fleet, {"s1", "c1", "s9"}, AT, THRESHOLDS)) == {"s1", "s2", "s3"}


def test_server_quorums_skip_unrelated_clusters() -> None:
    assert server_quorums(cluster(3).values(), {"c1"}, AT, THRESHOLDS) == {}


# Whole fleets in any state.

CONDITIONS: dict[str, Callable[[Snapshot], Snapshot]] = {
    "healthy": lambda server: server,
    "dead": dead,
    "leaderless": leaderless,
    "cut off": cut_off,
    "self denied": lambda server: after_poll(server, SELF, DENIED),
    "members denied": lambda server: after_poll(server, MEMBERS, DENIED),
}

MOSTLY_HEALTHY = st.sampled_from([*["healthy"] * 9, *CONDITIONS])

ALL_THRESHOLDS = st.sampled_from([THRESHOLDS, GOSSIP, WITH_AUTOPILOT, replace(GOSSIP, autopilot=True)])


@st.composite
def fleets(draw: st.DrawFn, gossip_agrees: bool = False) -> dict[str, Snapshot]:
    """Draw a cluster with any problem: of some servers, of what they report about members, of autopilot."""
    voters = draw(st.integers(1, 5))
    numbers = range(1, voters + 1)
    failed = draw(st.sets(st.sampled_from(numbers), max_size=2))
    alive = [number for number in numbers if number not in failed]
    member_lists = [gossip(*numbers), gossip(*alive, failed=sorted(failed))]
    common_members = draw(st.sampled_from(member_lists))
    fleet = {}
    for number in sorted(draw(st.sets(st.sampled_from(numbers), min_size=max(1, voters - 1)))):
        members = common_members if gossip_agrees else draw(st.sampled_from(member_lists))
        server = polled_server(number, self_answer(number, raft(*numbers)), members)
        fleet[f"s{number}"] = CONDITIONS[draw(MOSTLY_HEALTHY)](server)
    if "s1" in fleet and draw(st.booleans()):
        unhealthy = draw(st.sets(st.sampled_from(numbers), max_size=1))
        healthy = [number for number in numbers if number not in unhealthy]
        answer = autopilot(*healthy, unhealthy=unhealthy)
        fleet["s1"] = after_poll(fleet["s1"], AUTOPILOT, answer, 1)
    return fleet


@given(fleet=fleets(gossip_agrees=True), thresholds=ALL_THRESHOLDS, data=st.data())
@settings(deadline=None)
def test_missing_answer_makes_no_other_agent_safer_to_stop(
    fleet: Fleet, thresholds: Thresholds, data: st.DataObject
) -> None:
    # Self is not removed: the agent has been identified. Members are removed only if all servers report the same.
    name = data.draw(st.sampled_from(sorted(fleet)))
    source: Source[Any] = data.draw(st.sampled_from([HEALTH, MEMBERS, AUTOPILOT]))
    reduced = {**fleet, name: without(fleet[name], source)}

    assert (safe(reduced, thresholds) - safe(fleet, thresholds)) <= {name}


@given(fleet=fleets(gossip_agrees=True), thresholds=ALL_THRESHOLDS, data=st.data())
@settings(deadline=None)
def test_failed_poll_makes_no_other_agent_safer_to_stop(
    fleet: Fleet, thresholds: Thresholds, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(fleet)))
    source: Source[Any] = data.draw(st.sampled_from([HEALTH, SELF]))
    failed = {**fleet, name: after_poll(fleet[name], source, data.draw(st.sampled_from([REFUSED, DENIED])))}

    assert (safe(failed, thresholds) - safe(fleet, thresholds)) <= {name}


@given(fleet=fleets(gossip_agrees=True), name=st.sampled_from(["s2", "s3", "s4", "s5"]))
@settings(deadline=None)
def test_unidentified_agent_makes_no_other_safer_to_stop(fleet: Fleet, name: str) -> None:
    # With default thresholds, gossip alone does not prove the missing server healthy. The leader is never removed:
    # the healthy servers have just reached it.
    unidentified = {**fleet, name: Snapshot(agent(name))}

    assert safe(unidentified) <= safe(fleet)


@given(fleet=fleets(gossip_agrees=True), name=st.sampled_from(["s2", "s3", "s4", "s5"]))
@settings(deadline=None)
def test_shared_address_makes_no_server_safer_to_stop(fleet: Fleet, name: str) -> None:
    if name in fleet and fleet[name][SELF].answer:
        assert safe({**fleet, name: shared(fleet[name])}) <= safe(fleet)


@given(fleet=fleets(), thresholds=ALL_THRESHOLDS, rng=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_the_fleet_does_not_matter(fleet: Fleet, thresholds: Thresholds, rng: random.Random) -> None:
    shuffled = dict(rng.sample(sorted(fleet.items()), len(fleet)))

    assert reasons(shuffled, thresholds) == reasons(fleet, thresholds)


@given(fleet=fleets(), other=fleets(), thresholds=ALL_THRESHOLDS)
@settings(deadline=None)
def test_unrelated_cluster_does_not_matter(fleet: Fleet, other: Fleet, thresholds: Thresholds) -> None:
    # The other cluster has the same addresses and the same region name, but servers with other IDs.
    unrelated = {f"other-{name}": _of_another_cluster(snapshot) for name, snapshot in other.items()}
    together = reasons({**fleet, **unrelated}, thresholds)

    assert {name: together[name] for name in fleet} == reasons(fleet, thresholds)
    assert {name: together[name] for name in unrelated} == reasons(unrelated, thresholds)


def _of_another_cluster(snapshot: Snapshot) -> Snapshot:
    agent_self = snapshot[SELF].answer
    assert agent_self
    assert agent_self.member
    configuration = tuple(
        RaftServer(server.suffrage, f"other-{server.id}", server.address) for server in agent_self.configuration or ()
    )
    member = replace(agent_self.member, id=f"other-{agent_self.member.id}")
    members, autopilot_answer = snapshot[MEMBERS].answer, snapshot[AUTOPILOT].answer
    answers: dict[Source[Any], object] = {
        SELF: replace(agent_self, configuration=configuration, member=member),
        MEMBERS: members
        and replace(members, members=tuple(replace(other, id=f"other-{other.id}") for other in members.members)),
        AUTOPILOT: autopilot_answer
        and replace(
            autopilot_answer,
            servers=tuple(replace(server, id=f"other-{server.id}") for server in autopilot_answer.servers),
        ),
    }
    states = {source: replace(snapshot[source], answer=answer) for source, answer in answers.items()}
    return replace(snapshot, agent=agent(f"other-{snapshot.agent.name}"), states={**snapshot.states, **states})


@given(fleet=fleets(), thresholds=ALL_THRESHOLDS)
@settings(deadline=None)
def test_safe_stop_leaves_majority_not_reported_unhealthy(fleet: Fleet, thresholds: Thresholds) -> None:
    for name, evaluation in evaluate_fleet(fleet, thresholds).items():
        if evaluation.verdicts[Question.QUORUM].ok:
            state = evaluation.quorum_state
            assert state
            assert state.leader
            stopped = int(name[1:])
            remaining = [
                voter
                for voter, evidence in state.evidence.items()
                if voter.id != f"id-{stopped}" and False not in evidence.values()
            ]
            assert len(remaining) > state.count.voters // 2
