"""Chance: one seed, one course of things."""

from __future__ import annotations

import uuid
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.rng import draw_from, random_uuid


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # chance in a model, not a secret


@given(st.integers(), st.floats(0, 100), st.floats(0, 100))
def test_a_number_is_drawn_from_the_range(seed: int, start: float, width: float) -> None:
    assert start <= draw_from(seeded(seed))((start, start + width)) <= start + width


def test_an_id_is_a_uuid_of_the_random_kind() -> None:
    assert uuid.UUID(random_uuid(seeded(1))).version == 4


def test_a_seed_gives_the_same_again_and_another_something_else() -> None:
    drawn = [(random_uuid(chance), draw_from(chance)((0, 1))) for chance in map(seeded, (1, 1, 2))]

    assert drawn[0] == drawn[1] != drawn[2]
