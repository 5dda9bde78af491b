"""The quorum state of a cluster: the evidence about each voter, the unresponsive voters, and the leader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nomad_exporter.nomad.models import Autopilot, Member, RaftServer, ServerKey, member_keys, server_key
from nomad_exporter.nomad.stats import Number
from nomad_exporter.verdicts import arithmetic
from nomad_exporter.verdicts.arithmetic import Evidence, EvidenceSource, VoterCount
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.verdicts.view import Cluster, View, authoritative_view, has_conflict, has_lasting_conflict


class VoterHealth(StrEnum):
    """The health of a voter: proven healthy, without any response, or neither of them."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader of a term: its name as a monitored agent or member, and its RPC address."""

    agent: str
    address: str
    term: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumState:
    """The state of a cluster's voters, by the cluster's most authoritative view.

    ``is_current`` is whether that view is fresh; the last known Raft configuration is kept, however old. ``evidence``
    and ``names`` are by voter. ``basis`` is the weakest evidence source that a healthy voter depends on. ``leader`` is
    the name of the leader, empty if no healthy leader is known; ``elected`` is the leader of the newest term that a
    server reports, healthy or not. ``has_conflict`` is whether healthy servers contradict each other,
    ``has_lasting_conflict`` whether they do so for longer than an election explains. ``expected`` is
    ``bootstrap_expect``. ``agents`` are the names of the cluster's monitored servers. ``oldest_evidence`` is the age in
    seconds of the oldest health answer that proves a server healthy.
    """

    count: VoterCount
    evidence: Mapping[RaftServer, Evidence]
    is_current: bool = True
    names: Mapping[RaftServer, str] = field(default_factory=dict)
    unresponsive: frozenset[RaftServer] = frozenset()
    basis: EvidenceSource | None = None
    leader: str = ""
    has_conflict: bool = False
    has_lasting_conflict: bool = False
    expected: int | None = None
    agents: frozenset[str] = frozenset()
    elected: Leader | None = None
    oldest_evidence: float | None = None

    @property
    def voters(self) -> Mapping[VoterHealth, int]:
        """The number of voters by health. A voter that responds, but does not prove itself healthy, is unknown."""
        unhealthy = len(self.unresponsive)
        numbers = (self.count.healthy, unhealthy, self.count.voters - self.count.healthy - unhealthy)
        return dict(zip(VoterHealth, numbers, strict=True))

    @property
    def is_quorum_lost(self) -> bool:
        """Whether too few voters for a quorum respond."""
        return self.count.voters - len(self.unresponsive) < self.count.quorum_size

    @property
    def failure_tolerance(self) -> int | None:
        """The number of healthy voters that can be lost; negative if quorum is lost, None if it is not known."""
        unknown = self.voters[VoterHealth.UNKNOWN]
        return self.count.margin + unknown if self.is_quorum_lost or not unknown else None

    def would_lose(self, server: View, trust_gossip: bool) -> bool:
        """Return whether stopping ``server`` costs a healthy voter; also True if its identity is unknown."""
        return server.agent_self.member is None or any(
            arithmetic.is_healthy(evidence, trust_gossip) for evidence in self._evidence_about(server)
        )

    def could_lose(self, server: View) -> bool:
        """Return whether stopping ``server`` would cost a healthy voter if all unknown voters were healthy."""
        return server.agent_self.member is None or any(
            not arithmetic.is_unhealthy(evidence) for evidence in self._evidence_about(server)
        )

    def _evidence_about(self, server: View) -> list[Evidence]:
        return [evidence for voter, evidence in self.evidence.items() if server.is_view_of(voter)]


def build_quorum_state(cluster: Cluster, thresholds: Thresholds, has_unidentified: bool = False) -> QuorumState | None:
    """Build the quorum state of a cluster; return None if no view contains a voter.

    With ``has_unidentified``, some monitored agents have never answered self. A voter that is not monitored under its
    own name may then be one of these agents.
    """
    authoritative = authoritative_view(cluster)
    if authoritative is None or not authoritative.voters:
        return None
    voters, index = authoritative.voters, _index(cluster)
    evidence = {
        voter: _collect_evidence(voter, authoritative, cluster, index, thresholds, has_unidentified) for voter in voters
    }
    return QuorumState(
        count=arithmetic.count_voters(evidence.values(), thresholds.trust_gossip),
        evidence=evidence,
        is_current=authoritative.is_fresh,
        names={voter: index.name(voter) for voter in voters},
        unresponsive=_unresponsive(voters, cluster, index),
        basis=arithmetic.basis(evidence.values(), thresholds.trust_gossip),
        leader=_leader(authoritative, cluster, index, evidence),
        has_conflict=has_conflict(cluster),
        has_lasting_conflict=has_lasting_conflict(cluster),
        expected=authoritative.agent_self.bootstrap_expect,
        agents=frozenset(view.agent for view in cluster),
        elected=_elected(cluster, index),
        oldest_evidence=max((view.health_age for view in cluster if view.is_healthy), default=None),
    )


@dataclass(frozen=True, slots=True)
class _Index:
    """What the views of a cluster report about servers, so that no voter is compared with every member.

    ``names`` are the names of servers by key. ``alive`` are the keys of the alive members that each healthy server
    reports; servers without a recent report are left out. ``autopilot`` are the IDs of the healthy voters in each
    autopilot answer from a healthy server.
    """

    names: Mapping[ServerKey, str]
    alive: Sequence[frozenset[ServerKey]]
    autopilot: Sequence[frozenset[str]]

    def name(self, server: RaftServer) -> str:
        """Return the server's name as a monitored agent, else its name in gossip, else its address."""
        return self.names.get(server_key(server), server.address)


def _index(cluster: Cluster) -> _Index:
    healthy = [view for view in cluster if view.is_healthy]
    return _Index(
        names=dict(reversed([(key, name) for member, name in _named_members(cluster) for key in member_keys(member)])),
        alive=[_alive_keys(view.gossip.members) for view in healthy if view.gossip],
        autopilot=[_healthy_voter_ids(view.autopilot) for view in healthy if view.autopilot],
    )


def _named_members(cluster: Cluster) -> Iterator[tuple[Member, str]]:
    """Yield each member with a name of its server; the name of a monitored agent comes before those in gossip."""
    yield from ((view.agent_self.member, view.agent) for view in cluster if view.agent_self.member)
    yield from ((member, member.name) for view in cluster for member in view.members)


def _alive_keys(members: Iterable[Member]) -> frozenset[ServerKey]:
    return frozenset(key for member in members if member.status == "alive" for key in member_keys(member))


def _healthy_voter_ids(answer: Autopilot) -> frozenset[str]:
    return frozenset(server.id for server in answer.servers if server.healthy and server.voter)


def _collect_evidence(
    voter: RaftServer,
    authoritative: View,
    cluster: Cluster,
    index: _Index,
    thresholds: Thresholds,
    has_unidentified: bool,
) -> Evidence:
    evidence: dict[EvidenceSource, bool | None] = {EvidenceSource.GOSSIP: _gossip_evidence(voter, index)}
    monitored = [view for view in cluster if view.is_at_address_of(voter)]
    if monitored:
        evidence[EvidenceSource.DIRECT] = _direct_evidence(voter, authoritative, monitored)
    elif has_unidentified:
        evidence[EvidenceSource.DIRECT] = None
    # Direct evidence is stronger, so autopilot matters only for a voter that is not monitored.
    if thresholds.autopilot and not monitored:
        evidence[EvidenceSource.AUTOPILOT] = _autopilot_evidence(voter, index)
    return evidence


def _direct_evidence(voter: RaftServer, authoritative: View, monitored: Sequence[View]) -> bool | None:
    """Return whether every view at the voter's address proves it healthy; None if nothing speaks against it."""
    missing = [view for view in monitored if not view.confirms(voter, authoritative)]
    return None if missing and all(view.is_unproven for view in missing) else not missing


def _gossip_evidence(voter: RaftServer, index: _Index) -> bool | None:
    """Return whether all healthy servers that report members see the voter alive; None if there is no such server."""
    return all(server_key(voter) in alive for alive in index.alive) if index.alive else None


def _autopilot_evidence(voter: RaftServer, index: _Index) -> bool | None:
    """Return whether each autopilot answer from a healthy server has the voter healthy; None without such an answer."""
    return all(voter.id in healthy for healthy in index.autopilot) if index.autopilot else None


def _unresponsive(voters: Sequence[RaftServer], cluster: Cluster, index: _Index) -> frozenset[RaftServer]:
    """Return the voters that do not respond: to the exporter, or if they are not monitored, to any healthy server."""
    views = {voter: [view for view in cluster if view.is_view_of(voter)] for voter in voters}
    polled = {voter for voter, own in views.items() if own and all(view.is_unresponsive for view in own)}
    gone = {voter for voter in voters if index.alive and not any(server_key(voter) in alive for alive in index.alive)}
    lost = polled | {voter for voter in gone if not views[voter]}
    # Gossip counts only if it leaves a quorum: it comes from a server that reaches its leader, so otherwise it is old.
    return frozenset(lost if len(voters) - len(lost) >= arithmetic.quorum_size(len(voters)) else polled)


def _leader(authoritative: View, cluster: Cluster, index: _Index, evidence: Mapping[RaftServer, Evidence]) -> str:
    """Return the leader's name; empty if the view is not healthy, has no leader, or the leader is unhealthy."""
    leader = find_leader(authoritative, cluster)
    if not authoritative.is_healthy or leader is None or arithmetic.is_unhealthy(evidence[leader]):
        return ""
    return index.name(leader)


def find_leader(view: View, cluster: Cluster) -> RaftServer | None:
    """Return the leader that a view reports, as a voter of its Raft configuration; None if there is none.

    It is looked up by its address, else by the ID of the member with that address, else by a server's own claim.
    """
    # The Raft configuration of one or two servers keeps the old address of a server that returned at another one.
    if not view.leader:
        return None
    at_address = [voter for voter in view.voters if voter.address == view.leader]
    members = [member for each in cluster for member in each.members if member.address == view.leader]
    voters = {voter.id: voter for voter in view.voters}
    by_id = [voters[member.id] for member in members if member.id in voters]
    leaders = [each for each in cluster if each.agent_self.is_leader and each.term == view.term]
    by_claim = [voter for each in leaders for voter in view.voters if each.is_view_of(voter)]
    return next(iter((*at_address, *by_id, *by_claim)), None)


def _elected(cluster: Cluster, index: _Index) -> Leader | None:
    """Return the leader of the newest term for which a server reports one; None if there is none, or it is dead."""
    # A candidate that is cut off increases its term alone, and knows no leader.
    current = [view for view in cluster if view.is_fresh and not view.is_unresponsive and view.leader]
    newest = max(current, key=lambda view: (view.term, view.is_healthy, view.agent), default=None)
    leader = find_leader(newest, cluster) if newest else None
    if leader and any(view.is_unresponsive for view in cluster if view.is_view_of(leader)):
        return None
    return Leader(index.name(leader), newest.leader, newest.term) if newest and leader else None
