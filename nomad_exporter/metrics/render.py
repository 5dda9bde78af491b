"""The lines of one agent, drawn once for each reading, so that a scrape only puts lines together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.exposition import Format, format_header, format_label, format_samples, render_family
from nomad_exporter.metrics.families.agent_self import SELF, unknown
from nomad_exporter.metrics.families.health import AUTOPILOT, HEALTH
from nomad_exporter.metrics.families.members import MEMBERS
from nomad_exporter.metrics.families.polls import AGENT_INFO, POLLS
from nomad_exporter.metrics.families.transitions import TRANSITIONS
from nomad_exporter.metrics.families.verdicts import VERDICTS, ScrapeState
from nomad_exporter.metrics.family import Family, Header, T
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.history import Counts, History
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.store import Entry
from nomad_exporter.verdicts.evaluate import Evaluation

Chunks = tuple[bytes, ...]
"""The lines of an agent, one entry for each family of a table, in the table's order."""

FAMILIES: Mapping[Source, tuple[Family[Any], ...]] = {
    Source.SELF: SELF,
    Source.MEMBERS: MEMBERS,
    Source.AUTOPILOT: AUTOPILOT,
    Source.HEALTH: HEALTH,
}
"""The families that the answer to each source fills."""

CATALOGUE: tuple[tuple[Family[Any], ...], ...] = ((AGENT_INFO,), VERDICTS, POLLS, TRANSITIONS, *FAMILIES.values())
"""Every family of the catalogue, in the order of the page."""

NAMES = frozenset(family.name for table in CATALOGUE for family in table)


@dataclass(frozen=True, slots=True)
class Rendered:
    """All lines of one agent: of its configuration, of the attempts at each source, and of the newest answer of each.

    ``history`` is what changed, with the counts that it was drawn from; ``unknown`` holds the families of stats that
    are in no table.
    """

    agent: bytes
    polls: Mapping[Source, Chunks]
    history: tuple[Counts, Chunks]
    answers: Mapping[Source, Chunks] = field(default_factory=dict)
    unknown: Mapping[str, tuple[Header, bytes]] = field(default_factory=dict)


def render_agent(snapshot: Snapshot, source: Source | None, previous: Rendered | None) -> Rendered:
    """The drawing of ``snapshot``: what ``previous`` has, and anew what the newest reading of ``source`` has changed."""
    labels = agent_labels(snapshot.agent)
    polls = {seen.source: _segment(POLLS, seen, labels) for seen in snapshot.source_states}
    history = _history(snapshot.history, previous, labels)
    if source is None or previous is None:
        return Rendered(_agent_info(snapshot.agent, labels), polls, history)
    answers = {kept: segment for kept, segment in previous.answers.items() if snapshot.of(kept).answer}
    seen = snapshot.of(source)
    if seen.failure or seen.answer is None:
        return Rendered(previous.agent, polls, history, answers, previous.unknown)
    answers[source] = _segment(FAMILIES[source], seen.answer, labels)
    new = _unknown(seen.answer, snapshot, labels) if isinstance(seen.answer, AgentSelf) else previous.unknown
    return Rendered(previous.agent, polls, history, answers, new)


def agent_labels(agent: Agent) -> str:
    """Return the labels of every series about ``agent``: ``agent="s1",nomad_cluster="default"``."""
    return ",".join((format_label("agent", agent.name), format_label("nomad_cluster", agent.cluster)))


def _agent_info(agent: Agent, labels: str) -> bytes:
    own = (format_label(name, value) for name, value in agent.labels)
    return render_family(AGENT_INFO, agent, ",".join((labels, *own)))


def _history(history: History, previous: Rendered | None, labels: str) -> tuple[Counts, Chunks]:
    """Nearly every reading leaves the counts as they are, and then they are not drawn again."""
    if previous and previous.history[0] is history.counts:
        return previous.history
    return history.counts, _segment(TRANSITIONS, history, labels)


def _segment(table: Sequence[Family[T]], of: T, labels: str) -> Chunks:
    return tuple(render_family(family, of, labels) for family in table)


def _unknown(answer: AgentSelf, snapshot: Snapshot, labels: str) -> dict[str, tuple[Header, bytes]]:
    """The families of unknown stats by name; one that has the name of a family of ours is left out."""
    return {
        header.name: (header, format_samples(header.name, (), [((), value)], labels))
        for header, value in unknown(answer, snapshot.kinds)
        if header.name not in NAMES
    }


UNKNOWN_LIMIT = 200
"""Families of stats unknown to us on one page, over all agents."""


def render_page(
    agents: Sequence[Entry[Rendered]], judged: Sequence[Evaluation], at: Instant, max_age: float, form: Format
) -> bytes:
    """The series of ``agents`` at this instant, and the verdicts about each, in the same order.

    An answer older than ``max_age`` seconds is not shown any more.
    """
    moments = [ScrapeState(each, at, max_age) for each in judged]
    return b"".join(_chunks(agents, moments, at, max_age, form))


def _chunks(
    agents: Sequence[Entry[Rendered]], moments: Sequence[ScrapeState], at: Instant, max_age: float, form: Format
) -> Iterator[bytes]:
    drawings = [kept.rendered for kept in agents]
    yield from _family(AGENT_INFO.header, [drawing.agent for drawing in drawings], form)
    labelled = [(moment, agent_labels(moment.snapshot.agent)) for moment in moments]
    for family in VERDICTS:
        yield from _family(family.header, [render_family(family, moment, labels) for moment, labels in labelled], form)
    yield from _table(POLLS, [segment for drawing in drawings for segment in drawing.polls.values()], form)
    yield from _table(TRANSITIONS, [drawing.history[1] for drawing in drawings], form)
    for source, table in FAMILIES.items():
        fresh = [kept.rendered for kept in agents if kept.snapshot.of(source).age(at) <= max_age]
        yield from _table(table, [drawing.answers[source] for drawing in fresh], form)
        if source is Source.SELF:
            yield from _unknown_families(fresh, form)


def _table(table: Sequence[Family[Any]], segments: Sequence[Chunks], form: Format) -> Iterator[bytes]:
    for number, family in enumerate(table):
        yield from _family(family.header, [segment[number] for segment in segments], form)


def _family(of: Header, found: Iterable[bytes], form: Format) -> Iterator[bytes]:
    body = b"".join(found)
    if body:
        yield format_header(of, form)
        yield body


def _unknown_families(drawings: Sequence[Rendered], form: Format) -> Iterator[bytes]:
    headers = {name: of for drawing in drawings for name, (of, _) in drawing.unknown.items()}
    for name in sorted(headers)[:UNKNOWN_LIMIT]:
        found = [drawing.unknown[name][1] for drawing in drawings if name in drawing.unknown]
        yield from _family(headers[name], found, form)
