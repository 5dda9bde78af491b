"""The quorum state of a cluster: the evidence about each voter, the unresponsive voters, and the leader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nomad_exporter.nomad.models import Member, RaftServer, is_same_server
from nomad_exporter.verdicts import arithmetic
from nomad_exporter.verdicts.arithmetic import Evidence, EvidenceSource, VoterCount
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.verdicts.view import Cluster, View, authoritative_view, has_conflict


@dataclass(frozen=True, slots=True)
class QuorumState:
    """The state of a cluster's voters, by the cluster's most authoritative view.

    ``evidence`` and ``names`` are by voter. ``basis`` is the weakest evidence source that a healthy voter depends on.
    ``leader`` is the name of the leader, empty if no healthy leader is known. ``has_conflict`` is whether healthy
    servers report different leaders or voters. ``expected`` is ``bootstrap_expect``. ``oldest_evidence`` is the age in
    seconds of the oldest health answer that proves a server healthy.
    """

    count: VoterCount
    evidence: Mapping[RaftServer, Evidence]
    names: Mapping[RaftServer, str] = field(default_factory=dict)
    unresponsive: frozenset[RaftServer] = frozenset()
    basis: EvidenceSource | None = None
    leader: str = ""
    has_conflict: bool = False
    expected: int | None = None
    oldest_evidence: float | None = None

    @property
    def margin(self) -> int | None:
        """The number of healthy voters that can be lost; None while the health of any voter is unknown."""
        return None if self.count.unknown else self.count.margin

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
    """Build the quorum state of a cluster; return None if no fresh view contains a voter.

    With ``has_unidentified``, some monitored agents have never answered self. A voter that is not monitored under its
    own name may then be one of these agents.
    """
    authoritative = authoritative_view(cluster)
    if authoritative is None or not authoritative.voters:
        return None
    voters = authoritative.voters
    evidence = {
        voter: _collect_evidence(voter, authoritative, cluster, thresholds, has_unidentified) for voter in voters
    }
    return QuorumState(
        count=arithmetic.count_voters(evidence.values(), thresholds.trust_gossip),
        evidence=evidence,
        names={voter: _name(voter, cluster) for voter in voters},
        unresponsive=frozenset(voter for voter in voters if _is_unresponsive(voter, cluster)),
        basis=arithmetic.basis(evidence.values(), thresholds.trust_gossip),
        leader=_leader(authoritative, cluster, evidence),
        has_conflict=has_conflict(cluster),
        expected=authoritative.agent_self.bootstrap_expect,
        oldest_evidence=max((view.health_age for view in cluster if view.is_healthy), default=None),
    )


def _collect_evidence(
    voter: RaftServer, authoritative: View, cluster: Cluster, thresholds: Thresholds, has_unidentified: bool
) -> Evidence:
    evidence: dict[EvidenceSource, bool | None] = {EvidenceSource.GOSSIP: _gossip_evidence(voter, cluster)}
    monitored = [view for view in cluster if view.is_at_address_of(voter)]
    if monitored:
        evidence[EvidenceSource.DIRECT] = all(view.confirms(voter, authoritative) for view in monitored)
    elif has_unidentified:
        evidence[EvidenceSource.DIRECT] = None
    # Direct evidence is stronger, so autopilot matters only for a voter that is not monitored.
    if thresholds.autopilot and not monitored:
        evidence[EvidenceSource.AUTOPILOT] = _autopilot_evidence(voter, cluster)
    return evidence


def _gossip_evidence(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Return whether all healthy servers that report members see the voter alive; None if there is no such server."""
    member_lists = [view.gossip.members for view in cluster if view.gossip and view.is_healthy]
    if not member_lists:
        return None
    return all(_is_alive(voter, members) for members in member_lists)


def _autopilot_evidence(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Return whether each autopilot answer from a healthy server has the voter healthy; None without such an answer."""
    answers = [view.autopilot.servers for view in cluster if view.autopilot and view.is_healthy]
    if not answers:
        return None
    return all(
        any(server.id == voter.id and server.healthy and server.voter for server in servers) for servers in answers
    )


def _is_unresponsive(voter: RaftServer, cluster: Cluster) -> bool:
    """Return whether the voter does not respond.

    A monitored voter must respond to the exporter. Another voter must be alive for any server that responds.
    """
    monitored = [view for view in cluster if view.is_view_of(voter)]
    if monitored:
        return not any(view.is_responding for view in monitored)
    member_lists = [view.gossip.members for view in cluster if view.gossip and view.is_responding]
    return bool(member_lists) and not any(_is_alive(voter, members) for members in member_lists)


def _is_alive(voter: RaftServer, members: Iterable[Member]) -> bool:
    return any(is_same_server(voter, member) and member.status == "alive" for member in members)


def _leader(authoritative: View, cluster: Cluster, evidence: Mapping[RaftServer, Evidence]) -> str:
    """Return the leader's name; empty if the view is not healthy, has no leader, or the leader is unhealthy."""
    leader = next((voter for voter in authoritative.voters if voter.address == authoritative.leader), None)
    if not authoritative.is_healthy or leader is None or arithmetic.is_unhealthy(evidence[leader]):
        return ""
    return _name(leader, cluster)


def _name(server: RaftServer, cluster: Cluster) -> str:
    """Return the server's name as a monitored agent, else its name in gossip, else its address."""
    agents = [view.agent for view in cluster if view.is_view_of(server)]
    members = [
        member.name
        for view in cluster
        if view.gossip
        for member in view.gossip.members
        if is_same_server(server, member)
    ]
    return next(iter((*agents, *members)), server.address)
