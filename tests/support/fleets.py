"""Snapshots of hand-made clusters for tests of verdicts: every server has been polled twice.

Server 1 is the leader. It is named ``s1`` and has the ID ``id-1`` and the RPC address ``10.0.0.1:4647``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.models import (
    AgentSelf,
    Autopilot,
    AutopilotServer,
    Check,
    Health,
    HealthAnswer,
    Member,
    Members,
    RaftServer,
    Role,
)
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import HEALTHY, REFUSED, START, health

AT = START
"""The instant of the evaluation."""

THRESHOLDS = Thresholds()
WITH_AUTOPILOT = Thresholds(autopilot=True)
GOSSIP = Thresholds(trust_gossip=True)

NO_LEADER = Check(ok=False, message="no leader")

Fleet = Mapping[str, Snapshot]


def agent(name: str) -> Agent:
    return Agent(name, Address("http", f"{name}.example.org", 4646))


def raft(*voters: int, nonvoters: Iterable[int] = ()) -> tuple[RaftServer, ...]:
    """Return the Raft configuration of these servers."""
    suffrages = {**dict.fromkeys(voters, "Voter"), **dict.fromkeys(nonvoters, "Nonvoter")}
    return tuple(RaftServer(suffrage, f"id-{number}", rpc(number)) for number, suffrage in suffrages.items())


def rpc(number: int) -> str:
    return f"10.0.0.{number}:4647"


def member(number: int, status: str = "alive", **fields: Any) -> Member:
    return replace(Member(f"s{number}.global", status, f"id-{number}", rpc(number)), **fields)


def gossip(*alive: int, **others: Iterable[int]) -> Members:
    """Return the members of a gossip pool; ``others`` are by status: ``failed=[3]``."""
    not_alive = [member(number, status) for status, numbers in others.items() for number in numbers]
    return Members((*map(member, alive), *not_alive))


def autopilot(*healthy: int, unhealthy: Iterable[int] = ()) -> Autopilot:
    servers = [AutopilotServer(f"id-{number}", healthy=True, voter=True) for number in healthy]
    return Autopilot(not unhealthy, servers=(*servers, *(AutopilotServer(f"id-{number}") for number in unhealthy)))


def self_answer(number: int, configuration: tuple[RaftServer, ...], leader: int | None = 1, **fields: Any) -> AgentSelf:
    """Return the self answer of server ``number``; ``fields`` override its defaults."""
    is_leader = number == leader
    defaults: dict[str, Any] = {
        "member": member(number),
        "configuration": configuration,
        "numbers": {"nomad.leader": int(is_leader), "raft.term": 2, "raft.commit_index": 20, "raft.applied_index": 20},
        "texts": {
            "raft.state": "Leader" if is_leader else "Follower",
            "nomad.leader_addr": rpc(leader) if leader else "",
        },
    }
    return AgentSelf(frozenset({Role.SERVER}), **{**defaults, **fields})


def reading(source: Source[Any], outcome: Any, ago: float = 0.0, seconds: float = 0.0) -> Reading[Any]:
    """Return a reading of a poll that ended ``ago`` seconds before the evaluation and took ``seconds``."""
    return Reading(source, outcome, AT + (-ago - seconds), seconds)


def after_poll(
    snapshot: Snapshot, source: Source[Any], outcome: Any, ago: float = 0.0, seconds: float = 0.0
) -> Snapshot:
    """Return the snapshot after one more poll; see ``reading`` for the times."""
    return snapshot.after(reading(source, outcome, ago, seconds))


def polled_server(
    number: int,
    agent_self: AgentSelf | Failure,
    members: Members | Failure | None,
    name: str = "",
    health_outcome: Health | Failure | None = None,
    polls: int = 2,
) -> Snapshot:
    """Return a healthy server that was polled ``polls`` times, every 15 seconds and last a second ago."""
    snapshot = Snapshot(agent(name or f"s{number}"))
    for poll in reversed(range(polls)):
        outcome = health({Role.SERVER: HEALTHY}) if health_outcome is None else health_outcome
        snapshot = after_poll(snapshot, HEALTH, outcome, 1 + 15 * poll)
        snapshot = after_poll(snapshot, SELF, agent_self, 1 + 15 * poll)
        if members is not None:
            snapshot = after_poll(snapshot, MEMBERS, members, 1 + 15 * poll)
    return snapshot


def cluster(voters: int, monitor: Iterable[int] | None = None, **others: Iterable[int]) -> dict[str, Snapshot]:
    """Return the monitored servers of a healthy cluster: all voters, or those of ``monitor``.

    ``others`` are voters that are not alive in gossip, by status; they remain in the Raft configuration.
    """
    not_alive = {number for numbers in others.values() for number in numbers}
    voter_numbers = range(1, voters + 1)
    members = gossip(*(number for number in voter_numbers if number not in not_alive), **others)
    numbers = voter_numbers if monitor is None else monitor
    return {
        f"s{number}": polled_server(number, self_answer(number, raft(*voter_numbers)), members) for number in numbers
    }


def client(name: str = "c1", **fields: Any) -> Snapshot:
    """Return a registered client; ``fields`` override those of its self answer."""
    numbers = {"client.heartbeat_ttl": 12.0, "client.last_heartbeat": 3.0}
    agent_self = AgentSelf(frozenset({Role.CLIENT}), **{"numbers": numbers, **fields})
    snapshot = after_poll(Snapshot(agent(name)), HEALTH, health({Role.CLIENT: HEALTHY}), 1)
    return after_poll(snapshot, SELF, agent_self, 1)


def dead(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after a health poll that was refused."""
    return after_poll(snapshot, HEALTH, REFUSED)


def leaderless(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after the server has reported that it knows no leader."""
    return after_poll(snapshot, HEALTH, health({Role.SERVER: NO_LEADER}))


def cut_off(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after the server has reported that it cannot reach the leader that it knows."""
    stale, plain = HealthAnswer(200, {Role.SERVER: HEALTHY}), HealthAnswer(500, {Role.SERVER: NO_LEADER})
    return after_poll(snapshot, HEALTH, Health(plain, stale, leader_reachable=False))


def shared(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after another server has answered self at the same address, and then this one again."""
    own = snapshot[SELF].answer
    assert own
    other = replace(own, member=member(9), texts={**own.texts, "client.node_id": "node-9"})
    return after_poll(after_poll(snapshot, SELF, other, 0.8), SELF, own, 0.6)


def without(snapshot: Snapshot, *sources: Source[Any]) -> Snapshot:
    """Return the snapshot as if ``sources`` had never been polled."""
    states = {source: state for source, state in snapshot.states.items() if source not in sources}
    return replace(snapshot, states=states)


def with_autopilot(fleet: Fleet, outcome: Autopilot | Failure, leader: str = "s1") -> dict[str, Snapshot]:
    """Return the fleet after autopilot has been polled at ``leader``."""
    return {**fleet, leader: after_poll(fleet[leader], AUTOPILOT, outcome, 1)}


def evaluate_fleet(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> dict[str, Evaluation]:
    """Evaluate all verdicts about all agents of the fleet, by agent name."""
    snapshots = list(fleet.values())
    evaluations = evaluate(snapshots, snapshots, at, thresholds)
    return {evaluation.snapshot.agent.name: evaluation for evaluation in evaluations}


def quorum(fleet: Fleet, name: str, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> Verdict:
    return evaluate_fleet(fleet, thresholds, at)[name].verdicts[Question.QUORUM]


def reasons(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> dict[str, VerdictReason]:
    """Return the reason of each agent's quorum verdict."""
    evaluations = evaluate_fleet(fleet, thresholds, at)
    return {name: evaluation.verdicts[Question.QUORUM].reason for name, evaluation in evaluations.items()}


def safe(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> set[str]:
    """Return the agents that are safe to stop."""
    evaluations = evaluate_fleet(fleet, thresholds, at)
    return {name for name, evaluation in evaluations.items() if evaluation.verdicts[Question.QUORUM].ok}
