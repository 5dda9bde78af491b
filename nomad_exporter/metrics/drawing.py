"""The lines of one agent, drawn once for each reading, so that a scrape only puts lines together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nomad_exporter.metrics.families import Family, Header, T
from nomad_exporter.metrics.lines import label, lines, samples
from nomad_exporter.metrics.of_autopilot import AUTOPILOT
from nomad_exporter.metrics.of_health import HEALTH
from nomad_exporter.metrics.of_history import HISTORY
from nomad_exporter.metrics.of_members import MEMBERS
from nomad_exporter.metrics.of_moments import MOMENTS
from nomad_exporter.metrics.of_polls import AGENT_INFO, POLLS
from nomad_exporter.metrics.of_self import SELF, unknown
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.answers import AgentSelf
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.history import Counts, History
from nomad_exporter.watch.snapshot import Snapshot

Segment = tuple[bytes, ...]
"""The lines of an agent, one entry for each family of a table, in the table's order."""

ANSWERS: Mapping[Source, tuple[Family[Any], ...]] = {
    Source.SELF: SELF,
    Source.MEMBERS: MEMBERS,
    Source.AUTOPILOT: AUTOPILOT,
    Source.HEALTH: HEALTH,
}
"""The families that the answer to each source fills."""

TABLES: tuple[tuple[Family[Any], ...], ...] = ((AGENT_INFO,), MOMENTS, POLLS, HISTORY, *ANSWERS.values())
"""Every family of the catalogue, in the order of the page."""

NAMES = frozenset(family.name for table in TABLES for family in table)


@dataclass(frozen=True, slots=True)
class Drawing:
    """All lines of one agent: of its configuration, of the attempts at each source, and of the newest answer of each.

    ``history`` is what changed, with the counts that it was drawn from; ``unknown`` holds the families of stats that
    are in no table.
    """

    agent: bytes
    polls: Mapping[Source, Segment]
    history: tuple[Counts, Segment]
    answers: Mapping[Source, Segment] = field(default_factory=dict)
    unknown: Mapping[str, tuple[Header, bytes]] = field(default_factory=dict)


def draw(snapshot: Snapshot, source: Source | None, before: Drawing | None) -> Drawing:
    """The drawing of ``snapshot``: what ``before`` has, and anew what the newest reading of ``source`` has changed."""
    first = label("agent", snapshot.agent.name)
    polls = {seen.source: _segment(POLLS, seen, first) for seen in snapshot.seen}
    history = _history(snapshot.history, before, first)
    if source is None or before is None:
        return Drawing(_agent_info(snapshot.agent, first), polls, history)
    answers = {kept: segment for kept, segment in before.answers.items() if snapshot.of(kept).answer}
    seen = snapshot.of(source)
    if seen.failure or seen.answer is None:
        return Drawing(before.agent, polls, history, answers, before.unknown)
    answers[source] = _segment(ANSWERS[source], seen.answer, first)
    new = _unknown(seen.answer, snapshot, first) if isinstance(seen.answer, AgentSelf) else before.unknown
    return Drawing(before.agent, polls, history, answers, new)


def _agent_info(agent: Agent, first: str) -> bytes:
    group = (("group", agent.group),) if agent.group else ()
    more = [label(name, value) for name, value in (*group, *agent.labels)]
    return samples(AGENT_INFO, agent, ",".join((first, *more)))


def _history(history: History, before: Drawing | None, first: str) -> tuple[Counts, Segment]:
    """Nearly every reading leaves the counts as they are, and then they are not drawn again."""
    if before and before.history[0] is history.counts:
        return before.history
    return history.counts, _segment(HISTORY, history, first)


def _segment(table: Sequence[Family[T]], of: T, first: str) -> Segment:
    return tuple(samples(family, of, first) for family in table)


def _unknown(answer: AgentSelf, snapshot: Snapshot, first: str) -> dict[str, tuple[Header, bytes]]:
    """The families of unknown stats by name; one that has the name of a family of ours is left out."""
    return {
        header.name: (header, lines(header.name, (), [((), value)], first))
        for header, value in unknown(answer, snapshot.kinds)
        if header.name not in NAMES
    }
