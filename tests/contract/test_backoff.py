"""Thirty agents that hang do not delay the polls of thirty healthy agents."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.agents import RecordedAgent, scripted
from tests.support.exporter import Exporter, running
from tests.support.hostile import silent
from tests.support.waiting import eventually

pytestmark = pytest.mark.alone

HEALTHY = [f"healthy-{number}" for number in range(30)]
HANGING = [f"hanging-{number}" for number in range(30)]
POLL = {"interval": "500ms", "health_interval": "500ms", "timeout": "400ms"}
POLLS = 8
"""Number of polls of every healthy agent during the test: four seconds of polling."""

Key = tuple[str, str]
"""An agent and a source."""


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    with contextlib.ExitStack() as stack:
        addresses = {name: stack.enter_context(RecordedAgent("2.0.5/healthy/s1-follower")).url for name in HEALTHY}
        addresses |= {name: str(stack.enter_context(scripted(silent))) for name in HANGING}
        agents = [{"name": name, "address": address} for name, address in addresses.items()]
        file = tmp_path / "fleet.yml"
        file.write_text(json.dumps({"poll": POLL, "agents": agents}))  # YAML includes JSON.
        yield stack.enter_context(running("--config.file", str(file)))


def samples(text: str, name: str) -> dict[Key, float]:
    return {
        (sample.labels["agent"], sample.labels["source"]): sample.value
        for family in parse_text(text)
        for sample in family.samples
        if sample.name == name
    }


def test_hanging_agents_do_not_delay_healthy_agents(exporter: Exporter) -> None:
    lateness: list[float] = []
    failures: dict[Key, float] = {}
    polls: dict[Key, float] = {}

    def has_enough_polls() -> bool:
        page = exporter.get("/metrics").text
        polls.update(samples(page, "nomad_exporter_polls_total"))
        failures.update(samples(page, "nomad_exporter_poll_failures_total"))
        late = samples(page, "nomad_exporter_poll_lateness_seconds").items()
        lateness.extend(seconds for (agent, _), seconds in late if agent in HEALTHY)
        return min(number for (agent, _), number in polls.items() if agent in HEALTHY) >= POLLS

    eventually(has_enough_polls)

    assert lateness
    assert max(lateness) < 1.0
    # Agents that hang are polled at most half as often: they have a backoff.
    assert max(polls[name, "self"] for name in HANGING) <= POLLS / 2 + 1
    assert not [name for name in HANGING if not failures[name, "self"] or not failures[name, "health"]]
