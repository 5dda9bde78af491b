"""Counters and log events while servers and clients die and return: each change is reported once.

The cluster is simulated and the tests advance its clock, so the results do not depend on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import cycle

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import Reply, enabled_sources
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.poller import Poller, Wire
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change
from nomad_sim.api.http import ApiResponse, Pending
from nomad_sim.api.routes import NomadApi, handle
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.answers import REFUSED
from tests.support.clusters import calm_cluster, followers, leader, pass_time
from tests.support.polls import poll_wanted
from tests.support.sim_requests import api_request

SECONDS = 4.0
INTERVAL = 2.0
"""Seconds between two polls: short enough that autopilot does not remove a dead server before its restart."""

FLEETING = ("raft_state", "health_transitions", "healthy", "unhealthy", "leader_lost")
"""Counters and events of an election; they depend on when the polls happen."""


class ModelWire:
    """A wire to a simulated agent. The simulated time passes during a request; a killed agent refuses connections."""

    certificates = Certificates()

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._api, self._name = NomadApi(cluster), name

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        cluster = self._api.cluster
        request = api_request(cluster, f"GET {path}")
        while cluster.world.agents[self._name].is_running:
            reply = handle(self._api, self._name, request)
            if isinstance(reply, ApiResponse):
                return Reply(reply.status, reply.body)
            assert isinstance(reply, Pending), reply
            if cluster.world.now + reply.seconds > request.received_at + seconds:
                return Failure(FailureReason.TIMEOUT, f"no complete response within {seconds:g}s")
            pass_time(cluster, reply.seconds)
        return REFUSED


class BalancedWire:
    """A wire to a load balancer: each request goes to the next server of the simulated cluster."""

    certificates = Certificates()

    def __init__(self, cluster: Cluster, _: str) -> None:
        self._wires = cycle([ModelWire(cluster, name) for name in cluster.world.agents])

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        return next(self._wires).get(path, seconds, body_limit)


class Monitor:
    """A poller of a simulated cluster of three servers and one client, and the changes that it reports."""

    def __init__(self, cluster: Cluster, wire: Callable[[Cluster, str], Wire] = ModelWire) -> None:
        self.cluster = cluster
        self.agents = [Agent(name, Address("http", "127.0.0.1", 4646)) for name in cluster.world.agents]
        self.store: Store[Rendered] = Store(self.agents, render_agent)
        self.changes: list[tuple[str, Change]] = []
        wires = {agent.name: wire(cluster, agent.name) for agent in self.agents}
        self.poller = Poller(
            store=self.store,
            wires=wires,
            clock=self.now,
            seconds=SECONDS,
            sources=enabled_sources(autopilot=False),
            on_changes=self.record,
        )

    def now(self) -> Instant:
        return Instant(1_800_000_000.0 + self.cluster.world.now, self.cluster.world.now)

    def record(self, agent: Agent, changes: Sequence[Change]) -> None:
        self.changes += [(agent.name, change) for change in changes]

    def poll_for(self, seconds: float) -> None:
        """Poll all agents for this many simulated seconds."""
        end = self.cluster.world.now + seconds
        while self.cluster.world.now < end:
            for agent in self.agents:
                poll_wanted(self.poller, agent)
            pass_time(self.cluster, INTERVAL)

    def poll_until(self, condition: Callable[[], bool]) -> None:
        """Poll all agents until ``condition`` is true; fail after two simulated minutes."""
        end = self.cluster.world.now + 120
        while not condition():
            assert self.cluster.world.now < end
            self.poll_for(INTERVAL)

    def counters(self, name: str) -> list[str]:
        """Return the counters of an agent above zero, without their prefix and the labels of the agent."""
        entry = self.store.get(name)
        assert entry
        page = b"".join(entry.rendered.history[1]).decode()
        lines = (
            re.sub(rf'^nomad_agent_|agent="{name}",nomad_cluster="default",?', "", page, flags=re.MULTILINE)
            .replace("{}", "")
            .splitlines()
        )
        return [line for line in lines if "_timestamp_" not in line and not line.endswith(" 0")]

    def events(self, name: str) -> list[str]:
        """Return the log events of an agent in their order; those of a member have the member's name."""
        logged = [change for agent, change in self.changes if agent == name]
        return [f"{change.event} {change.fields.get('member', '')}".strip() for change in logged]


def lasting(names: list[str]) -> list[str]:
    """Return the counters or events without the fleeting ones."""
    return [line for line in names if not line.startswith(FLEETING)]


@pytest.fixture(params=["2.0", "1.10"])  # Before 1.10, every candidate raises the term, elected or not.
def monitor(request: pytest.FixtureRequest) -> Monitor:
    """Return a monitor of a cluster that has been polled for a while, so that nothing changes."""
    monitor = Monitor(calm_cluster(clients=1, version=VERSIONS[request.param]))
    monitor.poll_for(30)
    monitor.changes.clear()
    return monitor


def test_calm_cluster_has_no_counters_and_no_events(monitor: Monitor) -> None:
    monitor.poll_for(120)

    assert [monitor.counters(agent.name) for agent in monitor.agents] == [[]] * 4
    assert monitor.changes == []


def test_servers_behind_a_load_balancer_are_reported_and_not_counted() -> None:
    monitor = Monitor(calm_cluster(), BalancedWire)
    monitor.poll_for(60)

    assert {tuple(monitor.counters(agent.name)) for agent in monitor.agents} == {()}
    assert {tuple(monitor.events(agent.name)) for agent in monitor.agents} == {("agent_up", "several_agents")}


def test_restart_of_the_leader_is_counted_once_by_each_server(monitor: Monitor) -> None:
    killed, survivors = leader(monitor.cluster), followers(monitor.cluster)
    monitor.cluster.kill(killed)
    monitor.poll_until(lambda: all(f"member_failed {killed}" in monitor.events(name) for name in survivors))
    monitor.cluster.start(killed)
    monitor.poll_for(60)

    for name in survivors:
        assert lasting(monitor.counters(name)) == [
            "leader_changes_total 1",
            "raft_term_increases_total 1",
            'member_transitions_total{from="alive",to="failed"} 1',
            'member_transitions_total{from="failed",to="alive"} 1',
        ]
        assert lasting(monitor.events(name)) == [
            "leader_changed",
            "term",
            f"member_failed {killed}",
            f"member_alive {killed}",
        ]
    assert lasting(monitor.counters(killed)) == [
        "leader_changes_total 1",
        "raft_term_increases_total 1",
        "restarts_total 1",
    ]
    assert lasting(monitor.events(killed)) == ["poll_failed", "restarted", "agent_recovered", "leader_changed", "term"]
    assert monitor.counters("c1") == monitor.events("c1") == []


def test_exactly_one_follower_becomes_leader(monitor: Monitor) -> None:
    killed, survivors = leader(monitor.cluster), followers(monitor.cluster)
    monitor.cluster.kill(killed)
    monitor.poll_for(30)
    times_leader = {name: sum('to="Leader"' in line for line in monitor.counters(name)) for name in survivors}

    assert times_leader == {name: int(name == leader(monitor.cluster)) for name in survivors}


def test_leader_lost_with_quorum_is_a_leader_change(monitor: Monitor) -> None:
    first, (lost, survivor) = leader(monitor.cluster), followers(monitor.cluster)
    for name in (first, lost):
        monitor.cluster.kill(name)
    monitor.poll_until(lambda: "leader_lost" in monitor.events(survivor))
    assert "leader_changes_total 1" not in monitor.counters(survivor)
    monitor.cluster.start(lost)
    monitor.poll_for(60)

    assert monitor.events(survivor).count("leader_changed") == monitor.events(survivor).count("leader_lost") == 1
    assert "leader_changes_total 1" in monitor.counters(survivor)
    assert "restarts_total 1" in monitor.counters(lost)
    assert not [line for name in (lost, survivor) for line in monitor.counters(name) if "losses" in line]


def test_restart_of_a_client_is_counted_once(monitor: Monitor) -> None:
    monitor.cluster.kill("c1")
    monitor.poll_for(20)
    monitor.cluster.start("c1")
    monitor.poll_for(60)

    assert monitor.counters("c1") == ["restarts_total 1"]
    assert [monitor.counters(agent.name) for agent in monitor.agents if agent.name != "c1"] == [[]] * 3
