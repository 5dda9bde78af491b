"""Looks at an exporter from outside: its page, every verdict's path, and the page again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from urllib3 import HTTPConnectionPool

QUESTIONS = {"live": "nomad_agent_live", "ready": "nomad_agent_ready", "quorum": "nomad_agent_safe_to_stop"}
"""Each question, which is the last part of its path, and the metric that is to say the same."""

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Page:
    """The samples of a page, by name: the labels and the value of each."""

    samples: Mapping[str, list[tuple[Mapping[str, str], float]]]

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of all samples that have these labels, beside others."""
        return [value for found, value in self.samples.get(name, ()) if labels.items() <= found.items()]

    @property
    def agents(self) -> list[str]:
        """The names of the agents that the exporter watches."""
        return [labels["agent"] for labels, _ in self.samples.get("nomad_exporter_agent_info", ())]

    def value(self, name: str, **labels: str) -> float | None:
        """The only one of them; None where there is none."""
        found = self.values(name, **labels)
        assert len(found) <= 1, f"{name}{labels} is there {len(found)} times"
        return found[0] if found else None


@dataclass(frozen=True)
class Verdict:
    """What the path of a question says of an agent."""

    status: int
    reason: str


@dataclass(frozen=True)
class Scrape:
    """The paths stand between the two pages in time, so that one of these says the same.

    ``began`` and ``ended`` are in Unix time.
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
        """How long it took."""
        return self.ended - self.began

    @property
    def agents(self) -> list[str]:
        """The agents that were watched all the time."""
        return [agent for agent, question in self.verdicts if question == "live"]


def page(pool: HTTPConnectionPool) -> Page:
    """The page as it is now."""
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for line in pool.request("GET", "/metrics").data.decode().splitlines():
        if line.startswith("nomad_"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            samples.setdefault(name, []).append((dict(_LABEL.findall(labels)), float(value)))
    return Page(samples)


def scrape(pool: HTTPConnectionPool) -> Scrape:
    """At every agent that is watched before and after."""
    began = time.time()
    before = page(pool)
    keys = [(agent, question) for agent in before.agents for question in QUESTIONS]
    verdicts = {key: _verdict(pool, *key) for key in keys}
    after = page(pool)
    ended = time.time()
    return Scrape(before, {key: told for key, told in verdicts.items() if key[0] in after.agents}, after, began, ended)


def _verdict(pool: HTTPConnectionPool, agent: str, question: str) -> Verdict:
    told = pool.request("GET", f"/health/{question}?agent={agent}")
    return Verdict(told.status, json.loads(told.data).get("reason", "") if told.status != 404 else "")
