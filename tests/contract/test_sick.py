"""Thirty agents that hang beside thirty that are well: the well ones are asked on time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.support.agents import RecordedAgent, scripted
from tests.support.exporter import Exporter, running
from tests.support.hostile import silent
from tests.support.waiting import eventually

WELL = [f"well-{number}" for number in range(30)]
HANGING = [f"hanging-{number}" for number in range(30)]
POLL = {"interval": "500ms", "health_interval": "500ms", "timeout": "400ms"}
TURNS = 8
"""How many turns of every well agent are looked at: four seconds of them."""

Series = tuple[str, str]
"""An agent and a source."""


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    with contextlib.ExitStack() as stack:
        addresses = {name: stack.enter_context(RecordedAgent("2.0.5/healthy/s1-follower")).url for name in WELL}
        addresses |= {name: str(stack.enter_context(scripted(silent))) for name in HANGING}
        agents = [{"name": name, "address": address} for name, address in addresses.items()]
        file = tmp_path / "fleet.yml"
        file.write_text(json.dumps({"poll": POLL, "agents": agents}))  # JSON is YAML too.
        yield stack.enter_context(running("--config.file", str(file)))


def of(text: str, family: str) -> dict[Series, float]:
    return {
        (sample.labels["agent"], sample.labels["source"]): sample.value
        for found in read_text(text)
        for sample in found.samples
        if sample.name == family
    }


def test_agents_that_hang_make_no_well_one_late(exporter: Exporter) -> None:
    lateness: list[float] = []
    failures: dict[Series, float] = {}
    polls: dict[Series, float] = {}

    def enough() -> bool:
        page = exporter.get("/metrics").text
        polls.update(of(page, "nomad_exporter_polls_total"))
        failures.update(of(page, "nomad_exporter_poll_failures_total"))
        late = of(page, "nomad_exporter_poll_lateness_seconds").items()
        lateness.extend(seconds for (agent, _), seconds in late if agent in WELL)
        return min(number for (agent, _), number in polls.items() if agent in WELL) >= TURNS

    eventually(enough)

    assert lateness
    assert max(lateness) < 1.0
    # Half of the turns of the well: those that hang are put off, and take threads of their own.
    assert max(polls[name, "self"] for name in HANGING) <= TURNS / 2 + 1
    assert not [name for name in HANGING if not failures[name, "self"] or not failures[name, "health"]]
