"""The fleet of a soak: agents of a simulated cluster come and go, and it is known which of them must be seen."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

from tests.support.demo import Demo

MAX_BACKOFF_SECONDS = 30.0
"""How long an agent is dead or frozen."""


class Mood(Enum):
    """How an agent is: the deed that makes it so, its cure, and the seconds after which the page must say so.

    One that hung is asked every 30 s at the least, and no answer counts for more than 15 s.
    """

    WELL = ("", "", 45.0)
    FROZEN = ("pause", "resume", 20.0)
    DEAD = ("kill", "start", 20.0)

    def __init__(self, deed: str, cure: str, grace: float) -> None:
        self.deed, self.cure, self.grace = deed, cure, grace


@dataclass
class Watched:
    """An agent that the file lists, how it is, and since when."""

    mood: Mood = Mood.WELL
    edition: int = 0
    since: float = field(default_factory=time.monotonic)

    def change(self, mood: Mood) -> None:
        self.mood, self.since = mood, time.monotonic()

    def is_steady(self, seconds: float) -> bool:
        return time.monotonic() - self.since > seconds


class Churn:
    """A fleet of ``size`` agents out of those of the demo; ``file`` lists them once ``write`` was called."""

    def __init__(self, demo: Demo, size: int, chance: Random, file: Path) -> None:
        self.demo, self._chance, self._file = demo, chance, file
        self._addresses = {name: words[-1] for name, words in demo.agents().items()}
        self._share = max(1, size // 100)
        self._spare = chance.sample(list(self._addresses), len(self._addresses))
        self._watched = {self._spare.pop(): Watched() for _ in range(size)}

    def step(self) -> None:
        """Some die or freeze, others get well again; some leave the file, as many come, and one gets new labels."""
        for mood in (Mood.DEAD, Mood.FROZEN):
            for name in self._some_well():
                self._do(name, mood.deed)
                self._watched[name].change(mood)
        for name, watched in self._watched.items():
            if watched.mood is not Mood.WELL and watched.is_steady(MAX_BACKOFF_SECONDS):
                self._do(name, watched.mood.cure)
                watched.change(Mood.WELL)
        self._exchange()
        changed = self._watched[self._chance.choice(list(self._watched))]
        changed.edition += 1
        changed.change(changed.mood)

    def write(self) -> None:
        """Writes the file anew, whole at every moment."""
        agents = [
            {"name": name, "address": self._addresses[name], "labels": {"edition": str(watched.edition)}}
            for name, watched in self._watched.items()
        ]
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"agents": agents}, indent=1))  # JSON is YAML too.
        fresh.replace(self._file)

    @property
    def names(self) -> set[str]:
        """All agents that must be on the page."""
        return set(self._watched)

    def steady(self, *moods: Mood) -> set[str]:
        """Those that have been of one of these moods for so long that the page must say so."""
        return {
            name
            for name, watched in self._watched.items()
            if watched.mood in moods and watched.is_steady(watched.mood.grace)
        }

    def count(self, mood: Mood) -> int:
        return sum(watched.mood is mood for watched in self._watched.values())

    def _some_well(self) -> list[str]:
        well = [name for name, watched in self._watched.items() if watched.mood is Mood.WELL]
        return self._chance.sample(well, min(self._share, len(well)))

    def _exchange(self) -> None:
        """Some leave, and are well from then on; others, or the same ones again, come in their place."""
        for name in self._chance.sample(list(self._watched), self._share):
            if cure := self._watched.pop(name).mood.cure:
                self._do(name, cure)
            self._spare.append(name)
        for _ in range(self._share):
            self._watched[self._spare.pop(self._chance.randrange(len(self._spare)))] = Watched()

    def _do(self, name: str, deed: str) -> None:
        self.demo.do(name, deed).raise_for_status()
