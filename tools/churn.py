"""The fleet of a soak: agents that join, leave, die and hang, and what the exporter must show of each."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

from tests.support.demo import Demo

FAULT_SECONDS = 30.0
"""How long a fault lasts."""


class Condition(Enum):
    """The condition of an agent: its fault, the repair, and the seconds after which the exporter must show it.

    A hanging agent is polled at least every 30 s, and no answer counts for more than 15 s.
    """

    HEALTHY = ("", "", 45.0)
    PAUSED = ("pause", "resume", 20.0)
    DEAD = ("kill", "start", 20.0)

    def __init__(self, fault: str, repair: str, grace: float) -> None:
        self.fault, self.repair, self.grace = fault, repair, grace


@dataclass
class Monitored:
    """An agent in the file, with its condition since ``since``."""

    condition: Condition = Condition.HEALTHY
    edition: int = 0
    since: float = field(default_factory=time.monotonic)

    def change(self, condition: Condition) -> None:
        """Set the condition and restart its clock."""
        self.condition, self.since = condition, time.monotonic()

    def is_unchanged_for(self, seconds: float) -> bool:
        """Return whether the last change is at least this long ago."""
        return time.monotonic() - self.since > seconds


class Churn:
    """A fleet of ``size`` agents out of the demo's; ``file`` lists them after ``write``."""

    def __init__(self, demo: Demo, size: int, rng: Random, file: Path) -> None:
        self.demo, self._rng, self._file = demo, rng, file
        self._addresses = {name: columns[-1] for name, columns in demo.agents().items()}
        self._share = max(1, size // 100)
        self._spare = rng.sample(list(self._addresses), len(self._addresses))
        self._monitored = {self._spare.pop(): Monitored() for _ in range(size)}

    def step(self) -> None:
        """Kill and pause some agents, repair others, exchange some, and change the labels of one."""
        for condition in (Condition.DEAD, Condition.PAUSED):
            for name in self._some_healthy():
                self._inject(name, condition.fault)
                self._monitored[name].change(condition)
        for name, agent in self._monitored.items():
            if agent.condition is not Condition.HEALTHY and agent.is_unchanged_for(FAULT_SECONDS):
                self._inject(name, agent.condition.repair)
                agent.change(Condition.HEALTHY)
        self._exchange()
        changed = self._monitored[self._rng.choice(list(self._monitored))]
        changed.edition += 1
        changed.change(changed.condition)

    def write(self) -> None:
        """Replace the file atomically."""
        agents = [
            {"name": name, "address": self._addresses[name], "labels": {"edition": str(agent.edition)}}
            for name, agent in self._monitored.items()
        ]
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"agents": agents}, indent=1))  # JSON is YAML, too.
        new.replace(self._file)

    @property
    def names(self) -> set[str]:
        """All agents that must be on the page."""
        return set(self._monitored)

    def settled(self, *conditions: Condition) -> set[str]:
        """Return the agents that have been in one of ``conditions`` for long enough that the page must show it."""
        return {
            name
            for name, agent in self._monitored.items()
            if agent.condition in conditions and agent.is_unchanged_for(agent.condition.grace)
        }

    def count(self, condition: Condition) -> int:
        """Return the number of agents in a condition."""
        return sum(agent.condition is condition for agent in self._monitored.values())

    def _some_healthy(self) -> list[str]:
        healthy = [name for name, agent in self._monitored.items() if agent.condition is Condition.HEALTHY]
        return self._rng.sample(healthy, min(self._share, len(healthy)))

    def _exchange(self) -> None:
        """Remove and repair some agents, and add as many others, or the same ones again."""
        for name in self._rng.sample(list(self._monitored), self._share):
            if repair := self._monitored.pop(name).condition.repair:
                self._inject(name, repair)
            self._spare.append(name)
        for _ in range(self._share):
            self._monitored[self._spare.pop(self._rng.randrange(len(self._spare)))] = Monitored()

    def _inject(self, name: str, fault: str) -> None:
        self.demo.do(name, fault).raise_for_status()
