"""The view that each monitored server has of its cluster, and the grouping of views into clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.models import (
    AgentSelf,
    Autopilot,
    Member,
    Members,
    RaftServer,
    Role,
    is_nonvoter,
    is_same_server,
)
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, A
from nomad_exporter.nomad.stats import Number
from nomad_exporter.polling.snapshot import Snapshot, SourceState
from nomad_exporter.verdicts.verdict import Thresholds


@dataclass(frozen=True, slots=True)
class View:
    """One monitored server at an instant: its identity, its health, and its view of the cluster.

    ``cluster`` is the configured name of the cluster. ``agent_self`` is the newest self answer, which may be old unless
    the view ``is_fresh``. ``gossip`` and ``autopilot`` are None unless fresh. The server ``is_unresponsive`` if its
    newest polls had no response at all, and ``is_unproven`` if they prove nothing. ``health_age`` is the age of the
    newest health answer in seconds. ``answered_at`` and ``healthy_at`` are when the newest answers to self and health
    arrived, ``down_at`` is when the server last refused a connection, also that of a gateway. ``stable_since`` is when
    a self answer first repeated the leader and the voters of the answer before; None if the newest one changed them.
    """

    agent: str
    cluster: str
    agent_self: AgentSelf
    is_unresponsive: bool
    is_healthy: bool
    is_unproven: bool
    is_fresh: bool
    health_age: float
    gossip: Members | None
    autopilot: Autopilot | None
    answered_at: Instant
    healthy_at: Instant | None
    stable_since: Instant | None
    down_at: Instant | None

    @property
    def configuration(self) -> tuple[RaftServer, ...]:
        return self.agent_self.configuration or ()

    @property
    def voters(self) -> tuple[RaftServer, ...]:
        return tuple(server for server in self.configuration if server.suffrage == "Voter")

    @property
    def leader(self) -> str:
        """The RPC address of the leader; empty if the server knows no leader."""
        return self.agent_self.leader_address

    @property
    def term(self) -> Number:
        """The Raft term; 0 if the server did not report it."""
        return self.agent_self.numbers.get("raft.term", 0)

    @property
    def members(self) -> tuple[Member, ...]:
        """The members that the server reports, itself first."""
        own = self.agent_self.member
        return (*((own,) if own else ()), *(self.gossip.members if self.gossip else ()))

    @property
    def alive_servers(self) -> frozenset[tuple[str, str]]:
        """RPC address and ID of each member that is alive."""
        return frozenset(
            (member.address, member.id) for member in self.members if member.id and member.status == "alive"
        )

    def is_view_of(self, server: RaftServer) -> bool:
        """Return whether this is the view of ``server``."""
        return self.agent_self.member is not None and is_same_server(server, self.agent_self.member)

    def is_at_address_of(self, server: RaftServer) -> bool:
        """Return whether this is the view of ``server``, or of another server that has taken over its address."""
        return self.agent_self.member is not None and (
            self.agent_self.member.address == server.address or self.is_view_of(server)
        )

    def confirms(self, voter: RaftServer, authoritative: View) -> bool:
        """Return whether this view proves that a voter of the ``authoritative`` view is healthy."""
        # A server that refused a connection, also that of a gateway, may have restarted, and may have left and returned
        # without a vote. So one of the two views must be newer than the refusal.
        may_have_restarted = self.down_at is not None and authoritative.answered_at.since(self.down_at) < 0
        return (
            self.is_healthy
            and self.is_view_of(voter)
            and not may_have_restarted
            and not (self.is_fresh and is_nonvoter(self.agent_self))
        )


Cluster = tuple[View, ...]
"""The views of the monitored servers of one cluster."""


def build_view(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> View | None:
    """Build the view of an agent.

    Return None if the agent is not a server, has never answered self, or is not the only agent at its address.
    """
    agent_self, answered_at = snapshot[SELF].answer, snapshot[SELF].answered
    if agent_self is None or answered_at is None or Role.SERVER not in agent_self.roles:
        return None
    if snapshot.identity.has_several:  # The health may be that of one server, and the ID that of another.
        return None
    return View(
        agent=snapshot.agent.name,
        cluster=snapshot.agent.cluster,
        agent_self=agent_self,
        is_unresponsive=is_unresponsive(snapshot),
        is_healthy=is_healthy(snapshot, now, thresholds),
        is_unproven=_is_unproven(snapshot, now, thresholds),
        is_fresh=_fresh_answer(snapshot[SELF], now, thresholds) is not None,
        health_age=snapshot[HEALTH].age(now),
        gossip=_fresh_answer(snapshot[MEMBERS], now, thresholds),
        autopilot=_fresh_answer(snapshot[AUTOPILOT], now, thresholds),
        answered_at=answered_at,
        healthy_at=snapshot[HEALTH].answered,
        stable_since=snapshot.stable_since,
        down_at=snapshot.history.down,
    )


def is_unresponsive(snapshot: Snapshot) -> bool:
    """Return whether the newest poll of the agent itself had no response, not even an error."""
    # A failure such as an unknown host name proves nothing about the agent.
    failure = snapshot[HEALTH].failure
    return bool(failure and failure.is_silent) or _is_unresponsive_since_health(snapshot)


def is_healthy(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> bool:
    """Return whether a server has recently reported itself healthy through its leader and has responded since."""
    return (
        snapshot.reaches_leader
        and snapshot[HEALTH].age(now) <= thresholds.max_evidence_age
        and not _is_unresponsive_since_health(snapshot)
    )


def _is_unproven(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> bool:
    """Return whether nothing recent is known about the health: the fault is the exporter's, not the agent's."""
    if is_unresponsive(snapshot):
        return False
    failure = snapshot[HEALTH].failure
    return not failure.is_responsive if failure else snapshot[HEALTH].age(now) > thresholds.max_evidence_age


def _is_unresponsive_since_health(snapshot: Snapshot) -> bool:
    """Return whether any later poll of the server itself was unresponsive."""
    # Other polls prove nothing: the server forwards them to the leader, which may be the unresponsive one.
    answered = snapshot[HEALTH].answered
    return any(
        state.failure.is_silent and state.last.began.since(answered) >= 0
        for state in snapshot.source_states
        if not state.source.needs_leader and state.failure and state.last and answered
    )


def _fresh_answer(state: SourceState[A], now: Instant, thresholds: Thresholds) -> A | None:
    return state.answer if state.failure is None and state.age(now) <= thresholds.max_age else None


def group_by_cluster(views: Iterable[View]) -> list[Cluster]:
    """Group views into clusters: two views of one cluster name and region whose configurations share a voter.

    The views of clusters with different names are never joined, whatever they report.
    """
    labelled: dict[tuple[str, str], list[View]] = defaultdict(list)
    for view in views:
        labelled[view.cluster, view.agent_self.region].append(view)
    return [cluster for group in labelled.values() for cluster in _group_by_voter(group)]


def _group_by_voter(views: Iterable[View]) -> list[Cluster]:
    # The region's name does not identify a cluster: most regions are named "global".
    ungrouped = {view.agent: view for view in views}
    by_voter: dict[str, list[View]] = defaultdict(list)
    for view in ungrouped.values():
        for voter in view.voters:
            by_voter[voter.id].append(view)
    clusters = []
    while ungrouped:
        first = next(iter(ungrouped.values()))
        clusters.append(tuple(_take_connected(first, by_voter, ungrouped)))
    return clusters


def _take_connected(first: View, by_voter: dict[str, list[View]], ungrouped: dict[str, View]) -> Iterator[View]:
    """Remove the views connected to ``first`` by shared voters from both mappings, and yield them."""
    pending = [first]
    while pending:
        view = pending.pop()
        if ungrouped.pop(view.agent, None):
            yield view
            pending.extend(other for voter in view.voters for other in by_voter.pop(voter.id, ()))


def authoritative_view(cluster: Cluster) -> View | None:
    """Return the view that is most likely to be right; None if there is no view.

    Preferred, in this order: a fresh view, a healthy server, a higher term, the leader, a newer configuration, a higher
    commit index.
    """
    return max(cluster, key=_authority, default=None)


_INDEXES = ("raft.latest_configuration_index", "raft.commit_index")


def _authority(view: View) -> tuple[bool, bool, float, bool, list[float], str]:
    # Health precedes the term: an isolated server may have increased its term alone. The term precedes leadership: the
    # leader of an older term has been replaced. The name makes the result independent of the order.
    numbers = view.agent_self.numbers
    indexes = [numbers.get(path, 0) for path in _INDEXES]
    return view.is_fresh, view.is_healthy, view.term, view.agent_self.is_leader, indexes, view.agent


def has_conflict(cluster: Sequence[View]) -> bool:
    """Return whether healthy servers with fresh and stable views contradict each other.

    They report different leaders or voters, or different servers at the address of a voter.
    """
    views = _stable_views(cluster)
    return len(_by_report(views)) > 1 or _has_two_servers_at_one_address(views)


def has_lasting_conflict(cluster: Sequence[View]) -> bool:
    """Return whether healthy servers still contradict each other after each report was stable."""
    # A server that was cut off until just now reports no leader, which contradicts nothing.
    views = [view for view in _stable_views(cluster) if view.leader]
    pairs = (pair for groups in combinations(_by_report(views), 2) for pair in product(*groups))
    return any(_overlap(*pair) for pair in pairs) or _has_two_servers_at_one_address(views)


def _stable_views(cluster: Iterable[View]) -> list[View]:
    return [view for view in cluster if view.is_healthy and view.is_fresh and view.stable_since]


def _by_report(views: Iterable[View]) -> list[list[View]]:
    """Return the views in groups that report the same leader and voters."""
    reports: dict[object, list[View]] = defaultdict(list)
    for view in views:
        reports[view.leader, frozenset(voter.id for voter in view.voters)].append(view)
    return [*reports.values()]


def _overlap(one: View, other: View) -> bool:
    """Return whether each of two servers repeated its report, and was healthy, after the other's was stable."""
    # Until then, one of them may report what was true before an election.
    return all(
        at is not None and since is not None and at.since(since) >= 0
        for view, since in ((one, other.stable_since), (other, one.stable_since))
        for at in (view.answered_at, view.healthy_at)
    )


def _has_two_servers_at_one_address(views: Sequence[View]) -> bool:
    # Below raft protocol 3, two clusters with the same private addresses have the same voter IDs. Only the members' IDs
    # show that their servers are not the same.
    addresses = {voter.address for view in views for voter in view.voters if voter.id == voter.address}
    servers = {server for view in views for server in view.alive_servers if server[0] in addresses}
    return len(servers) > len({address for address, _ in servers})
