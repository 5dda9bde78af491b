"""Words that depend on a number."""

from __future__ import annotations

import pytest

from nomad_sim.text import pluralize


@pytest.mark.parametrize(("number", "result"), [(0, "0 servers"), (1, "1 server"), (2, "2 servers")])
def test_one_alone_is_singular(number: int, result: str) -> None:
    assert pluralize(number, "server") == result
