"""All hostile agents at once beside twenty that are well: each is named for what it is, and touches no other."""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter.polling.schedule import SLOW_WORKERS
from tests.support.agents import RecordedAgent
from tests.support.exporter import Exporter, running
from tests.support.hostile import HOSTILE, USABLE, hostile_agents
from tests.support.waiting import eventually

WELL = {f"well {number}": "2.0.5/healthy/s1-follower" for number in range(20)}
POLL = {"interval": "1s", "health_interval": "1s", "timeout": "800ms"}

AT_ONCE = 1.0
"""The most seconds that a page may take."""

FRESH = 4.0
"""The most seconds since a well agent answered: four of its intervals."""

POLLS = 1000
"""Between two looks at what the exporter holds."""

GROWTH = 1.5
"""Of the memory: what is held for good by a thousand answers of megabytes would be far more."""

FEW = 30
"""Descriptors that come with more polls at the same moment; one for each poll would be ``POLLS``."""

THREADS = 2 * (len(HOSTILE) + len(WELL)) + SLOW_WORKERS + 10
"""One for each turn that can hang at once, those for the sick, and those of the exporter itself."""

Samples = Mapping[str, Mapping[str, float]]
"""The samples of a page by the name of the family and the agent, the greatest where an agent has several."""

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@dataclass(frozen=True)
class Page:
    """One page: its text, how long it took and when it came."""

    text: str
    seconds: float
    at: float


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter that has asked every agent at least twice; whatever a library warns of would stand in its log."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.yml"
    with contextlib.ExitStack() as stack:
        addresses = {name: str(address) for name, address in stack.enter_context(hostile_agents()).items()}
        addresses |= {name: stack.enter_context(RecordedAgent(played)).url for name, played in WELL.items()}
        agents = [{"name": name, "address": address} for name, address in addresses.items()]
        file.write_text(json.dumps({"poll": POLL, "agents": agents}))  # JSON is YAML too.
        started = stack.enter_context(running("--config.file", str(file), env={"PYTHONWARNINGS": "always"}))
        eventually(lambda: asked_twice(started))
        yield started


@pytest.fixture(scope="module")
def page(exporter: Exporter) -> Page:
    return fetched(exporter)


@pytest.fixture(scope="module")
def samples(page: Page) -> Samples:
    return read(page.text)


def fetched(exporter: Exporter, **headers: str) -> Page:
    began = time.monotonic()
    answer = exporter.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return Page(answer.text, time.monotonic() - began, time.time())


def read(text: str) -> Samples:
    found: dict[str, dict[str, float]] = {}
    for family in read_text(text):
        for sample in family.samples:
            of_agents = found.setdefault(sample.name, {})
            agent = sample.labels.get("agent", "")
            of_agents[agent] = max(sample.value, of_agents.get(agent, sample.value))
    return found


def least_polls(text: str) -> Mapping[str, float]:
    """How often each agent was asked for the source that was asked least often."""
    least: dict[str, float] = {}
    for family in read_text(text):
        for sample in family.samples:
            if sample.name == "nomad_exporter_polls_total" and sample.labels["source"] != "members":
                agent = sample.labels["agent"]
                least[agent] = min(sample.value, least.get(agent, sample.value))
    return least


def asked_twice(exporter: Exporter) -> bool:
    least = least_polls(exporter.get("/metrics").text)
    return least.keys() == HOSTILE.keys() | WELL.keys() and min(least.values()) >= 2


@pytest.fixture(scope="module")
def reasons(page: Page) -> Mapping[tuple[str, str], list[str]]:
    """Why the newest attempt failed, by agent and source; nothing where it did not."""
    found: dict[tuple[str, str], list[str]] = {}
    for family in read_text(page.text):
        for sample in family.samples:
            if sample.name == "nomad_exporter_poll_failing":
                told = found.setdefault((sample.labels["agent"], sample.labels["source"]), [])
                told.append(sample.labels["reason"])
    return found


# The page.


def test_the_page_answers_at_once(page: Page) -> None:
    assert page.seconds < AT_ONCE


def test_the_page_is_read_by_the_reader_of_the_text_format(page: Page) -> None:
    names = [family.name for family in read_text(page.text)]

    assert len(set(names)) == len(names)


def test_the_page_is_read_by_the_reader_of_openmetrics(exporter: Exporter) -> None:
    families = list(read_openmetrics(fetched(exporter, accept=OPENMETRICS).text))  # type: ignore[no-untyped-call]  # it has none

    assert {"nomad_agent_up", "nomad_exporter_poll_failing"} <= {family.name for family in families}


def test_no_series_stands_on_the_page_twice(page: Page) -> None:
    series = [
        (sample.name, *sorted(sample.labels.items())) for family in read_text(page.text) for sample in family.samples
    ]

    assert len(set(series)) == len(series)


def test_every_value_on_the_page_is_a_finite_number(page: Page) -> None:
    """Prometheus refuses a whole page for one number that it cannot hold."""
    values = [(sample.name, sample.value) for family in read_text(page.text) for sample in family.samples]

    assert not [name for name, value in values if not math.isfinite(value)]


# The hostile.


def test_no_label_is_longer_than_any_name(page: Page) -> None:
    assert max(map(len, re.findall(r'="((?:[^"\\]|\\.)*)"', page.text))) <= 1200


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_agent_is_named_for_what_it_is(reasons: Mapping[tuple[str, str], list[str]], name: str) -> None:
    row = HOSTILE[name]

    assert reasons.get((name, row.source), [USABLE]) == [row.reason]


@pytest.mark.parametrize("name", HOSTILE)
def test_only_one_whose_answer_is_usable_is_up(samples: Samples, name: str) -> None:
    row = HOSTILE[name]

    assert samples["nomad_agent_up"][name] == (row.reason == USABLE or row.source != "self")


# The well.


def test_every_well_agent_is_up(samples: Samples) -> None:
    assert {name: samples["nomad_agent_up"][name] for name in WELL} == dict.fromkeys(WELL, 1)


def test_no_attempt_at_a_well_agent_fails(samples: Samples) -> None:
    assert {name: samples["nomad_exporter_poll_failures_total"][name] for name in WELL} == dict.fromkeys(WELL, 0)


def test_the_values_of_the_well_agents_are_there_and_fresh(page: Page, samples: Samples) -> None:
    terms = {samples["nomad_agent_raft_term"].get(name) for name in WELL}
    oldest = min(samples["nomad_exporter_poll_last_success_timestamp_seconds"][name] for name in WELL)

    assert len(terms) == 1
    assert None not in terms
    assert page.at - oldest < FRESH


# The exporter itself.


def test_what_it_holds_does_not_grow_with_its_polls(exporter: Exporter) -> None:
    before = least_held(exporter)
    polls = all_polls(exporter)
    eventually(lambda: all_polls(exporter) > polls + POLLS)
    after = least_held(exporter)

    assert after["task"] <= THREADS
    assert after["fd"] <= before["fd"] + FEW
    assert after["rss"] <= before["rss"] * GROWTH


def all_polls(exporter: Exporter) -> float:
    lines = fetched(exporter).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("nomad_exporter_polls_total{"))


def least_held(exporter: Exporter) -> dict[str, int]:
    """The fewest threads and descriptors, and the least memory, while a hundred polls come and go."""
    process = Path("/proc", str(exporter.process.pid))
    end = all_polls(exporter) + 100
    found: list[dict[str, int]] = []

    def over() -> Any:
        held = {kind: len(list((process / kind).iterdir())) for kind in ("task", "fd")}
        found.append({**held, "rss": int((process / "statm").read_text().split()[1])})
        return all_polls(exporter) > end

    eventually(over)
    return {kind: min(held[kind] for held in found) for kind in ("task", "fd", "rss")}


def test_the_log_has_only_lines_of_ours_and_no_error(exporter: Exporter) -> None:
    ours = re.compile(r'time=\S+Z level=(info|warn) msg=("[^"]+"|\w+)( \w+=("([^"\\]|\\.)*"|[^\s"]+))*')

    assert not [line for line in exporter.log if not ours.fullmatch(line)]


def test_every_failing_agent_is_told_in_the_log(exporter: Exporter) -> None:
    failing = [name for name, row in HOSTILE.items() if row.reason != USABLE]

    assert not [
        name
        for name in failing
        if not any(line.endswith((f'agent="{name}"', f"agent={name}")) for line in exporter.log)
    ]
