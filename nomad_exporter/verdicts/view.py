"""What each watched server sees of its cluster, and which servers form one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Members, RaftServer, Role, is_nonvoter, is_same_server
from nomad_exporter.polling.snapshot import A, Snapshot, SourceState
from nomad_exporter.verdicts.verdict import Thresholds

STABLE_ANSWERS = 2
"""So many answers in a row must tell the same before they can contradict those of another server."""


@dataclass(frozen=True, slots=True)
class View:
    """One watched server at an instant: who it is, how it is, and what it sees.

    ``configuration`` and ``leader`` (an RPC address) are the newest that it told, old ones where it is not ``fresh``;
    ``gossip`` and ``autopilot`` are None where they are old. It ``answers`` where it gives any sign of life.
    ``health_age`` is in seconds. ``told`` is when it told of itself last, ``refused`` when it refused an attempt last.
    """

    agent: str
    agent_self: AgentSelf
    is_responding: bool
    is_healthy: bool
    is_fresh: bool
    is_stable: bool
    health_age: float
    gossip: Members | None
    autopilot: Autopilot | None
    answered_at: Instant
    refused_at: Instant | None

    @property
    def configuration(self) -> tuple[RaftServer, ...]:
        return self.agent_self.configuration or ()

    @property
    def voters(self) -> tuple[RaftServer, ...]:
        return tuple(server for server in self.configuration if server.suffrage == "Voter")

    @property
    def leader(self) -> str:
        return self.agent_self.leader_address

    def is_of(self, server: RaftServer) -> bool:
        """Whether it is the view of this server of a raft configuration, its own or another's."""
        return self.agent_self.member is not None and is_same_server(server, self.agent_self.member)

    def is_at(self, server: RaftServer) -> bool:
        """Whether it is the view of this server, or of another one that has taken its address."""
        return self.agent_self.member is not None and (
            self.agent_self.member.address == server.address or self.is_of(server)
        )

    def speaks_for(self, server: RaftServer, believed: View) -> bool:
        """Whether it proves that this voter of the ``believed`` view is well.

        What refused an attempt was restarted, and a server that left and came back has no vote at first. So it proves
        nothing until one of the two views is newer than that, nor while it tells that it is no voter.
        """
        restarted = self.refused_at is not None and believed.answered_at.since(self.refused_at) < 0
        return (
            self.is_healthy
            and self.is_of(server)
            and not restarted
            and not (self.is_fresh and is_nonvoter(self.agent_self))
        )


Cluster = tuple[View, ...]
"""The watched servers of one cluster."""


def view(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> View | None:
    """What the agent sees; None where it is no server, or never told of itself."""
    own = snapshot.agent_self.answer
    told = snapshot.agent_self.answered
    if own is None or told is None or Role.SERVER not in own.roles:
        return None
    return View(
        snapshot.agent.name,
        own,
        _answers(snapshot),
        is_healthy(snapshot, at, thresholds),
        _fresh(snapshot.agent_self, at, thresholds) is not None,
        snapshot.unchanged_answers >= STABLE_ANSWERS,
        snapshot.health.age(at),
        _fresh(snapshot.members, at, thresholds),
        _fresh(snapshot.autopilot, at, thresholds),
        told,
        snapshot.history.refused,
    )


def _answers(snapshot: Snapshot) -> bool:
    """Whether the newest attempts met a sign of life; it needs not be a good one."""
    failure = snapshot.health.failure
    return (failure is None or failure.is_responsive) and not _silent_since(snapshot)


def is_healthy(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> bool:
    """Whether a server has just proven that it is well, through its leader, and was not silent since."""
    return (
        snapshot.reaches_leader
        and snapshot.health.age(at) <= thresholds.max_evidence_age
        and not _silent_since(snapshot)
    )


def _silent_since(snapshot: Snapshot) -> bool:
    """Whether the agent was silent when it was asked for something else after its health.

    Silence about autopilot is no sign, for it may be that of the leader, to whom that question is passed on.
    """
    answered = snapshot.health.answered
    return any(
        seen.failure.is_unresponsive and seen.last.began.since(answered) >= 0
        for seen in (snapshot.agent_self, snapshot.members)
        if seen.failure and seen.last and answered
    )


def _fresh(seen: SourceState[A], at: Instant, thresholds: Thresholds) -> A | None:
    return seen.answer if seen.failure is None and seen.age(at) <= thresholds.max_age else None


def clusters(views: Iterable[View]) -> list[Cluster]:
    """The views by cluster: of one are those whose configurations share a voter.

    A region's name tells nothing, for most are called ``global``.
    """
    left = {each.agent: each for each in views}
    by_voter: dict[str, list[View]] = defaultdict(list)
    for each in left.values():
        for server in each.voters:
            by_voter[server.id].append(each)
    found = []
    while left:
        found.append(tuple(_joined(next(iter(left.values())), by_voter, left)))
    return found


def _joined(first: View, by_voter: Mapping[str, Sequence[View]], left: dict[str, View]) -> Iterator[View]:
    """The cluster of the ``first`` view; each of its views is taken from those that are ``left``."""
    edge = [first]
    while edge:
        each = edge.pop()
        if left.pop(each.agent, None):
            yield each
            edge.extend(other for server in each.voters for other in by_voter[server.id])


def best(cluster: Cluster) -> View | None:
    """The view to be believed: of the well servers, that of the newest leader, else of who knows most."""
    fresh = [each for each in cluster if each.is_fresh]
    return max(fresh, key=_rank, default=None)


_KNOWS_MORE = ("raft.latest_configuration_index", "raft.commit_index")


def _rank(each: View) -> tuple[bool, float, bool, list[float], str]:
    """A leader of an older term is none any more; a server that is not well may have counted up its term alone."""
    known = [each.agent_self.numbers.get(path, 0) for path in _KNOWS_MORE]
    return each.is_healthy, each.agent_self.numbers.get("raft.term", 0), each.agent_self.is_leader, known, each.agent


def has_conflict(cluster: Sequence[View]) -> bool:
    """Whether well servers name different leaders or voters, each in two answers in a row."""
    told = {
        (each.leader, frozenset(server.id for server in each.voters))
        for each in cluster
        if each.is_healthy and each.is_fresh and each.is_stable
    }
    return len(told) > 1
