"""Chance, from a seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from nomad_exporter.demo.model.timing import Range

Draw = Callable[[Range], float]
"""Gives a number by chance, from a range."""


def draw_from(chance: random.Random) -> Draw:
    return lambda between: chance.uniform(*between)


def some_id(chance: random.Random) -> str:
    """A UUID."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
