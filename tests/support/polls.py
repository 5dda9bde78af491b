"""Polls without a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import SOURCES, Source
from nomad_exporter.polling.poller import Poller


def poll_wanted(poller: Poller, agent: Agent, sources: Iterable[Source[Any]] = SOURCES) -> None:
    """Poll each of the sources once that is wanted, one after the other."""
    for source in sources:
        if poller.wants(agent, source):
            poller.poll(agent, source)
