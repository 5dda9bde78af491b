"""A real Prometheus scrapes a pair of exporters: every documented query succeeds, and counts no agent twice."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.agents import RecordedAgent
from tests.support.exporter import running
from tests.support.prometheus import Prometheus, scraping
from tests.support.real_tools import require_tool
from tests.support.waiting import PATIENCE, eventually

AGENTS = {
    "s1": "2.0.5/healthy/s1-follower",
    "s2": "2.0.5/healthy/s2-leader",
    "s3": "2.0.5/healthy/s3-follower",
    "c1": "2.0.5/healthy/c1-client",
}

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/queries.md").read_text()
STATES, JOINS = (
    re.findall(r"```promql\n(.+?)```", part, re.DOTALL)
    for part in PAGE.partition("\n## Alerts\n")[0].split("\n## Joins\n")
)
ALERTS = re.findall(r"expr: (?:\|\n((?: {10,}.*\n)+)|(.+))", PAGE.partition("\n## Alerts\n")[2])
README = [
    query
    for block in re.findall(r"```promql\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for query in block.split("\n\n")
]

ROWS_OF_JOINS = (3, 9, 3, 4)
"""How many rows each join has for one exporter: three servers, of which each knows three members."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    require_tool("prometheus")  # Skip the tests before any agent is started.
    folder = tmp_path_factory.mktemp("pair")
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(RecordedAgent(situation)).url for name, situation in AGENTS.items()}
        agents = [
            {"name": name, "address": url, "cluster": "prod", "labels": {"rack": f"of-{name}"}}
            for name, url in urls.items()
        ]
        file = folder / "fleet.yml"
        file.write_text(json.dumps({"agents": agents, "poll": {"interval": "500ms", "health_interval": "500ms"}}))
        pair = [stack.enter_context(running("--config.file", str(file))) for _ in range(2)]
        started = stack.enter_context(scraping([exporter.url for exporter in pair], folder))
        eventually(lambda: len(started.query("nomad_agent_member_info")) == 2 * 3 * 3)
        started.wait_for_scrapes(4)
        yield started


@pytest.mark.parametrize("promql", [*STATES, *JOINS, *README, *(block or line for block, line in ALERTS)])
def test_documented_query_succeeds(prometheus: Prometheus, promql: str) -> None:
    response = requests.get(f"{prometheus.url}/api/v1/query", {"query": promql}, timeout=PATIENCE).json()

    assert (response["status"], response.get("warnings", [])) == ("success", [])


@pytest.mark.parametrize("promql", [*STATES, *README])
def test_result_has_one_row_for_both_exporters(prometheus: Prometheus, promql: str) -> None:
    assert {instance for instance, *_ in prometheus.query(promql, "instance")} <= {""}


def test_agents_are_counted_once(prometheus: Prometheus) -> None:
    (count,) = [promql for promql in STATES if promql.startswith("count by")]

    assert prometheus.query(count, "nomad_cluster", "version") == [("prod", "2.0.5", 4.0)]


@pytest.mark.parametrize(("promql", "rows"), [*zip(JOINS, ROWS_OF_JOINS, strict=True)])
def test_join_has_its_rows_for_each_exporter(prometheus: Prometheus, promql: str, rows: int) -> None:
    per_exporter = f"count by (instance) ({promql})"

    assert [number for (number,) in prometheus.query(per_exporter)] == [rows, rows]
