"""How the voters of a cluster stand: what the witnesses say of each, who does not answer, and who leads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nomad_exporter.judge import counting
from nomad_exporter.judge.counting import Count, Testimony, Witness
from nomad_exporter.judge.identity import is_same
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.views import Cluster, View, best, disagree
from nomad_exporter.nomad.answers import Member, RaftServer


@dataclass(frozen=True, slots=True)
class Standing:
    """How the voters of a cluster stand, in the view that is believed.

    ``testimonies`` are by voter, ``names`` what a person calls each, ``absent`` are those without any sign of life;
    ``leader`` is one of these names, empty where no leader is known that is well. ``meant`` is how many servers the
    cluster was planned with; ``oldest`` is the age in seconds of the oldest answer that proves a server well.
    """

    count: Count
    testimonies: Mapping[RaftServer, Testimony]
    names: Mapping[RaftServer, str] = field(default_factory=dict)
    absent: frozenset[RaftServer] = frozenset()
    basis: Witness | None = None
    leader: str = ""
    disagreement: bool = False
    meant: int | None = None
    oldest: float | None = None

    @property
    def margin(self) -> int | None:
        """How many well voters can be lost; None while too little is known of some."""
        return None if self.count.unproven else self.count.margin

    def misses(self, itself: View, trust_gossip: bool) -> bool:
        """Whether the server would be missed: it is a voter that is well, or cannot tell which server it is."""
        return itself.own.member is None or any(counting.is_well(told, trust_gossip) for told in self._of(itself))

    def might_miss(self, itself: View) -> bool:
        """Whether it would be missed if all of whom too little is known were well."""
        return itself.own.member is None or any(not counting.is_unwell(told) for told in self._of(itself))

    def _of(self, itself: View) -> list[Testimony]:
        return [told for voter, told in self.testimonies.items() if itself.is_of(voter)]


def standing(cluster: Cluster, limits: Limits, strangers: bool = False) -> Standing | None:
    """How the voters stand; None where no fresh view tells of any.

    Where ``strangers`` are watched, which never told who they are, a voter without a view of its own may be one.
    """
    view = best(cluster)
    if view is None or not view.voters:
        return None
    testimonies = {voter: _testimony(voter, view, cluster, limits, strangers) for voter in view.voters}
    told = testimonies.values()
    return Standing(
        counting.count(told, limits.trust_gossip),
        testimonies,
        {voter: _name(voter, cluster) for voter in view.voters},
        frozenset(voter for voter in view.voters if _is_absent(voter, cluster)),
        counting.basis(told, limits.trust_gossip),
        _leader(view, cluster, testimonies),
        disagree(cluster),
        view.own.bootstrap_expect,
        max((each.health_age for each in cluster if each.well), default=None),
    )


def _testimony(voter: RaftServer, view: View, cluster: Cluster, limits: Limits, strangers: bool) -> Testimony:
    """What is said of a voter. Autopilot is only heard where the voter cannot speak for itself, not being watched."""
    found: dict[Witness, bool | None] = {Witness.GOSSIP: _in_gossip(voter, cluster)}
    there = [each for each in cluster if each.is_at(voter)]
    if there or strangers:
        found[Witness.DIRECT] = all(each.speaks_for(voter, view) for each in there) if there else None
    if limits.autopilot and not there:
        found[Witness.AUTOPILOT] = _in_autopilot(voter, cluster)
    return found


def _in_gossip(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Whether the voter is alive for all well servers that tell their members; None where none does."""
    views = [each.gossip.members for each in cluster if each.gossip and each.well]
    if not views:
        return None
    return all(_is_alive(voter, members) for members in views)


def _is_absent(voter: RaftServer, cluster: Cluster) -> bool:
    """Whether the voter gives no sign of life: to us where we watch it, else to any server that answers."""
    itself = [each for each in cluster if each.is_of(voter)]
    if itself:
        return not any(each.answers for each in itself)
    views = [each.gossip.members for each in cluster if each.gossip and each.answers]
    return bool(views) and not any(_is_alive(voter, members) for members in views)


def _is_alive(voter: RaftServer, members: Iterable[Member]) -> bool:
    return any(is_same(voter, one) and one.status == "alive" for one in members)


def _in_autopilot(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Whether the voter was healthy each time that a well server passed the question on; None where none did."""
    told = [each.autopilot.servers for each in cluster if each.autopilot and each.well]
    if not told:
        return None
    return all(any(one.id == voter.id and one.healthy and one.voter for one in servers) for servers in told)


def _leader(view: View, cluster: Cluster, testimonies: Mapping[RaftServer, Testimony]) -> str:
    """The leader, by its name; empty where no well server knows one, or a witness speaks against it."""
    server = next((voter for voter in view.voters if voter.address == view.leader), None)
    if not view.well or server is None or False in testimonies[server].values():
        return ""
    return _name(server, cluster)


def _name(server: RaftServer, cluster: Cluster) -> str:
    """What we call the server as an agent, else its name in gossip, else its address."""
    watched = [each.agent for each in cluster if each.is_of(server)]
    members = [one.name for each in cluster if each.gossip for one in each.gossip.members if is_same(server, one)]
    return next(iter((*watched, *members)), server.address)
