"""A cluster that is watched while its leader dies and comes back: the counters and the log tell what happened, once.

The cluster is the simulated one and its clock is turned by hand, so that nothing depends on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import Reply
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change
from nomad_sim.api.http import ApiResponse, Pending
from nomad_sim.api.routes import NomadApi, handle
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import VERSIONS
from tests.support.answers import REFUSED
from tests.support.clusters import calm_cluster, followers, leader, pass_time
from tests.support.sim_requests import api_request

SECONDS = 4.0
INTERVAL = 2.0
"""Between two rounds: a dead server is back before autopilot cleans it up."""


FLEETING = ("raft_state", "health_transitions", "healthy", "unhealthy", "leader_lost")


class ModelWire:
    """The wire to an agent of the cluster; one that is killed refuses, and the cluster's time passes while it waits."""

    certificates = Certificates()

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._api, self._name = NomadApi(cluster), name

    def get(self, path: str, seconds: float) -> Reply | Failure:
        cluster = self._api.cluster
        asked = api_request(cluster, f"GET {path}")
        while cluster.world.agents[self._name].is_running:
            reply = handle(self._api, self._name, asked)
            if isinstance(reply, ApiResponse):
                return Reply(reply.status, reply.body)
            assert isinstance(reply, Pending), reply
            if cluster.world.now + reply.seconds > asked.received_at + seconds:
                return Failure(FailureReason.TIMEOUT, f"no whole answer within {seconds:g}s")
            pass_time(cluster, reply.seconds)
        return REFUSED


class Watch:
    """A cluster of three servers and one client, and the rounds of all of them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.agents = [Agent(name, Address("http", "127.0.0.1", 4646)) for name in cluster.world.agents]
        self.store: Store[Rendered] = Store(self.agents, render_agent)
        self.lines: list[tuple[str, Change]] = []
        wires = {agent.name: ModelWire(cluster, agent.name) for agent in self.agents}
        self.rounds = Poller(self.store, wires, self.now, SECONDS, self.tell)

    def now(self) -> Instant:
        return Instant(1_800_000_000.0 + self.cluster.world.now, self.cluster.world.now)

    def tell(self, agent: Agent, line: Change) -> None:
        self.lines.append((agent.name, line))

    def go_on(self, seconds: float) -> None:
        """Watches for so long."""
        end = self.cluster.world.now + seconds
        while self.cluster.world.now < end:
            for agent in self.agents:
                self.rounds.poll_health(agent)
                self.rounds.poll_state(agent)
            pass_time(self.cluster, INTERVAL)

    def go_on_until(self, holds: Callable[[], bool]) -> None:
        """Watches until it holds; fails where it takes longer than two minutes."""
        end = self.cluster.world.now + 120
        while not holds():
            assert self.cluster.world.now < end
            self.go_on(INTERVAL)

    def counted(self, name: str) -> list[str]:
        """The counters of an agent that are not zero, without their prefix and their label ``agent``."""
        kept = self.store.get(name)
        assert kept
        page = b"".join(kept.rendered.history[1]).decode()
        lines = (
            re.sub(rf'^nomad_agent_|agent="{name}",nomad_cluster="default",?', "", page, flags=re.MULTILINE)
            .replace("{}", "")
            .splitlines()
        )
        return [line for line in lines if "_timestamp_" not in line and not line.endswith(" 0")]

    def events(self, name: str) -> list[str]:
        """What the log told of an agent, in its order; where it was of a member, with its name."""
        told = [line.fields for agent, line in self.lines if agent == name]
        return [f"{fields['event']} {fields.get('member', '')}".strip() for fields in told]


def lasting(found: list[str]) -> list[str]:
    """Without what of an election is seen or not, as the polls happen to fall."""
    return [line for line in found if not line.startswith(FLEETING)]


@pytest.fixture(params=["2.0", "1.10"])  # Before, every candidate raises the term, elected or not.
def watch(request: pytest.FixtureRequest) -> Watch:
    watch = Watch(calm_cluster(clients=1, version=VERSIONS[request.param]))
    watch.go_on(30)
    watch.lines.clear()
    return watch


def test_while_nothing_happens_nothing_is_counted_or_told(watch: Watch) -> None:
    watch.go_on(120)

    assert [watch.counted(agent.name) for agent in watch.agents] == [[]] * 4
    assert watch.lines == []


def test_a_leader_that_is_killed_and_started_again_is_counted_once_by_everyone(watch: Watch) -> None:
    killed, survivors = leader(watch.cluster), followers(watch.cluster)
    watch.cluster.kill(killed)
    watch.go_on_until(lambda: all(f"member_failed {killed}" in watch.events(name) for name in survivors))
    watch.cluster.start(killed)
    watch.go_on(60)

    for name in survivors:
        assert lasting(watch.counted(name)) == [
            "leader_changes_total 1",
            "raft_term_increases_total 1",
            'member_transitions_total{from="alive",to="failed"} 1',
            'member_transitions_total{from="failed",to="alive"} 1',
        ]
        assert lasting(watch.events(name)) == [
            "leader_changed",
            "term",
            f"member_failed {killed}",
            f"member_alive {killed}",
        ]
    assert lasting(watch.counted(killed)) == [
        "leader_changes_total 1",
        "raft_term_increases_total 1",
        "restarts_total 1",
    ]
    assert lasting(watch.events(killed)) == ["poll_failed", "restarted", "agent_recovered", "leader_changed", "term"]
    assert watch.counted("c1") == watch.events("c1") == []


def test_one_follower_and_no_other_is_seen_to_become_the_leader(watch: Watch) -> None:
    killed, survivors = leader(watch.cluster), followers(watch.cluster)
    watch.cluster.kill(killed)
    watch.go_on(30)
    led = {name: sum('to="Leader"' in line for line in watch.counted(name)) for name in survivors}

    assert led == {name: int(name == leader(watch.cluster)) for name in survivors}


def test_a_leader_that_is_lost_with_the_majority_is_a_change_once_there_is_another(watch: Watch) -> None:
    first, (lost, survivor) = leader(watch.cluster), followers(watch.cluster)
    for name in (first, lost):
        watch.cluster.kill(name)
    watch.go_on_until(lambda: "leader_lost" in watch.events(survivor))
    assert "leader_changes_total 1" not in watch.counted(survivor)
    watch.cluster.start(lost)
    watch.go_on(60)

    assert watch.events(survivor).count("leader_changed") == watch.events(survivor).count("leader_lost") == 1
    assert "leader_changes_total 1" in watch.counted(survivor)
    assert "restarts_total 1" in watch.counted(lost)
    assert not [line for name in (lost, survivor) for line in watch.counted(name) if "losses" in line]


def test_a_client_that_is_started_again_is_counted_once(watch: Watch) -> None:
    watch.cluster.kill("c1")
    watch.go_on(20)
    watch.cluster.start("c1")
    watch.go_on(60)

    assert watch.counted("c1") == ["restarts_total 1"]
    assert [watch.counted(agent.name) for agent in watch.agents if agent.name != "c1"] == [[]] * 3
