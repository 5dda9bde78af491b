"""The fleet of a soak: agents come and go, die, freeze and thaw, and it is known who must be seen."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench.agents import Agents, Mood

SICK_SECONDS = 30.0
"""How long an agent is dead or frozen."""

GRACE = {Mood.WELL: 45.0, Mood.DEAD: 20.0, Mood.FROZEN: 20.0}
"""After how long the page must say so: one that hung is asked every 30 s at the least, and no answer counts for more
than 15 s."""


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
    """A fleet of ``size`` agents out of those that run; ``file`` lists them once ``write`` was called."""

    def __init__(self, agents: Agents, size: int, chance: Random, file: Path) -> None:
        self._agents, self._chance, self._file = agents, chance, file
        self._share = max(1, size // 100)
        self._watched = {number: Watched() for number in range(size)}
        self._spare = list(range(size, len(agents.ports)))

    def step(self) -> None:
        """Some die or freeze, others get well again; some leave the file, as many come, and one gets new labels."""
        for mood in (Mood.DEAD, Mood.FROZEN):
            for number in self._some(Mood.WELL):
                self._tell(number, mood)
        for number, watched in self._watched.items():
            if watched.mood is not Mood.WELL and watched.is_steady(SICK_SECONDS):
                self._tell(number, Mood.WELL)
        self._exchange()
        changed = self._watched[self._chance.choice(list(self._watched))]
        changed.edition += 1
        changed.change(changed.mood)

    def write(self) -> None:
        """Writes the file anew, whole at every moment."""
        agents = [
            {
                "name": name(number),
                "address": f"http://127.0.0.1:{self._agents.ports[number]}",
                "labels": {"edition": e},
            }
            for number, e in ((number, str(watched.edition)) for number, watched in self._watched.items())
        ]
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"agents": agents}, indent=1))  # JSON is YAML too.
        fresh.replace(self._file)

    @property
    def names(self) -> set[str]:
        """All agents that must be on the page."""
        return set(map(name, self._watched))

    def steady(self, *moods: Mood) -> set[str]:
        """Those that have been of one of these moods for so long that the page must say so."""
        of_mood = {number: watched for number, watched in self._watched.items() if watched.mood in moods}
        return {name(number) for number, watched in of_mood.items() if watched.is_steady(GRACE[watched.mood])}

    def count(self, mood: Mood) -> int:
        return sum(watched.mood is mood for watched in self._watched.values())

    def _some(self, mood: Mood) -> list[int]:
        of_mood = [number for number, watched in self._watched.items() if watched.mood is mood]
        return self._chance.sample(of_mood, min(self._share, len(of_mood)))

    def _tell(self, number: int, mood: Mood) -> None:
        self._agents.tell(number, mood)
        self._watched[number].change(mood)

    def _exchange(self) -> None:
        """Some leave, whatever their mood; others, or the same ones again, come in their place."""
        for number in self._chance.sample(list(self._watched), self._share):
            del self._watched[number]
            self._agents.tell(number, Mood.WELL)
            self._spare.append(number)
        for _ in range(self._share):
            number = self._spare.pop(self._chance.randrange(len(self._spare)))
            self._watched[number] = Watched()


def name(number: int) -> str:
    """The name of the agent ``number``."""
    return f"a{number}"
