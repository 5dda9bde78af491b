"""A real Prometheus scrapes exporters that monitor recorded agents: it accepts every sample, and queries succeed."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import RecordedAgent, scripted
from tests.support.exporter import Exporter, running
from tests.support.prometheus import Prometheus, Row, scraping
from tests.support.real_tools import require_tool
from tests.support.waiting import eventually

SITUATIONS = {
    "s1": "2.0.5/rejoined-nonvoter/s1-leader",
    "s2": "2.0.5/rejoined-nonvoter/s2-nonvoter",
    "s3": "2.0.5/rejoined-nonvoter/s3-follower",
    "c1": "2.0.5/servers-unreachable/c1-client",
    "lone": "1.6.10/single/bacon-mac",
    "sleeper": "2.0.5/healthy/s1-follower",
}
"""The agents by name. s1 to s3 are one cluster, in which s2 has rejoined without a vote; c1 reaches no server."""

FROZEN = "2.0.5/frozen/s1-follower"

INTERVALS = ("--poll.interval", "250ms", "--poll.health-interval", "250ms", "--poll.max-age", "2s")

QUERIES_PAGE = (Path(__file__).parents[2] / "docs/queries.md").read_text()

JOINS = dict(
    zip(
        ("agent to member", "member to raft server", "leader to member"),
        re.findall("```promql\n(.+?)```", QUERIES_PAGE.partition("\n## Joins\n")[2], re.DOTALL),
        strict=False,
    )
)
"""The first joins in docs/queries.md."""

ODD_NAMES = (
    'say "hello"',
    "C:\\nomad\\",
    "one\ntwo",
    "\r\t\x00\x1b\x7f\x85\u2028",
    '"} 1\nfake{a="',
    "".join(chr(plane << 16 | 0x2603) for plane in range(17)),
    "x" * 300,
)


def odd(connection: socket.socket, _: threading.Event) -> None:
    """Serve as an agent whose members have names that are impossible in Nomad."""
    bodies = {
        b"GET /v1/agent/self": {"stats": {"nomad": {"leader": "false"}}},
        b"GET /v1/agent/members": {"Members": [{"Name": name, "Status": "alive"} for name in ODD_NAMES]},
        b"GET /v1/agent/health": {"server": {"ok": True, "message": "ok"}},
    }
    while request := connection.recv(65536):
        [answer] = [answer for start, answer in bodies.items() if request.startswith(start)]
        body = json.dumps(answer).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture(scope="module")
def agents() -> Iterator[dict[str, RecordedAgent]]:
    require_tool("prometheus")  # Skip the tests before any agent is started.
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(RecordedAgent(situation)) for name, situation in SITUATIONS.items()}


@pytest.fixture(scope="module")
def exporters(agents: dict[str, RecordedAgent]) -> Iterator[dict[str, Exporter]]:
    with contextlib.ExitStack() as stack:
        urls = {name: agent.url for name, agent in agents.items()}
        urls["odd"] = str(stack.enter_context(scripted(odd)))
        yield {
            name: stack.enter_context(running("--nomad.address", url, "--nomad.agent-name", name, *INTERVALS))
            for name, url in urls.items()
        }


@pytest.fixture(scope="module")
def prometheus(exporters: dict[str, Exporter], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraping([exporter.url for exporter in exporters.values()], tmp_path_factory.mktemp("prometheus")) as started:
        started.wait_for_scrapes(4)
        yield started


def test_every_exporter_and_every_agent_is_up(prometheus: Prometheus) -> None:
    assert prometheus.query("up") == [(1.0,)] * (len(SITUATIONS) + 1)
    assert prometheus.query('nomad_agent_up{agent!="sleeper"}', "agent") == [
        (name, 1.0) for name in sorted([*SITUATIONS, "odd"]) if name != "sleeper"
    ]


def test_prometheus_logs_no_problem_and_drops_no_sample(prometheus: Prometheus) -> None:
    dropped = prometheus.dropped_samples()

    assert prometheus.log_problems() == []
    assert len(dropped) > 0
    assert set(dropped.values()) == {0.0}


def test_every_line_of_a_page_becomes_a_series(prometheus: Prometheus) -> None:
    missing = prometheus.query(
        'scrape_samples_scraped - on (instance) count by (instance) ({job="nomad", __name__!~"up|scrape_.+"})'
    )

    assert missing == [(0.0,)] * (len(SITUATIONS) + 1)


QUERIES: dict[str, tuple[str, tuple[str, ...], list[Row]]] = {
    "leader": (
        "nomad_agent_leader == 1",
        ("agent",),
        [("lone", 1.0), ("s1", 1.0)],
    ),
    "raft states": (
        'nomad_agent_raft_state{agent=~"s[0-9]"} == 1',
        ("agent", "state"),
        [("s1", "Leader", 1.0), ("s2", "Follower", 1.0), ("s3", "Follower", 1.0)],
    ),
    "entries behind the leader": (
        'scalar(max(nomad_agent_raft_commit_index{agent=~"s[0-9]"})) - nomad_agent_raft_applied_index{agent=~"s[0-9]"}',
        ("agent",),
        [("s1", 0.0), ("s2", 0.0), ("s3", 0.0)],
    ),
    "clients without contact to servers": (
        "nomad_agent_client_last_heartbeat_seconds > bool nomad_agent_client_heartbeat_ttl_seconds",
        ("agent",),
        [("c1", 1.0), ("lone", 0.0)],
    ),
    "voters of the cluster": (
        'nomad_agent_raft_servers{agent="s1",nomad_cluster="default"} > 0',
        ("suffrage",),
        [("Nonvoter", 1.0), ("Voter", 2.0)],
    ),
    "health, also of a client without contact to servers": (
        'nomad_agent_healthy{agent=~"c1|lone"}',
        ("agent", "role"),
        [("c1", "client", 1.0), ("lone", "client", 1.0), ("lone", "server", 1.0)],
    ),
    "versions": (
        'count by (version) (nomad_agent_info{agent!="sleeper"})',
        ("version",),
        [("", 1.0), ("1.6.10", 1.0), ("2.0.5", 4.0)],
    ),
    "age of the newest answers in minutes": (
        'round((time() - nomad_exporter_poll_last_success_timestamp_seconds{agent="s1",nomad_cluster="default"}) / 60)',
        ("source",),
        [("health", 0.0), ("members", 0.0), ("self", 0.0)],
    ),
    "members by status": (
        'nomad_agent_members{agent="s1",nomad_cluster="default"} > 0',
        ("nomad_region", "status"),
        [("global", "alive", 3.0)],
    ),
}


@pytest.mark.parametrize(("promql", "labels", "rows"), QUERIES.values(), ids=QUERIES)
def test_query_returns_the_expected_rows(
    prometheus: Prometheus, promql: str, labels: tuple[str, ...], rows: list[Row]
) -> None:
    assert prometheus.query(promql, *labels) == rows


def test_agent_is_joined_with_its_gossip_member(prometheus: Prometheus) -> None:
    rows = prometheus.query(JOINS["agent to member"], "agent", "member", "status")

    assert [row for row in rows if row[0] != "sleeper"] == [
        ("lone", "bacon-mac.global", "alive", 1.0),
        ("s1", "s1.global", "alive", 1.0),
        ("s2", "s2.global", "alive", 1.0),
        ("s3", "s3.global", "alive", 1.0),
    ]


def test_member_is_joined_with_its_raft_server(prometheus: Prometheus) -> None:
    rows = prometheus.query(JOINS["member to raft server"], "agent", "member", "suffrage")

    assert [row for row in rows if row[0] != "sleeper"] == [
        ("lone", "bacon-mac.global", "Voter", 1.0),
        *(
            (agent, member, suffrage, 1.0)
            for agent in ("s1", "s2", "s3")
            for member, suffrage in (("s1.global", "Voter"), ("s2.global", "Nonvoter"), ("s3.global", "Voter"))
        ),
    ]


def test_leader_is_joined_with_its_member_name(prometheus: Prometheus) -> None:
    rows = prometheus.query(JOINS["leader to member"], "agent", "member")

    assert [row for row in rows if row[0] != "sleeper"] == [
        ("lone", "bacon-mac.global", 1.0),
        ("s1", "s1.global", 1.0),
        ("s2", "s1.global", 1.0),
        ("s3", "s1.global", 1.0),
    ]


def test_odd_names_are_stored_unchanged(prometheus: Prometheus) -> None:
    rows = prometheus.query('nomad_agent_member_status{agent="odd",nomad_cluster="default", status="alive"}', "member")

    assert [name for name, _ in rows] == sorted(ODD_NAMES)


def test_frozen_agent_is_down_and_its_values_expire(prometheus: Prometheus, agents: dict[str, RecordedAgent]) -> None:
    before = prometheus.query('nomad_agent_raft_term{agent="sleeper",nomad_cluster="default"}')
    agents["sleeper"].play(FROZEN)
    values = 'nomad_agent_raft_term{agent="sleeper"} or nomad_agent_healthy{agent="sleeper"}'
    eventually(lambda: prometheus.query(values) == [])
    while_down = prometheus.query("max_over_time((nomad_agent_raft_term and on (agent) nomad_agent_up == 0)[1m:100ms])")

    assert while_down == before != []
    assert prometheus.query('nomad_agent_up{agent="sleeper",nomad_cluster="default"}') == [(0.0,)]
    assert prometheus.query(
        'up * on (instance) group_left () nomad_exporter_agent_info{agent="sleeper",nomad_cluster="default"}'
    ) == [(1.0,)]
    assert prometheus.query(
        'nomad_exporter_poll_failing{agent="sleeper",nomad_cluster="default"}', "source", "reason"
    ) == [
        ("health", "timeout", 1.0),
        ("members", "timeout", 1.0),
        ("self", "timeout", 1.0),
    ]
