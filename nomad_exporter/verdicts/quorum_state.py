"""How the voters of a cluster stand: what the witnesses say of each, who does not answer, and who leads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nomad_exporter.nomad.models import Member, RaftServer, is_same_server
from nomad_exporter.verdicts import arithmetic
from nomad_exporter.verdicts.arithmetic import Evidence, EvidenceSource, VoterCount
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.verdicts.view import Cluster, View, best, has_conflict


@dataclass(frozen=True, slots=True)
class QuorumState:
    """How the voters of a cluster stand, in the view that is believed.

    ``evidence`` are by voter, ``names`` what a person calls each, ``absent`` are those without any sign of life;
    ``leader`` is one of these names, empty where no leader is known that is well. ``meant`` is how many servers the
    cluster was planned with; ``oldest`` is the age in seconds of the oldest answer that proves a server well.
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
        """How many well voters can be lost; None while too little is known of some."""
        return None if self.count.unknown else self.count.margin

    def would_lose(self, itself: View, trust_gossip: bool) -> bool:
        """Whether the server would be missed: it is a voter that is well, or cannot tell which server it is."""
        return itself.agent_self.member is None or any(
            arithmetic.is_healthy(told, trust_gossip) for told in self._of(itself)
        )

    def could_lose(self, itself: View) -> bool:
        """Whether it would be missed if all of whom too little is known were well."""
        return itself.agent_self.member is None or any(not arithmetic.is_unhealthy(told) for told in self._of(itself))

    def _of(self, itself: View) -> list[Evidence]:
        return [told for voter, told in self.evidence.items() if itself.is_of(voter)]


def quorum_state(cluster: Cluster, thresholds: Thresholds, unidentified: bool = False) -> QuorumState | None:
    """How the voters stand; None where no fresh view tells of any.

    Where ``unidentified`` are watched, which never told who they are, a voter without a view of its own may be one.
    """
    view = best(cluster)
    if view is None or not view.voters:
        return None
    evidence = {voter: _testimony(voter, view, cluster, thresholds, unidentified) for voter in view.voters}
    told = evidence.values()
    return QuorumState(
        arithmetic.count_voters(told, thresholds.trust_gossip),
        evidence,
        {voter: _name(voter, cluster) for voter in view.voters},
        frozenset(voter for voter in view.voters if _is_unresponsive(voter, cluster)),
        arithmetic.basis(told, thresholds.trust_gossip),
        _leader(view, cluster, evidence),
        has_conflict(cluster),
        view.agent_self.bootstrap_expect,
        max((each.health_age for each in cluster if each.is_healthy), default=None),
    )


def _testimony(voter: RaftServer, view: View, cluster: Cluster, thresholds: Thresholds, unidentified: bool) -> Evidence:
    """What is said of a voter. Autopilot is only heard where the voter cannot speak for itself, not being watched."""
    found: dict[EvidenceSource, bool | None] = {EvidenceSource.GOSSIP: _in_gossip(voter, cluster)}
    there = [each for each in cluster if each.is_at(voter)]
    if there or unidentified:
        found[EvidenceSource.DIRECT] = all(each.speaks_for(voter, view) for each in there) if there else None
    if thresholds.autopilot and not there:
        found[EvidenceSource.AUTOPILOT] = _in_autopilot(voter, cluster)
    return found


def _in_gossip(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Whether the voter is alive for all well servers that tell their members; None where none does."""
    views = [each.gossip.members for each in cluster if each.gossip and each.is_healthy]
    if not views:
        return None
    return all(_is_alive(voter, members) for members in views)


def _is_unresponsive(voter: RaftServer, cluster: Cluster) -> bool:
    """Whether the voter gives no sign of life: to us where we watch it, else to any server that answers."""
    itself = [each for each in cluster if each.is_of(voter)]
    if itself:
        return not any(each.is_responding for each in itself)
    views = [each.gossip.members for each in cluster if each.gossip and each.is_responding]
    return bool(views) and not any(_is_alive(voter, members) for members in views)


def _is_alive(voter: RaftServer, members: Iterable[Member]) -> bool:
    return any(is_same_server(voter, one) and one.status == "alive" for one in members)


def _in_autopilot(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Whether the voter was healthy each time that a well server passed the question on; None where none did."""
    told = [each.autopilot.servers for each in cluster if each.autopilot and each.is_healthy]
    if not told:
        return None
    return all(any(one.id == voter.id and one.healthy and one.voter for one in servers) for servers in told)


def _leader(view: View, cluster: Cluster, evidence: Mapping[RaftServer, Evidence]) -> str:
    """The leader, by its name; empty where no well server knows one, or a witness speaks against it."""
    server = next((voter for voter in view.voters if voter.address == view.leader), None)
    if not view.is_healthy or server is None or False in evidence[server].values():
        return ""
    return _name(server, cluster)


def _name(server: RaftServer, cluster: Cluster) -> str:
    """What we call the server as an agent, else its name in gossip, else its address."""
    watched = [each.agent for each in cluster if each.is_of(server)]
    members = [
        one.name for each in cluster if each.gossip for one in each.gossip.members if is_same_server(server, one)
    ]
    return next(iter((*watched, *members)), server.address)
