"""The demo with a real Prometheus: the leader is killed, and metrics and queries show the failure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.demo import Demo, running_demo
from tests.support.real_tools import require_tool
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    require_tool("prometheus")
    with running_demo("--prometheus", "--pace", "10") as started:
        yield started


def query(demo: Demo, expression: str) -> dict[str, float]:
    """Return the values of a query by the label ``agent``."""
    base = "{0.scheme}://{0.netloc}".format(urlsplit(demo.banner_value("Prometheus")))
    response = requests.get(f"{base}/api/v1/query", params={"query": expression}, timeout=PATIENCE).json()
    return {row["metric"].get("agent", ""): float(row["value"][1]) for row in response["data"]["result"]}


def leader(demo: Demo) -> str:
    """Return the leader's name according to Prometheus."""
    (name,) = query(demo, "nomad_agent_leader == 1")
    return name


def test_prometheus_url_of_banner_works(demo: Demo) -> None:
    assert demo.get(demo.banner_value("Prometheus")).status_code == 200


def test_killed_leader_is_down_and_a_new_leader_is_elected(demo: Demo) -> None:
    eventually(lambda: len(query(demo, "nomad_agent_leader == 1")) == 1)
    dead = leader(demo)
    (term,) = set(query(demo, "nomad_agent_raft_term").values())

    demo.do(f"{dead}.global", "kill")

    eventually(lambda: query(demo, "nomad_agent_up == 0").keys() == {dead})
    eventually(lambda: query(demo, f"nomad_agent_leader == 1 and nomad_agent_raft_term > {term}"))
    assert query(demo, "nomad_exporter_poll_failing") == {dead: 1.0}
    assert 'reason="refused"' in demo.get(f"{demo.exporter}/metrics?agent={dead}").text
    assert dead in demo.get(demo.exporter).text


def test_gossip_detects_failure_and_autopilot_removes_server(demo: Demo) -> None:
    eventually(lambda: query(demo, 'max by (member) (nomad_agent_member_status{status="failed"}) == 1'))
    eventually(lambda: set(query(demo, 'nomad_agent_raft_servers{suffrage="Voter"} == 2').values()) == {2.0})
