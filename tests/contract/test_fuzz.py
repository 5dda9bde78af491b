"""Any response of an agent results in a valid page or a classified failure. ``tools.fuzz`` runs for longer."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.sources import SELF, SOURCES, Reply, Source
from tests.support.fuzzing import STATUSES, bodies, outcome
from tests.support.mutations import KEYS, TEXTS, VALUES, mutated
from tests.support.profiles import scaled

LEAVES = st.sampled_from(TEXTS) | st.sampled_from(VALUES) | st.text() | st.integers() | st.floats()
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), below, max_size=6),
    max_leaves=20,
)


def mutations(source: Source[Any]) -> st.SearchStrategy[bytes]:
    """Return recorded bodies, mutated as in ``tools.fuzz``."""
    return st.integers(0, 2**32).map(lambda seed: mutated(Random(seed), bodies(source)))  # noqa: S311


def replies(source: Source[Any]) -> st.SearchStrategy[Reply]:
    """Return any bytes, any JSON and mutated bodies, mostly with status 200."""
    body = st.binary() | TREES.map(lambda tree: json.dumps(tree).encode()) | mutations(source) | mutations(source)
    return st.builds(Reply, st.just(200) | st.sampled_from(STATUSES), body)


@pytest.mark.parametrize("source", SOURCES, ids=str)
@settings(
    max_examples=scaled(50), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_any_reply_is_a_valid_page_or_a_failure(source: Source[Any], data: st.DataObject) -> None:
    outcome(source, data.draw(replies(source)))


def test_number_beyond_float_range_does_not_break_the_page() -> None:
    body = b'{"stats": {"nomad": {}}, "config": {"Server": {"BootstrapExpect": 1%b}}}' % (b"0" * 309)

    assert outcome(SELF, Reply(200, body)) is None
