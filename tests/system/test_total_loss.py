"""A cluster of which every server is killed: a real Prometheus evaluates the alerts that people write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import Demo, running_demo
from tests.support.exporter import running
from tests.support.prometheus import Prometheus, scraping
from tests.support.real_tools import require_tool
from tests.support.waiting import eventually

SERVERS = ("s1.global", "s2.global", "s3.global")

ALERTS = (
    "max by (nomad_cluster, nomad_region) (nomad_cluster_has_leader) == 0",
    'max by (nomad_cluster, nomad_region) (nomad_cluster_state{state="quorum_lost"}) == 1',
    "min by (nomad_cluster, nomad_region) (nomad_cluster_failure_tolerance) < 1",
    'max by (nomad_cluster, nomad_region) (nomad_cluster_voters{health="healthy"}) == 0',
    "nomad_cluster_voters{health='healthy'} < on (nomad_cluster, nomad_region) nomad_cluster_quorum_size",
    'max by (nomad_cluster, nomad_region) (nomad_cluster_servers{state="ready"}) == 0',
    'count(nomad_agent_verdict_reason{verdict="quorum", reason="quorum_lost"}) > 0',
    'nomad_agent_live == 0 and on (agent) nomad_agent_info{role="server"}',
)
"""Natural alerts on a cluster without servers."""


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running_demo("--pace", "10") as started:
        yield started


@pytest.fixture(scope="module")
def prometheus(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    require_tool("prometheus")
    with scraping([demo.exporter], tmp_path_factory.mktemp("prometheus")) as started:
        yield started


def firing(prometheus: Prometheus) -> set[str]:
    return {alert for alert in ALERTS if prometheus.query(alert)}


def test_every_natural_alert_fires_in_total_loss(demo: Demo, prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.query('nomad_cluster_state{state="ok"} == 1'))
    assert firing(prometheus) == set()

    for server in SERVERS:
        demo.do(server, "kill")

    eventually(lambda: firing(prometheus) == set(ALERTS))
    assert prometheus.query("nomad_agent_leader") == []


def test_restarted_exporter_knows_the_loss_from_its_file(demo: Demo, tmp_path: Path) -> None:
    agents = [
        {"name": name, "address": fields[-1], "cluster": "prod", "role": "server", "region": "eu"}
        for name, fields in demo.agents().items()
        if name in SERVERS
    ]
    file = tmp_path / "fleet.yml"
    file.write_text(json.dumps({"agents": agents}))  # JSON is YAML too.

    with running("--config.file", str(file)) as exporter:
        eventually(lambda: exporter.get("/-/ready").ok)
        page = exporter.get("/metrics").text

    assert 'nomad_cluster_has_leader{nomad_cluster="prod",nomad_region="eu"} 0' in page
    assert 'nomad_cluster_state{nomad_cluster="prod",nomad_region="eu",state="no_leader"} 1' in page
    assert "nomad_cluster_voters" not in page
