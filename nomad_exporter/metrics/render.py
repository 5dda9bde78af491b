"""Rendering of agents as exposition text.

``render_agent`` renders an agent once per reading; ``render_page`` joins the rendered chunks at each scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families import ANSWERS
from nomad_exporter.metrics.families.agent_self import unknown
from nomad_exporter.metrics.families.polls import AGENT_INFO, POLLS
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
)
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import SELF, Source
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
    TRANSITIONS,
    *ANSWERS.values(),
)
"""All known families, in the order of the exposition."""

NAMES = frozenset(name_in(form, family.header) for form in Format for table in CATALOGUE for family in table)
"""The names of all known families, as either format writes them."""

UNKNOWN_LIMIT = 200
"""Maximum number of families of unknown stats in one exposition, over all agents."""

Chunks = tuple[bytes, ...]
"""Rendered sample lines, one chunk for each family of a table, in the table's order."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rendered sample lines of one agent.

    ``agent`` is the chunk of its configuration; ``polls`` and ``answers`` hold the chunks of each source. ``history``
    holds the chunks of the transitions, beside the counts that they render. ``unknown`` holds header and chunk of each
    unknown stat, by the name of the family.
    """

    agent: bytes
    polls: Mapping[Source[Any], Chunks]
    history: tuple[Counts, Chunks]
    answers: Mapping[Source[Any], Chunks] = field(default_factory=dict)
    unknown: Mapping[str, tuple[Header, bytes]] = field(default_factory=dict)


# One agent, after each reading.


def render_agent(snapshot: Snapshot, source: Source[Any] | None, previous: Rendered | None) -> Rendered:
    """Render a snapshot, reusing everything in ``previous`` that the reading of ``source`` did not change.

    Without ``source`` or ``previous``, everything is rendered.
    """
    labels = agent_labels(snapshot.agent)
    polls = {state.source: _render_table(POLLS, state, labels) for state in snapshot.source_states}
    history = _render_history(snapshot.history, previous, labels)
    if source is None or previous is None:
        return _render_all(snapshot, labels, polls, history)
    answers = {answered: chunks for answered, chunks in previous.answers.items() if snapshot[answered].answer}
    state = snapshot[source]
    if state.failure or state.answer is None:
        return Rendered(previous.agent, polls, history, answers, previous.unknown)
    answers[source] = _render_table(ANSWERS[source], state.answer, labels)
    if isinstance(state.answer, AgentSelf):
        return Rendered(previous.agent, polls, history, answers, _render_unknown(state.answer, snapshot, labels))
    return Rendered(previous.agent, polls, history, answers, previous.unknown)


def _render_all(
    snapshot: Snapshot, labels: str, polls: Mapping[Source[Any], Chunks], history: tuple[Counts, Chunks]
) -> Rendered:
    answers = {source: snapshot[source].answer for source in ANSWERS if snapshot[source].answer is not None}
    tables = {source: _render_table(ANSWERS[source], answer, labels) for source, answer in answers.items()}
    agent_self = snapshot[SELF].answer
    unknown = _render_unknown(agent_self, snapshot, labels) if agent_self else {}
    return Rendered(_render_agent_info(snapshot.agent, labels), polls, history, tables, unknown)


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


def _render_unknown(answer: AgentSelf, snapshot: Snapshot, labels: str) -> dict[str, tuple[Header, bytes]]:
    """Render the unknown stats of an answer, except those with the name of a known family."""
    return {
        header.name: (header, format_samples(header.name, (), [((), value)], labels))
        for header, value in unknown(answer, snapshot.kinds)
        if header.name not in NAMES
    }


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
    yield from _table_parts(TRANSITIONS, [agent.history[1] for agent in rendered], format)
    for source, table in ANSWERS.items():
        lifetimes = {family.lifetime for family in table}
        current = {lifetime: _exported(rendered, agents, source, lifetime) for lifetime in lifetimes}
        for index, family in enumerate(table):
            answered = current[family.lifetime]
            yield from _family_parts(family.header, [each.answers[source][index] for each in answered], format)
        if source is SELF:
            yield from _unknown_parts(current[Lifetime.MAX_AGE], format)


def _exported(
    rendered: Sequence[Rendered], agents: Sequence[AgentAtScrape], source: Source[Any], lifetime: Lifetime
) -> list[Rendered]:
    """Return the rendered agents whose answer of ``source`` is exported in families with this ``lifetime``."""
    return [each for each, agent in zip(rendered, agents, strict=True) if agent.exports(source, lifetime)]


def _table_parts(table: Sequence[Family[Any]], rows: Sequence[Chunks], format: Format) -> Iterator[bytes]:
    for index, family in enumerate(table):
        yield from _family_parts(family.header, [chunks[index] for chunks in rows], format)


def _unknown_parts(agents: Sequence[Rendered], format: Format) -> Iterator[bytes]:
    headers = {name: header for agent in agents for name, (header, _) in agent.unknown.items()}
    for name in sorted(headers)[:UNKNOWN_LIMIT]:
        chunks = [agent.unknown[name][1] for agent in agents if name in agent.unknown]
        yield from _family_parts(headers[name], chunks, format)


def _family_parts(header: Header, chunks: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """Yield the header and the sample lines of a family; nothing if there are no samples."""
    samples = b"".join(chunks)
    if samples:
        yield format_header(header, format)
        yield samples
