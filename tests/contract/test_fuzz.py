"""Whatever an agent sends: a page that all can read, or a failure with a name. ``tools.fuzz`` asks it for longer."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.sources import Reply, Source
from tests.support.fuzzing import STATUSES, bodies, outcome
from tests.support.mutations import KEYS, TEXTS, VALUES, mutated

LEAVES = st.sampled_from(TEXTS) | st.sampled_from(VALUES) | st.text() | st.integers() | st.floats()
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), below, max_size=6),
    max_leaves=20,
)


def altered(source: Source) -> st.SearchStrategy[bytes]:
    """Recorded answers, altered as ``tools.fuzz`` does it."""
    return st.integers(0, 2**32).map(lambda seed: mutated(Random(seed), bodies(source)))  # noqa: S311


def replies(source: Source) -> st.SearchStrategy[Reply]:
    """Any bytes, any JSON, and what is almost an answer, mostly under status 200."""
    body = st.binary() | TREES.map(lambda tree: json.dumps(tree).encode()) | altered(source) | altered(source)
    return st.builds(Reply, st.just(200) | st.sampled_from(STATUSES), body)


@pytest.mark.parametrize("source", Source)
@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_answer_gives_a_page_that_all_can_read_or_a_failure_with_a_name(
    source: Source, data: st.DataObject
) -> None:
    outcome(source, data.draw(replies(source)))


def test_a_number_beyond_all_numbers_does_not_break_the_page() -> None:
    body = b'{"stats": {"nomad": {}}, "config": {"Server": {"BootstrapExpect": 1%b}}}' % (b"0" * 309)

    assert outcome(Source.SELF, Reply(200, body)) is None
