"""A long fuzz run: recorded answers, altered, must give a page that all can read or a failure with a name.

``python -m tools.fuzz --seconds 120 --seed 1`` tells what it tried; it ends at the first input that breaks the promise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

from nomad_exporter.nomad.sources import Reply, Source
from tests.support.fuzzing import STATUSES, bodies, outcome
from tests.support.mutations import mutated


@dataclass(frozen=True, slots=True)
class Broken:
    """An input that breaks the promise, and how."""

    source: Source
    reply: Reply
    error: Exception

    def __str__(self) -> str:
        how = f"{type(self.error).__name__}: {self.error}"[:500]
        return f"{self.source} under status {self.reply.status}: {how}\n{self.reply.body.hex()}"


def fuzz(seconds: float, seed: int, tally: Counter[str]) -> Broken | None:
    """The first input that breaks the promise, None where there was none; what came of the others is in ``tally``."""
    chance = Random(seed)  # noqa: S311  # Chance that can be repeated is what is wanted.
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source = chance.choice(tuple(Source))
        status = 200 if chance.random() < 0.9 else chance.choice(STATUSES)
        reply = Reply(status, mutated(chance, bodies(source)))
        try:
            reason = outcome(source, reply)
        except Exception as error:  # noqa: BLE001  # Whatever it is, it is what we look for.
            return Broken(source, reply, error)
        tally[f"{source} {reason or 'answer'}"] += 1
    return None


def main() -> int:
    """Runs as long as the arguments say; gives the exit code, 1 where an input broke the promise."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    broken = fuzz(arguments.seconds, arguments.seed, tally)
    answers = sum(number for what, number in tally.items() if what.endswith(" answer"))
    print(f"{tally.total()} inputs tried: {answers} answers, {tally.total() - answers} failures with a name")
    for what, number in sorted(tally.items()):
        print(f"  {what}: {number}")
    print(f"BROKEN by {broken}" if broken else "no input broke the promise")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
