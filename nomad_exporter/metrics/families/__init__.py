"""The metric families as tables of values, one file for each source and for each other subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nomad_exporter.metrics.families import agent_self, autopilot, health, members
from nomad_exporter.metrics.family import Family
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, Source

ANSWERS: Mapping[Source[Any], tuple[Family[Any], ...]] = {
    SELF: agent_self.FAMILIES,
    MEMBERS: members.FAMILIES,
    AUTOPILOT: autopilot.FAMILIES,
    HEALTH: health.FAMILIES,
}
"""The families filled by the answers of each source, in the order of the exposition."""
