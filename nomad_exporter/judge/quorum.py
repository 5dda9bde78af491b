"""Quorum: whether the cluster survives without this server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nomad_exporter.judge import counting
from nomad_exporter.judge.counting import Count, Testimony, Witness
from nomad_exporter.judge.identity import is_same
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Trouble, Verdict
from nomad_exporter.judge.views import Cluster, View, best, disagree
from nomad_exporter.nomad.answers import RaftServer

SILENCE: Mapping[Witness, str] = {
    Witness.GOSSIP: "no members were told",
    Witness.DIRECT: "an agent that is watched never told who it is",
    Witness.AUTOPILOT: "autopilot was asked in vain",
}
"""What it means that a witness says nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the voters of a cluster stand, in the view that is believed.

    ``testimonies`` are by voter, ``names`` what a person calls each; ``leader`` is one of these names, empty where no
    leader is known that is well. ``meant`` is how many servers the cluster was planned with; ``oldest`` is the age in
    seconds of the oldest answer about health that proves a server well.
    """

    count: Count
    testimonies: Mapping[RaftServer, Testimony]
    names: Mapping[RaftServer, str] = field(default_factory=dict)
    basis: Witness | None = None
    leader: str = ""
    disagreement: bool = False
    meant: int | None = None
    oldest: float | None = None

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
    testimonies = {voter: _testimony(voter, cluster, limits, strangers) for voter in view.voters}
    told = testimonies.values()
    return Standing(
        counting.count(told, limits.trust_gossip),
        testimonies,
        {voter: _name(voter, cluster) for voter in view.voters},
        counting.basis(told, limits.trust_gossip),
        _leader(view, cluster, testimonies),
        disagree(cluster),
        view.own.bootstrap_expect,
        max((each.health_age for each in cluster if each.well), default=None),
    )


def _testimony(voter: RaftServer, cluster: Cluster, limits: Limits, strangers: bool) -> Testimony:
    """What the witnesses that there are, and those that were asked for, say of a voter."""
    found: dict[Witness, bool | None] = {Witness.GOSSIP: _in_gossip(voter, cluster)}
    there = [each for each in cluster if each.is_at(voter)]
    if there or strangers:
        found[Witness.DIRECT] = all(each.well and each.is_of(voter) for each in there) if there else None
    if limits.autopilot:
        found[Witness.AUTOPILOT] = _in_autopilot(voter, cluster)
    return found


def _in_gossip(voter: RaftServer, cluster: Cluster) -> bool | None:
    """Whether the voter is alive for all well servers that tell their members; None where none does."""
    views = [each.gossip.members for each in cluster if each.gossip and each.well]
    if not views:
        return None
    return all(any(is_same(voter, one) and one.status == "alive" for one in members) for members in views)


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


def quorum(itself: View, standing: Standing | None, limits: Limits) -> Verdict:
    """Whether the server may be stopped: enough well voters are left, and a leader is known."""
    if standing is None:
        return Verdict(Question.QUORUM, Reason.UNKNOWN, "No server of this cluster has told of its voters lately.")
    costs = standing.misses(itself, limits.trust_gossip)
    trouble = _trouble(standing, costs, standing.might_miss(itself))
    if trouble:
        return Verdict(Question.QUORUM, trouble.reason, trouble.sentence)
    left = f"without this one {standing.count.well - costs} are left" if costs else "this one is none of them"
    return Verdict(Question.QUORUM, Reason.OK, f"{_counted(standing)}, {left}: it may be stopped.")


def _trouble(standing: Standing, costs: bool, might_cost: bool) -> Trouble | None:
    count = standing.count
    if standing.disagreement:
        return Trouble(Reason.VIEWS_DISAGREE, "Well servers name different leaders or voters.")
    if not standing.leader:
        return Trouble(Reason.NO_LEADER, f"No leader is known that is well; {_counted(standing)}.")
    if counting.is_safe(count.well, count.needed, costs):
        return None
    if counting.is_safe(count.well + count.unproven, count.needed, might_cost):
        return Trouble(Reason.NOT_ENOUGH_WITNESSES, f"{_counted(standing)}.")
    if count.well + count.unproven < count.needed:
        return Trouble(Reason.QUORUM_LOST, f"{_counted(standing)}.")
    return Trouble(Reason.NO_MARGIN, f"{_counted(standing)}: without this one, too few are left.")


def _counted(standing: Standing) -> str:
    """The numbers in words, and who is not well."""
    count = standing.count
    unwell = [standing.names[voter] for voter, told in standing.testimonies.items() if counting.is_unwell(told)]
    named = f" ({', '.join(unwell[:5])} not)" if unwell else ""
    unproven = f", of {count.unproven} too little is known ({_lacking(standing)})" if count.unproven else ""
    meant = f", {standing.meant} were meant" if standing.meant and standing.meant > count.voters else ""
    return f"{count.well} of {count.voters} voters are well{named}{unproven}, {count.needed} are needed{meant}"


def _lacking(standing: Standing) -> str:
    """Which witness that was asked is silent; where none is, gossip alone speaks for some."""
    silent = {witness for told in standing.testimonies.values() for witness, word in told.items() if word is None}
    return ", ".join(SILENCE[witness] for witness in sorted(silent)) or "only gossip speaks for it"
