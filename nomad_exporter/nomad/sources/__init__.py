"""The sources of an agent, one file each. A source is one value, registered in ``SOURCES``."""

from __future__ import annotations

from typing import Any

from nomad_exporter.nomad.sources.agent_self import SELF
from nomad_exporter.nomad.sources.autopilot import AUTOPILOT
from nomad_exporter.nomad.sources.health import HEALTH
from nomad_exporter.nomad.sources.members import MEMBERS
from nomad_exporter.nomad.sources.source import KIB, MIB, A, Answer, Reply, Source, format_size

__all__ = [
    "AUTOPILOT",
    "HEALTH",
    "KIB",
    "MEMBERS",
    "MIB",
    "SELF",
    "SOURCES",
    "A",
    "Answer",
    "Reply",
    "Source",
    "enabled_sources",
    "format_size",
]

SOURCES: tuple[Source[Any], ...] = (HEALTH, SELF, MEMBERS, AUTOPILOT)
"""All sources, in the order in which they are polled and listed."""


def enabled_sources(*, autopilot: bool) -> tuple[Source[Any], ...]:
    """Return the sources to poll: the optional source ``autopilot`` only if a setting enables it."""
    return tuple(source for source in SOURCES if autopilot or not source.optional)
