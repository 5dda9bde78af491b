"""Rendering of one table of the catalogue, without the labels of an agent."""

from __future__ import annotations

from collections.abc import Sequence

from nomad_exporter.metrics.family import Family, T, render_family


def render_lines(table: Sequence[Family[T]], subject: T, name: str = "") -> list[str]:
    """Return the sample lines of the family ``name``, or of all families of ``table``."""
    families = [family for family in table if family.name == name or not name]
    assert families, f"no family is called {name}"
    return [line for family in families for line in render_family(family, subject, "").decode().splitlines()]
