"""Tests of the seeded random values."""

from __future__ import annotations

import uuid
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.rng import draw_from, random_uuid


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # randomness of a model, not a secret


@given(st.integers(), st.floats(0, 100), st.floats(0, 100))
def test_draw_is_within_the_range(seed: int, start: float, width: float) -> None:
    assert start <= draw_from(seeded(seed))((start, start + width)) <= start + width


def test_random_uuid_has_version_4() -> None:
    assert uuid.UUID(random_uuid(seeded(1))).version == 4


def test_same_seed_repeats_values_and_other_seed_differs() -> None:
    drawn = [(random_uuid(rng), draw_from(rng)((0, 1))) for rng in map(seeded, (1, 1, 2))]

    assert drawn[0] == drawn[1] != drawn[2]
