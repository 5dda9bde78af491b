"""A simulated cluster beside the exporter: elections, lost quorum, suspended and partitioned agents."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.demo import Demo, running_demo
from tests.support.exporter import Exporter, running
from tests.support.waiting import PATIENCE, eventually

POLL_OPTIONS = ("--poll.interval", "200ms", "--poll.health-interval", "200ms")

HEALTHY = (200, "ok")
REFUSED = (503, "exporter: refused: connection refused")
TIMED_OUT = (503, "exporter: timeout: no complete response within 160ms")
NO_LEADER = (500, "no leader")


@dataclass(frozen=True)
class MonitoredCluster:
    """A cluster and an exporter that monitors its agents under their names in the cluster."""

    demo: Demo
    exporter: Exporter

    def health(self, name: str) -> tuple[int, str]:
        """Return the status of the health bridge and the message about the agent's only role."""
        response = self.exporter.get(f"/health?agent={name}")
        (check,) = response.json().values()
        return response.status_code, check["message"]

    def value(self, family: str, name: str) -> float:
        """Return the value of an agent in a family without other labels."""
        lines = self.exporter.get(f"/metrics?agent={name}").text.splitlines()
        (line,) = (
            line
            for line in lines
            if line.startswith(f'nomad_agent_{family}{{agent="{name}",nomad_cluster="default"}} ')
        )
        return float(line.rpartition(" ")[2])

    def is_leader(self, name: str) -> bool:
        """Return whether an agent claims to be the leader; the claim ends when a poll fails."""
        page = self.exporter.get(f"/metrics?agent={name}").text
        return f'nomad_agent_leader{{agent="{name}",nomad_cluster="default"}} 1' in page

    def leader_and_followers(self) -> tuple[str, str, str]:
        """Return the three servers, the leader first."""
        servers = [name for name in self.demo.agents() if name.startswith("s")]
        leader, one, other = sorted(servers, key=self.is_leader, reverse=True)
        assert self.is_leader(leader)
        return leader, one, other

    def send_request(self, name: str, path: str) -> socket.socket:
        """Send a request to an agent; return the connection."""
        address = urlsplit(self.demo.agents()[name][-1])
        connection = socket.create_connection((address.hostname, address.port), PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        return connection


@contextmanager
def running_cluster(folder: Path, *arguments: str) -> Iterator[MonitoredCluster]:
    """Run a cluster of three healthy servers, and an exporter."""
    with running_demo("--exporter=false", "--clients", "0", *arguments) as demo:
        agents = [{"name": name, "address": fields[-1]} for name, fields in demo.agents().items()]
        file = folder / "fleet.yml"
        file.write_text(json.dumps({"agents": agents}))  # JSON is YAML too.
        with running("--config.file", str(file), *POLL_OPTIONS) as exporter:
            monitored = MonitoredCluster(demo, exporter)
            eventually(lambda: exporter.get("/-/ready").ok)
            eventually(lambda: all(monitored.health(name) == HEALTHY for name in demo.agents()))
            yield monitored


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[MonitoredCluster]:
    with running_cluster(tmp_path) as started:
        yield started


def test_killed_leader_makes_followers_unhealthy_until_election(cluster: MonitoredCluster) -> None:
    leader, one, other = cluster.leader_and_followers()
    rpc_port = int(cluster.demo.agents()[leader][-1].rpartition(":")[2]) + 1
    term = cluster.value("raft_term", one)
    cluster.demo.do(leader, "kill")

    refused_rpc = f"rpc error: failed to get conn: dial tcp 127.0.0.1:{rpc_port}: connect: connection refused"
    eventually(lambda: cluster.health(one) == (500, refused_rpc))
    eventually(lambda: cluster.health(leader) == REFUSED)
    eventually(lambda: cluster.health(one) == cluster.health(other) == HEALTHY)
    eventually(lambda: cluster.is_leader(one) or cluster.is_leader(other))
    eventually(lambda: cluster.value("raft_term", one) == cluster.value("raft_term", other) > term)


def test_bridge_responds_while_nomad_holds_the_request(cluster: MonitoredCluster) -> None:
    leader, lost, survivor = cluster.leader_and_followers()
    for name in (leader, lost):
        cluster.demo.do(name, "kill")
    eventually(lambda: cluster.health(survivor) == NO_LEADER)

    with cluster.send_request(survivor, "/v1/agent/health") as nomad:
        result = cluster.health(survivor)
        has_response, _, _ = select.select([nomad], [], [], 0)

        assert result == NO_LEADER
        assert not has_response
        cluster.demo.do(lost, "start")
        assert nomad.recv(12) == b"HTTP/1.1 200"
    eventually(lambda: cluster.health(survivor) == cluster.health(lost) == HEALTHY)


def test_paused_agent_times_out_until_it_resumes(cluster: MonitoredCluster) -> None:
    _, follower, _ = cluster.leader_and_followers()
    cluster.demo.do(follower, "pause")

    eventually(lambda: cluster.health(follower) == TIMED_OUT)
    eventually(lambda: cluster.value("up", follower) == 0)
    timed_out = 'source="self",reason="timeout"'
    eventually(lambda: timed_out in cluster.exporter.get(f"/metrics?agent={follower}").text)
    cluster.demo.do(follower, "resume")
    eventually(lambda: cluster.health(follower) == HEALTHY)
    eventually(lambda: cluster.value("up", follower) == 1)


def heartbeat_age(cluster: MonitoredCluster, name: str) -> float:
    """Return the age of the client's last heartbeat as a multiple of its TTL."""
    return cluster.value("client_last_heartbeat_seconds", name) / cluster.value("client_heartbeat_ttl_seconds", name)


def test_partitioned_client_is_healthy_with_old_heartbeat(tmp_path: Path) -> None:
    with running_cluster(tmp_path, "--clients", "1", "--pace", "20") as cluster:
        cluster.demo.do("c1", "partition")

        eventually(lambda: heartbeat_age(cluster, "c1") > 2)
        assert cluster.health("c1") == HEALTHY
        assert cluster.value("up", "c1") == 1
        cluster.demo.do("c1", "heal")
        eventually(lambda: heartbeat_age(cluster, "c1") < 1)
