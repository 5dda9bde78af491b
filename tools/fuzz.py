"""Fuzz the decoders: mutated recordings must result in a valid page or in a failure with a reason.

``python -m tools.fuzz --seconds 120 --seed 1`` prints a summary. It ends at the first input that breaks the promise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from nomad_exporter.nomad.sources import SOURCES, Reply, Source
from tests.support.fuzzing import STATUSES, bodies, outcome
from tests.support.mutations import mutated


@dataclass(frozen=True, slots=True)
class Violation:
    """An input that breaks the promise, and the error that it caused."""

    source: Source[Any]
    reply: Reply
    error: Exception

    def __str__(self) -> str:
        error = f"{type(self.error).__name__}: {self.error}"[:500]
        return f"{self.source}, status {self.reply.status}: {error}\n{self.reply.body.hex()}"


def fuzz(seconds: float, seed: int, tally: Counter[str]) -> Violation | None:
    """Return the first input that breaks the promise, or None; count the outcomes of all others in ``tally``."""
    rng = Random(seed)  # noqa: S311  # reproducible, not secret
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source = rng.choice(SOURCES)
        status = 200 if rng.random() < 0.9 else rng.choice(STATUSES)
        reply = Reply(status, mutated(rng, bodies(source)))
        try:
            reason = outcome(source, reply)
        except Exception as error:  # noqa: BLE001  # any exception is what the run looks for
            return Violation(source, reply, error)
        tally[f"{source} {reason or 'answer'}"] += 1
    return None


def main() -> int:
    """Run for the time in the arguments; return the exit code, 1 if an input broke the promise."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    violation = fuzz(arguments.seconds, arguments.seed, tally)
    answers = sum(number for outcome_name, number in tally.items() if outcome_name.endswith(" answer"))
    print(f"{tally.total()} inputs: {answers} answers, {tally.total() - answers} failures")
    for outcome_name, number in sorted(tally.items()):
        print(f"  {outcome_name}: {number}")
    print(f"PROMISE BROKEN by {violation}" if violation else "no input broke the promise")
    return 1 if violation else 0


if __name__ == "__main__":
    sys.exit(main())
