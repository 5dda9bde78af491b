"""Rendering of agents as exposition text.

``render_agent`` renders an agent once per reading; ``render_page`` joins the rendered chunks at each scrape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families import ANSWERS
from nomad_exporter.metrics.families.agent_self import unknown
from nomad_exporter.metrics.families.polls import AGENT_INFO, OMITTED, OMITTED_FAMILIES, POLLS, Omitted
from nomad_exporter.metrics.families.transitions import TRANSITIONS
from nomad_exporter.metrics.families.verdicts import CLUSTERS, VERDICTS, AgentAtScrape
from nomad_exporter.metrics.family import (
    Family,
    Format,
    Header,
    Lifetime,
    T,
    format_header,
    format_label,
    format_samples,
    name_in,
    render_family,
    unique_samples,
)
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import SELF, Source
from nomad_exporter.nomad.stats import Number
from nomad_exporter.polling.budget import Budget
from nomad_exporter.polling.history import Counts, History
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.store import Entry
from nomad_exporter.verdicts.cluster import ClusterState
from nomad_exporter.verdicts.evaluate import Evaluation

CATALOGUE: tuple[tuple[Family[Any], ...], ...] = (
    (AGENT_INFO,),
    CLUSTERS,
    VERDICTS,
    POLLS,
    (OMITTED,),
    TRANSITIONS,
    *ANSWERS.values(),
    (OMITTED_FAMILIES,),
)
"""All known families, in the order of the exposition."""

NAMES = frozenset(name_in(form, family.header) for form in Format for table in CATALOGUE for family in table)
"""The names of all known families, as either format writes them."""

UNKNOWN_LIMIT = 200
"""Maximum number of families of unknown stats in one exposition, over all agents."""

Chunks = tuple[bytes, ...]
"""Rendered sample lines, one chunk for each family of a table, in the table's order."""


SERIES_PER_HOUR = 5000
"""Maximum number of distinct series with labels from the answers of one agent, or from its unknown stats, in an hour.

The largest answers have 3,200 at a time. Every new series costs Prometheus memory for hours.
"""


SeriesKey = tuple[str, tuple[str, ...]]
"""What an agent can choose of a series: the name of the family and the values of its labels."""

_NEW_BUDGET: Budget[SeriesKey] = Budget(SERIES_PER_HOUR, 3600.0)


@dataclass(frozen=True, slots=True)
class RenderedAnswer:
    """The rendered sample lines of one answer: the chunks of its families, and the chunk of what was ``omitted``.

    ``unknown`` holds header and chunk of each unknown stat, by the name of the family.
    """

    chunks: Chunks
    omitted: bytes
    unknown: Mapping[str, tuple[Header, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rendered sample lines of one agent.

    ``agent`` is the chunk of its configuration; ``polls`` holds the chunks of each source. ``history`` holds the chunks
    of the transitions, beside the counts that they render. ``series`` is the budget of the names and label values of
    the series of ``answers``.
    """

    agent: bytes
    polls: Mapping[Source[Any], Chunks]
    history: tuple[Counts, Chunks]
    answers: Mapping[Source[Any], RenderedAnswer] = field(default_factory=dict)
    series: Budget[SeriesKey] = _NEW_BUDGET


# One agent, after each reading.


def render_agent(snapshot: Snapshot, source: Source[Any] | None, previous: Rendered | None) -> Rendered:
    """Render a snapshot, reusing everything in ``previous`` that the reading of ``source`` did not change.

    Without ``source`` or ``previous``, everything is rendered.
    """
    labels = agent_labels(snapshot.agent)
    polls = {state.source: _render_table(POLLS, state, labels) for state in snapshot.source_states}
    history = _render_history(snapshot.history, previous, labels)
    if source is None or previous is None:
        rendered = Rendered(_render_agent_info(snapshot.agent, labels), polls, history)
        answered = [source for source in ANSWERS if snapshot[source].answer is not None]
    else:
        answers = {kept: answer for kept, answer in previous.answers.items() if snapshot[kept].answer}
        rendered = replace(previous, polls=polls, history=history, answers=answers)
        answered = [source] if snapshot[source].answer is not None and not snapshot[source].failure else []
    for each in answered:
        rendered = _render_answer(rendered, snapshot, each, labels)
    return rendered


def _render_answer(rendered: Rendered, snapshot: Snapshot, source: Source[Any], labels: str) -> Rendered:
    """Return ``rendered`` with the newest answer of ``source``, as far as the budget of the agent's series allows."""
    answer: Any = snapshot[source].answer
    samples = [(family, unique_samples(family, answer)) for family in ANSWERS[source]]
    stats = _unknown_stats(answer, snapshot) if isinstance(answer, AgentSelf) else {}
    keys: list[SeriesKey] = [(family.name, values) for family, unique in samples if family.labels for values in unique]
    keys += [(name, ()) for name in stats]
    series = rendered.series.admit(keys, snapshot[source].answered or _NEVER)
    refused = frozenset(keys) - series.admitted
    omitted = Omitted(source.name, {**answer.omitted, "series": len(refused)})
    chunks = tuple(_render_admitted(family, unique, labels, refused) for family, unique in samples)
    unknown_chunks = {
        name: (header, format_samples(name, (), [((), value)], labels))
        for name, (header, value) in stats.items()
        if (name, ()) not in refused
    }
    newest = RenderedAnswer(chunks, render_family(OMITTED, omitted, labels), unknown_chunks)
    return replace(rendered, series=series, answers={**rendered.answers, source: newest})


_NEVER = Instant(float("-inf"), float("-inf"))


def _render_admitted(
    family: Family[Any], samples: Mapping[tuple[str, ...], Number], labels: str, refused: Collection[SeriesKey]
) -> bytes:
    admitted = samples
    if refused:  # Seldom: most agents stay far below the limit.
        admitted = {values: value for values, value in samples.items() if (family.name, values) not in refused}
    return format_samples(family.name, family.labels, admitted.items(), labels)


def _unknown_stats(answer: AgentSelf, snapshot: Snapshot) -> dict[str, tuple[Header, Number]]:
    """Return the unknown stats of an answer by name of the family, except those with the name of a known family."""
    return {
        header.name: (header, value) for header, value in unknown(answer, snapshot.kinds) if header.name not in NAMES
    }


def agent_labels(agent: Agent) -> str:
    """Return the labels of every series about ``agent``: ``agent="s1",nomad_cluster="default"``."""
    return ",".join((format_label("agent", agent.name), format_label("nomad_cluster", agent.cluster)))


def _render_agent_info(agent: Agent, labels: str) -> bytes:
    configured = (format_label(name, value) for name, value in agent.labels)
    return render_family(AGENT_INFO, agent, ",".join((labels, *configured)))


def _render_history(history: History, previous: Rendered | None, labels: str) -> tuple[Counts, Chunks]:
    # Few readings change the counts, so the chunks of the previous rendering can usually be reused.
    if previous and previous.history[0] is history.counts:
        return previous.history
    return history.counts, _render_table(TRANSITIONS, history, labels)


def _render_table(table: Sequence[Family[T]], subject: T, labels: str) -> Chunks:
    return tuple(render_family(family, subject, labels) for family in table)


# All agents, at each scrape.


def render_page(
    entries: Sequence[Entry[Rendered]],
    evaluations: Sequence[Evaluation],
    clusters: Sequence[ClusterState],
    now: Instant,
    max_age: float,
    format: Format,
) -> bytes:
    """Render the series of all ``entries``, whose ``evaluations`` are in the same order, and of the ``clusters``.

    Answers older than ``max_age`` seconds are left out. The trailer of the format is not included.
    """
    agents = [AgentAtScrape(evaluation, now, max_age) for evaluation in evaluations]
    return b"".join(_page_parts([entry.rendered for entry in entries], agents, clusters, format))


def _page_parts(
    rendered: Sequence[Rendered], agents: Sequence[AgentAtScrape], clusters: Sequence[ClusterState], format: Format
) -> Iterator[bytes]:
    yield from _family_parts(AGENT_INFO.header, [agent.agent for agent in rendered], format)
    for cluster_family in CLUSTERS:
        chunks = [render_family(cluster_family, cluster, "") for cluster in clusters]
        yield from _family_parts(cluster_family.header, chunks, format)
    labelled = [(agent, agent_labels(agent.snapshot.agent)) for agent in agents]
    for family in VERDICTS:
        yield from _family_parts(family.header, [render_family(family, *pair) for pair in labelled], format)
    yield from _table_parts(POLLS, [chunks for agent in rendered for chunks in agent.polls.values()], format)
    omitted = [answer.omitted for agent in rendered for answer in agent.answers.values()]
    yield from _family_parts(OMITTED.header, omitted, format)
    yield from _table_parts(TRANSITIONS, [agent.history[1] for agent in rendered], format)
    for source, table in ANSWERS.items():
        lifetimes = {family.lifetime for family in table}
        current = {lifetime: _exported(rendered, agents, source, lifetime) for lifetime in lifetimes}
        for index, family in enumerate(table):
            answered = current[family.lifetime]
            yield from _family_parts(family.header, [each.answers[source].chunks[index] for each in answered], format)
        if source is SELF:
            unknown_stats = [each.answers[source].unknown for each in current[Lifetime.MAX_AGE]]
            yield from _unknown_parts(unknown_stats, format)


def _exported(
    rendered: Sequence[Rendered], agents: Sequence[AgentAtScrape], source: Source[Any], lifetime: Lifetime
) -> list[Rendered]:
    """Return the rendered agents whose answer of ``source`` is exported in families with this ``lifetime``."""
    return [each for each, agent in zip(rendered, agents, strict=True) if agent.exports(source, lifetime)]


def _table_parts(table: Sequence[Family[Any]], rows: Sequence[Chunks], format: Format) -> Iterator[bytes]:
    for index, family in enumerate(table):
        yield from _family_parts(family.header, [chunks[index] for chunks in rows], format)


def _unknown_parts(agents: Sequence[Mapping[str, tuple[Header, bytes]]], format: Format) -> Iterator[bytes]:
    headers = {name: header for stats in agents for name, (header, _) in stats.items()}
    for name in sorted(headers)[:UNKNOWN_LIMIT]:
        yield from _family_parts(headers[name], [stats[name][1] for stats in agents if name in stats], format)
    if len(headers) > UNKNOWN_LIMIT:
        omitted = render_family(OMITTED_FAMILIES, len(headers) - UNKNOWN_LIMIT, "")
        yield from _family_parts(OMITTED_FAMILIES.header, [omitted], format)


def _family_parts(header: Header, chunks: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """Yield the header and the sample lines of a family; nothing if there are no samples."""
    samples = b"".join(chunks)
    if samples:
        yield format_header(header, format)
        yield samples
