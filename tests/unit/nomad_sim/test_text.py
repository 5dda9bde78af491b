"""Words that depend on a number."""

from __future__ import annotations

import pytest

from nomad_exporter.demo.words import counted


@pytest.mark.parametrize(("number", "told"), [(0, "0 servers"), (1, "1 server"), (2, "2 servers")])
def test_one_alone_is_singular(number: int, told: str) -> None:
    assert counted(number, "server") == told
