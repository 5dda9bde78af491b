"""Clusters made by hand for the judges: each server as it was polled twice, and what a test does to it afterwards.

Server 1 is called ``s1``, has the ID ``id-1`` and the RPC address ``10.0.0.1:4647``, and leads.
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
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot, SourceState
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from tests.support.answers import REFUSED, START, WELL, health

AT = START
"""When all is judged."""

THRESHOLDS = Thresholds()
AUTOPILOT = Thresholds(autopilot=True)
GOSSIP = Thresholds(trust_gossip=True)

RED = Check(ok=False, message="no leader")

FIELDS = {Source.HEALTH: "health", Source.SELF: "agent_self", Source.MEMBERS: "members", Source.AUTOPILOT: "autopilot"}

Fleet = Mapping[str, Snapshot]


def agent(name: str) -> Agent:
    return Agent(name, Address("http", f"{name}.example.org", 4646))


def raft(*voters: int, nonvoters: Iterable[int] = ()) -> tuple[RaftServer, ...]:
    """The raft configuration of these servers."""
    suffrages = {**dict.fromkeys(voters, "Voter"), **dict.fromkeys(nonvoters, "Nonvoter")}
    return tuple(RaftServer(suffrage, f"id-{one}", rpc(one)) for one, suffrage in suffrages.items())


def rpc(number: int) -> str:
    return f"10.0.0.{number}:4647"


def member(number: int, status: str = "alive", **told: Any) -> Member:
    return replace(Member(f"s{number}.global", status, f"id-{number}", rpc(number)), **told)


def gossip(*alive: int, **others: Iterable[int]) -> Members:
    """Members of which those are alive, and the others as they are told: ``failed=[3]``."""
    sick = [member(number, status) for status, numbers in others.items() for number in numbers]
    return Members((*map(member, alive), *sick))


def autopilot(*healthy: int, unhealthy: Iterable[int] = ()) -> Autopilot:
    servers = [AutopilotServer(f"id-{number}", healthy=True, voter=True) for number in healthy]
    return Autopilot(not unhealthy, servers=(*servers, *(AutopilotServer(f"id-{one}") for one in unhealthy)))


def told(number: int, configuration: tuple[RaftServer, ...], leader: int | None = 1, **other: Any) -> AgentSelf:
    """What server ``number`` says of itself."""
    is_leader = number == leader
    said: dict[str, Any] = {
        "member": member(number),
        "configuration": configuration,
        "numbers": {"nomad.leader": int(is_leader), "raft.term": 2, "raft.commit_index": 20, "raft.applied_index": 20},
        "texts": {
            "raft.state": "Leader" if is_leader else "Follower",
            "nomad.leader_addr": rpc(leader) if leader else "",
        },
    }
    return AgentSelf(frozenset({Role.SERVER}), **{**said, **other})


def reading(source: Source, outcome: Any, ago: float = 0.0, seconds: float = 0.0) -> AnyReading:
    """An attempt that ended ``ago`` seconds before all is judged, and took ``seconds``."""
    return Reading(source, outcome, AT + (-ago - seconds), seconds)


def asked(snapshot: Snapshot, source: Source, outcome: Any, ago: float = 0.0, seconds: float = 0.0) -> Snapshot:
    """The snapshot once one more attempt gave this."""
    return snapshot.after(reading(source, outcome, ago, seconds))


def watched(
    number: int,
    own: AgentSelf | Failure,
    members: Members | Failure | None,
    name: str = "",
    health_says: Health | Failure | None = None,
    polls: int = 2,
) -> Snapshot:
    """A server that was polled so often, the last time a second ago."""
    snapshot = Snapshot(agent(name or f"s{number}"))
    for poll in reversed(range(polls)):
        said = health({Role.SERVER: WELL}) if health_says is None else health_says
        snapshot = asked(snapshot, Source.HEALTH, said, 1 + 15 * poll)
        snapshot = asked(snapshot, Source.SELF, own, 1 + 15 * poll)
        if members is not None:
            snapshot = asked(snapshot, Source.MEMBERS, members, 1 + 15 * poll)
    return snapshot


def cluster(voters: int, watch: Iterable[int] | None = None, **others: Iterable[int]) -> dict[str, Snapshot]:
    """A cluster of which all is well, or some members are in gossip as ``others`` say; all voters are watched or some.

    Who is not alive in gossip is still in the raft configuration.
    """
    sick = {number for numbers in others.values() for number in numbers}
    all_of_them = range(1, voters + 1)
    members = gossip(*(number for number in all_of_them if number not in sick), **others)
    numbers = all_of_them if watch is None else watch
    return {f"s{one}": watched(one, told(one, raft(*all_of_them)), members) for one in numbers}


def client(name: str = "c1", **said: Any) -> Snapshot:
    """A client that has registered."""
    numbers = {"client.heartbeat_ttl": 12.0, "client.last_heartbeat": 3.0}
    own = AgentSelf(frozenset({Role.CLIENT}), **{"numbers": numbers, **said})
    snapshot = asked(Snapshot(agent(name)), Source.HEALTH, health({Role.CLIENT: WELL}), 1)
    return asked(snapshot, Source.SELF, own, 1)


def dead(snapshot: Snapshot) -> Snapshot:
    """It refuses what is asked now."""
    return asked(snapshot, Source.HEALTH, REFUSED)


def red(snapshot: Snapshot) -> Snapshot:
    """It knows no leader now."""
    return asked(snapshot, Source.HEALTH, health({Role.SERVER: RED}))


def deserted(snapshot: Snapshot) -> Snapshot:
    """It believes in a leader that does not answer it now."""
    alone = HealthAnswer(200, {Role.SERVER: WELL})
    return asked(snapshot, Source.HEALTH, Health(HealthAnswer(500, {Role.SERVER: RED}), alone, leader_reachable=False))


def without(snapshot: Snapshot, *sources: Source) -> Snapshot:
    """The snapshot as if these had never been asked for."""
    blank: dict[str, Any] = {FIELDS[source]: SourceState(source) for source in sources}
    return replace(snapshot, **blank)


def with_autopilot(fleet: Fleet, says: Autopilot | Failure, leader: str = "s1") -> dict[str, Snapshot]:
    """The fleet once its leader was asked for autopilot."""
    return {**fleet, leader: asked(fleet[leader], Source.AUTOPILOT, says, 1)}


def evaluated(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> dict[str, Evaluation]:
    """All verdicts about all agents, by name."""
    snapshots = list(fleet.values())
    return {each.snapshot.agent.name: each for each in evaluate(snapshots, snapshots, at, thresholds)}


def quorum(fleet: Fleet, name: str, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> Verdict:
    return evaluated(fleet, thresholds, at)[name].verdicts[Question.QUORUM]


def reasons(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> dict[str, VerdictReason]:
    """Why each agent may be stopped, or may not."""
    return {name: each.verdicts[Question.QUORUM].reason for name, each in evaluated(fleet, thresholds, at).items()}


def safe(fleet: Fleet, thresholds: Thresholds = THRESHOLDS, at: Instant = AT) -> set[str]:
    """The agents that may be stopped."""
    return {name for name, each in evaluated(fleet, thresholds, at).items() if each.verdicts[Question.QUORUM].ok}
