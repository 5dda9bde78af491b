"""What a table of the catalogue shows of something, as lines of a page without the label ``agent``."""

from __future__ import annotations

from collections.abc import Sequence

from nomad_exporter.metrics.exposition import render_family
from nomad_exporter.metrics.family import Family, T


def shown(table: Sequence[Family[T]], of: T, name: str = "") -> list[str]:
    """The lines of the family ``name``, or of all families of ``table``."""
    families = [family for family in table if family.name == name or not name]
    assert families, f"no family is called {name}"
    return [line for family in families for line in render_family(family, of, "").decode().splitlines()]
