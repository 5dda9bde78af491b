"""Chance, from a seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from nomad_sim.model.timing import Range

Draw = Callable[[Range], float]
"""Gives a number by chance, from a range."""


def draw_from(rng: random.Random) -> Draw:
    return lambda between: rng.uniform(*between)


def random_uuid(rng: random.Random) -> str:
    """A UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
