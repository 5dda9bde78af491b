"""Scrapes of an exporter: its metrics, every verdict by path, and its metrics again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from urllib3 import HTTPConnectionPool

QUESTIONS = {"live": "nomad_agent_live", "ready": "nomad_agent_ready", "quorum": "nomad_agent_safe_to_stop"}
"""The metric of each question; the question is the last part of its path."""

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Page:
    """The samples of a scrape by metric name: the labels and the value of each."""

    samples: Mapping[str, list[tuple[Mapping[str, str], float]]]

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of all samples that have at least these labels."""
        return [value for found, value in self.samples.get(name, ()) if labels.items() <= found.items()]

    @property
    def agents(self) -> list[str]:
        """The names of the monitored agents."""
        return [labels["agent"] for labels, _ in self.samples.get("nomad_exporter_agent_info", ())]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the only sample with these labels, or None without one."""
        found = self.values(name, **labels)
        assert len(found) <= 1, f"{name}{labels} has {len(found)} samples"
        return found[0] if found else None


@dataclass(frozen=True)
class Verdict:
    """The response to a question about an agent."""

    status: int
    reason: str


@dataclass(frozen=True)
class Scrape:
    """The verdicts of all agents, requested between two scrapes of the metrics, one of which shows the same state.

    ``began`` and ``ended`` are Unix times.
    """

    before: Page
    verdicts: Mapping[tuple[str, str], Verdict]
    after: Page
    began: float
    ended: float

    @property
    def pages(self) -> tuple[Page, Page]:
        return self.before, self.after

    @property
    def seconds(self) -> float:
        """The duration of the scrape."""
        return self.ended - self.began

    @property
    def agents(self) -> list[str]:
        """The agents that were monitored at both scrapes."""
        return [agent for agent, question in self.verdicts if question == "live"]


def page(pool: HTTPConnectionPool) -> Page:
    """Scrape the metrics."""
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for line in pool.request("GET", "/metrics").data.decode().splitlines():
        if line.startswith("nomad_"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            samples.setdefault(name, []).append((dict(_LABEL.findall(labels)), float(value)))
    return Page(samples)


def scrape(pool: HTTPConnectionPool) -> Scrape:
    """Scrape the metrics and request every verdict about the agents that are monitored before and after."""
    began = time.time()
    before = page(pool)
    keys = [(agent, question) for agent in before.agents for question in QUESTIONS]
    verdicts = {key: _verdict(pool, *key) for key in keys}
    after = page(pool)
    ended = time.time()
    monitored = {key: verdict for key, verdict in verdicts.items() if key[0] in after.agents}
    return Scrape(before, monitored, after, began, ended)


def _verdict(pool: HTTPConnectionPool, agent: str, question: str) -> Verdict:
    response = pool.request("GET", f"/health/{question}?agent={agent}")
    return Verdict(response.status, json.loads(response.data).get("reason", "") if response.status != 404 else "")
