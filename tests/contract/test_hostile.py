"""All hostile agents beside twenty healthy agents: each has its failure reason and affects no other agent."""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from nomad_exporter.workers import SPARE_THREADS
from tests.support.agents import RecordedAgent
from tests.support.exporter import Exporter, running
from tests.support.hostile import HOSTILE, USABLE, hostile_agents
from tests.support.waiting import eventually

pytestmark = pytest.mark.alone

HEALTHY = {f"healthy {number}": "2.0.5/healthy/s1-follower" for number in range(20)}
POLL = {"interval": "2s", "health_interval": "2s", "timeout": "1500ms"}

MAX_SECONDS = 1.0
"""Maximum seconds of a scrape."""

MAX_AGE = 8.0
"""Maximum seconds since the last successful poll of a healthy agent: four intervals."""

POLLS = 1000
"""Number of polls between two measurements of the exporter's resources."""

MAX_GROWTH = 1.5
"""Maximum ratio of the memory: a leak of a thousand responses of megabytes would be far larger."""

MAX_SERIES = 3500
"""Maximum series of one agent: those of ``MEMBERS_LIMIT`` members and ``REGIONS_LIMIT`` regions, and all others."""

MAX_MEBIBYTES = 300
"""Maximum memory of the process at any time, although many agents send as many bytes as they can at the same moment."""

MAX_NEW_DESCRIPTORS = 30
"""More polls at the same moment need more descriptors; a leak of one for each poll would be ``POLLS``."""

MAX_THREADS = 3 * (len(HOSTILE) + len(HEALTHY)) + SPARE_THREADS + 10
"""One for each poll job that can hang, spare ones, and those of the exporter itself."""

Samples = Mapping[str, Mapping[str, float]]
"""The values of a page by sample name and agent; the maximum if an agent has several."""

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@dataclass(frozen=True)
class Page:
    """A scraped page: its text, how long the scrape took, and when it ended."""

    text: str
    seconds: float
    ended: float


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """Yield an exporter that has polled every agent at least twice, and logs the warnings of libraries."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.yml"
    with contextlib.ExitStack() as stack:
        addresses = {name: str(address) for name, address in stack.enter_context(hostile_agents()).items()}
        addresses |= {name: stack.enter_context(RecordedAgent(situation)).url for name, situation in HEALTHY.items()}
        agents = [{"name": name, "address": address} for name, address in addresses.items()]
        file.write_text(json.dumps({"poll": POLL, "agents": agents}))  # YAML includes JSON.
        started = stack.enter_context(running("--config.file", str(file), env={"PYTHONWARNINGS": "always"}))
        eventually(lambda: has_polled_twice(started))
        yield started


@pytest.fixture(scope="module")
def page(exporter: Exporter) -> Page:
    return scrape(exporter)


@pytest.fixture(scope="module")
def samples(page: Page) -> Samples:
    return parse(page.text)


def scrape(exporter: Exporter, **headers: str) -> Page:
    began = time.monotonic()
    response = exporter.get("/metrics", headers=headers)
    assert response.status_code == 200
    return Page(response.text, time.monotonic() - began, time.time())


def parse(text: str) -> Samples:
    found: dict[str, dict[str, float]] = {}
    for family in parse_text(text):
        for sample in family.samples:
            values = found.setdefault(sample.name, {})
            agent = sample.labels.get("agent", "")
            values[agent] = max(sample.value, values.get(agent, sample.value))
    return found


def least_polls(text: str) -> Mapping[str, float]:
    """Return the number of polls of the least polled source of each agent, except members."""
    least: dict[str, float] = {}
    for family in parse_text(text):
        for sample in family.samples:
            if sample.name == "nomad_exporter_polls_total" and sample.labels["source"] != "members":
                agent = sample.labels["agent"]
                least[agent] = min(sample.value, least.get(agent, sample.value))
    return least


def has_polled_twice(exporter: Exporter) -> bool:
    least = least_polls(exporter.get("/metrics").text)
    return least.keys() == HOSTILE.keys() | HEALTHY.keys() and min(least.values()) >= 2


@pytest.fixture(scope="module")
def reasons(page: Page) -> Mapping[tuple[str, str], list[str]]:
    """Return the reasons of currently failing polls, by agent and source."""
    found: dict[tuple[str, str], list[str]] = {}
    for family in parse_text(page.text):
        for sample in family.samples:
            if sample.name == "nomad_exporter_poll_failing":
                key = sample.labels["agent"], sample.labels["source"]
                found.setdefault(key, []).append(sample.labels["reason"])
    return found


# The page.


def test_scrape_is_fast(exporter: Exporter) -> None:
    # The fastest of some scrapes: a busy machine delays any of them, but work that grows with the lists delays all.
    assert min(scrape(exporter).seconds for _ in range(5)) < MAX_SECONDS


def test_text_page_can_be_parsed(page: Page) -> None:
    names = [family.name for family in parse_text(page.text)]

    assert len(set(names)) == len(names)


def test_openmetrics_page_can_be_parsed(exporter: Exporter) -> None:
    families = list(parse_openmetrics(scrape(exporter, accept=OPENMETRICS).text))  # type: ignore[no-untyped-call]  # not typed

    assert {"nomad_agent_up", "nomad_exporter_poll_failing"} <= {family.name for family in families}


def test_page_has_no_duplicate_series(page: Page) -> None:
    series = [
        (sample.name, *sorted(sample.labels.items())) for family in parse_text(page.text) for sample in family.samples
    ]

    assert len(set(series)) == len(series)


def test_series_of_each_agent_are_limited(page: Page) -> None:
    series = Counter(
        sample.labels["agent"]
        for family in parse_text(page.text)
        for sample in family.samples
        if "agent" in sample.labels
    )

    assert max(series.values()) < MAX_SERIES


def test_what_is_left_out_is_counted(exporter: Exporter) -> None:
    omitted = re.findall(
        r'^nomad_exporter_poll_omitted_values\{agent="(.+?)",.*kind="(.+?)"\} (\d+)$',
        scrape(exporter).text,
        re.MULTILINE,
    )

    assert ("has 2,000 members", "members", "1500") in omitted
    assert ("has new members at each poll", "regions", "400") in omitted
    assert ("sends 10,000 unknown keys", "unknown_stats", "9950") in omitted
    assert {agent for agent, _, _ in omitted}.isdisjoint(HEALTHY)


def test_every_value_is_finite(page: Page) -> None:
    # Prometheus rejects the entire page for one value that it cannot parse.
    values = [(sample.name, sample.value) for family in parse_text(page.text) for sample in family.samples]

    assert not [name for name, value in values if not math.isfinite(value)]


# Hostile agents.


def test_length_of_label_values_is_limited(page: Page) -> None:
    assert max(map(len, re.findall(r'="((?:[^"\\]|\\.)*)"', page.text))) <= 650


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_agent_has_its_failure_reason(reasons: Mapping[tuple[str, str], list[str]], name: str) -> None:
    hostile = HOSTILE[name]

    assert reasons.get((name, hostile.source), [USABLE]) == [hostile.reason]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_agent_is_up_only_if_self_can_be_decoded(samples: Samples, exporter: Exporter, name: str) -> None:
    hostile = HOSTILE[name]

    if hostile.reason == USABLE or hostile.source != "self":
        # A poll can time out while this process writes a huge response for another agent.
        eventually(lambda: parse(exporter.get(f"/metrics?agent={name}").text)["nomad_agent_up"][name] == 1)
    else:
        assert samples["nomad_agent_up"][name] == 0


# Healthy agents.


def test_every_healthy_agent_is_up(samples: Samples) -> None:
    assert {name: samples["nomad_agent_up"][name] for name in HEALTHY} == dict.fromkeys(HEALTHY, 1)


def test_no_poll_of_a_healthy_agent_fails(samples: Samples) -> None:
    assert {name: samples["nomad_exporter_poll_failures_total"][name] for name in HEALTHY} == dict.fromkeys(HEALTHY, 0)


def test_values_of_healthy_agents_are_fresh(page: Page, samples: Samples) -> None:
    terms = {samples["nomad_agent_raft_term"].get(name) for name in HEALTHY}
    oldest = min(samples["nomad_exporter_poll_last_success_timestamp_seconds"][name] for name in HEALTHY)

    assert len(terms) == 1
    assert None not in terms
    assert page.ended - oldest < MAX_AGE


# The exporter itself.


def test_threads_descriptors_and_memory_do_not_grow(exporter: Exporter) -> None:
    before = minimal_usage(exporter)
    polls = total_polls(exporter)
    eventually(lambda: total_polls(exporter) > polls + POLLS)
    after = minimal_usage(exporter)

    assert after["task"] <= MAX_THREADS
    assert after["fd"] <= before["fd"] + MAX_NEW_DESCRIPTORS
    assert after["rss"] <= before["rss"] * MAX_GROWTH


def test_peak_of_memory_is_limited(exporter: Exporter) -> None:
    status = Path("/proc", str(exporter.process.pid), "status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)

    assert peak
    assert int(peak[1]) / 1024 < MAX_MEBIBYTES


def total_polls(exporter: Exporter) -> float:
    lines = scrape(exporter).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("nomad_exporter_polls_total{"))


def minimal_usage(exporter: Exporter) -> dict[str, int]:
    """Return the minimum numbers of threads, descriptors and memory pages during a hundred polls."""
    process = Path("/proc", str(exporter.process.pid))
    end = total_polls(exporter) + 100
    usages: list[dict[str, int]] = []

    def is_done() -> bool:
        usage = {kind: len(list((process / kind).iterdir())) for kind in ("task", "fd")}
        usages.append({**usage, "rss": int((process / "statm").read_text().split()[1])})
        return total_polls(exporter) > end

    eventually(is_done)
    return {kind: min(usage[kind] for usage in usages) for kind in ("task", "fd", "rss")}


def test_log_has_only_own_lines_and_no_internal_error(exporter: Exporter) -> None:
    level = r'level=(info|warn|error(?= msg="(agent not live|no leader|quorum lost|clusters conflict)"))'
    own_line = re.compile(rf'time=\S+Z {level} msg=("[^"]+"|\w+)( \w+=("([^"\\]|\\.)*"|[^\s"]+))*')

    assert not [line for line in exporter.log if not own_line.fullmatch(line)]


def test_every_failing_agent_is_in_the_log(exporter: Exporter) -> None:
    failing = {name for name, hostile in HOSTILE.items() if hostile.reason != USABLE}
    failed = [line for line in exporter.log if 'msg="poll failed"' in line]
    named = {name for name in failing for line in failed if line.endswith((f'agent="{name}"', f"agent={name}"))}
    counted = sum(int(number) for line in failed for number in re.findall(r" agents=(\d+) ", line))

    assert len(named) + counted >= len(failing)
