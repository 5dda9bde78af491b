"""A cluster that lives beside the exporter: what becomes of its agents is told as it happens, and with the reason."""

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

CADENCE = ("--poll.interval", "200ms", "--poll.health-interval", "200ms")

WELL = (200, "ok")
REFUSED = (503, "exporter: refused: connection refused")
SILENT = (503, "exporter: timeout: no whole answer within 160ms")
NO_LEADER = (500, "no leader")


@dataclass(frozen=True)
class Watch:
    """A cluster and the exporter that watches all of it, its agents by the names that they have there."""

    demo: Demo
    exporter: Exporter

    def health(self, name: str) -> tuple[int, str]:
        """What the bridge says of an agent: the status, and the message about its only role."""
        result = self.exporter.get(f"/health?agent={name}")
        (check,) = result.json().values()
        return result.status_code, check["message"]

    def value(self, family: str, name: str) -> float:
        """The only value of an agent in a family that has no other label."""
        lines = self.exporter.get(f"/metrics?agent={name}").text.splitlines()
        (line,) = (
            line
            for line in lines
            if line.startswith(f'nomad_agent_{family}{{agent="{name}",nomad_cluster="default"}} ')
        )
        return float(line.rpartition(" ")[2])

    def leads(self, name: str) -> bool:
        """Whether the page says so of an agent that is up; what one that is down said last stays for a while."""
        return self.value("up", name) == self.value("leader", name) == 1

    def leader_and_followers(self) -> tuple[str, str, str]:
        """The three servers, the leader first."""
        servers = [name for name in self.demo.agents() if name.startswith("s")]
        leader, one, other = sorted(servers, key=self.leads, reverse=True)
        assert self.leads(leader)
        return leader, one, other

    def ask(self, name: str, path: str) -> socket.socket:
        """A connection on which the agent itself was asked."""
        address = urlsplit(self.demo.agents()[name][-1])
        connection = socket.create_connection((address.hostname, address.port), PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        return connection


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[Watch]:
    """A cluster of three servers, all of them well, and the exporter beside it."""
    with running_demo("--exporter=false", "--clients", "0", *arguments) as demo:
        agents = [{"name": name, "address": fields[-1]} for name, fields in demo.agents().items()]
        file = folder / "fleet.yml"
        file.write_text(json.dumps({"agents": agents}))  # JSON is YAML too.
        with running("--config.file", str(file), *CADENCE) as exporter:
            watch = Watch(demo, exporter)
            eventually(lambda: exporter.get("/-/ready").ok)
            eventually(lambda: all(watch.health(name) == WELL for name in demo.agents()))
            yield watch


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with watching(tmp_path) as started:
        yield started


def test_a_leader_that_is_killed_makes_the_others_red_until_one_of_them_leads(watch: Watch) -> None:
    leader, one, other = watch.leader_and_followers()
    rpc_port = int(watch.demo.agents()[leader][-1].rpartition(":")[2]) + 1
    term = watch.value("raft_term", one)
    watch.demo.do(leader, "kill")

    no_way_to_it = f"rpc error: failed to get conn: dial tcp 127.0.0.1:{rpc_port}: connect: connection refused"
    eventually(lambda: watch.health(one) == (500, no_way_to_it))
    eventually(lambda: watch.health(leader) == REFUSED)
    eventually(lambda: watch.health(one) == watch.health(other) == WELL)
    eventually(lambda: watch.leads(one) or watch.leads(other))
    eventually(lambda: watch.value("raft_term", one) == watch.value("raft_term", other) > term)


def test_where_no_majority_is_left_the_bridge_has_answered_while_nomad_still_holds_the_question(watch: Watch) -> None:
    leader, lost, survivor = watch.leader_and_followers()
    for name in (leader, lost):
        watch.demo.do(name, "kill")
    eventually(lambda: watch.health(survivor) == NO_LEADER)

    with watch.ask(survivor, "/v1/agent/health") as nomad:
        result = watch.health(survivor)
        has_response, _, _ = select.select([nomad], [], [], 0)

        assert result == NO_LEADER
        assert not has_response
        watch.demo.do(lost, "start")
        assert nomad.recv(12) == b"HTTP/1.1 200"
    eventually(lambda: watch.health(survivor) == watch.health(lost) == WELL)


def test_a_frozen_agent_does_not_answer_in_time_and_is_up_again_once_it_is_thawed(watch: Watch) -> None:
    _, follower, _ = watch.leader_and_followers()
    watch.demo.do(follower, "pause")

    eventually(lambda: watch.health(follower) == SILENT)
    eventually(lambda: watch.value("up", follower) == 0)
    assert 'source="self",reason="timeout"' in watch.exporter.get(f"/metrics?agent={follower}").text
    watch.demo.do(follower, "resume")
    eventually(lambda: watch.health(follower) == WELL)
    eventually(lambda: watch.value("up", follower) == 1)


def heartbeat_age(watch: Watch, name: str) -> float:
    """How long ago a server last heard the client, by the time within which it must."""
    return watch.value("client_last_heartbeat_seconds", name) / watch.value("client_heartbeat_ttl_seconds", name)


def test_a_client_that_no_server_hears_calls_itself_well_but_its_heartbeat_grows_old(tmp_path: Path) -> None:
    with watching(tmp_path, "--clients", "1", "--pace", "20") as watch:
        watch.demo.do("c1", "partition")

        eventually(lambda: heartbeat_age(watch, "c1") > 2)
        assert watch.health("c1") == WELL
        assert watch.value("up", "c1") == 1
        watch.demo.do("c1", "heal")
        eventually(lambda: heartbeat_age(watch, "c1") < 1)
