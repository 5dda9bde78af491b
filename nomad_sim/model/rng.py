"""Reproducible random values from a seeded generator."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from nomad_sim.model.timing import Range

Draw = Callable[[Range], float]
"""Draws a random number of seconds from a range."""


def draw_from(rng: random.Random) -> Draw:
    """Return a function that draws uniformly from a range."""
    return lambda bounds: rng.uniform(*bounds)


def random_uuid(rng: random.Random) -> str:
    """Return a random UUID (version 4)."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
