"""The registration of families: every source has its table."""

from __future__ import annotations

from nomad_exporter.metrics.families import ANSWERS
from nomad_exporter.nomad.sources import SOURCES


def test_every_source_has_families() -> None:
    assert set(ANSWERS) == set(SOURCES)
