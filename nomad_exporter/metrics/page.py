"""The page of ``/metrics``: family by family, a header and the lines of all agents that have any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.judge.judging import Judged
from nomad_exporter.metrics.drawing import ANSWERS, Drawing, Segment
from nomad_exporter.metrics.families import Family, Header
from nomad_exporter.metrics.lines import Format, header, label, samples
from nomad_exporter.metrics.of_history import HISTORY
from nomad_exporter.metrics.of_moments import MOMENTS, Moment
from nomad_exporter.metrics.of_polls import AGENT_INFO, POLLS
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.store import Kept

UNKNOWN_LIMIT = 200
"""Families of stats unknown to us on one page, over all agents."""


def page(agents: Sequence[Kept[Drawing]], judged: Sequence[Judged], at: Instant, max_age: float, form: Format) -> bytes:
    """The series of ``agents`` at this instant, and the verdicts about each, in the same order.

    An answer older than ``max_age`` seconds is not shown any more.
    """
    moments = [Moment(each, at, max_age) for each in judged]
    return b"".join(_chunks(agents, moments, at, max_age, form))


def _chunks(
    agents: Sequence[Kept[Drawing]], moments: Sequence[Moment], at: Instant, max_age: float, form: Format
) -> Iterator[bytes]:
    drawings = [kept.drawing for kept in agents]
    yield from _family(AGENT_INFO.header, [drawing.agent for drawing in drawings], form)
    named = [(moment, label("agent", moment.snapshot.agent.name)) for moment in moments]
    for family in MOMENTS:
        yield from _family(family.header, [samples(family, moment, first) for moment, first in named], form)
    yield from _table(POLLS, [segment for drawing in drawings for segment in drawing.polls.values()], form)
    yield from _table(HISTORY, [drawing.history[1] for drawing in drawings], form)
    for source, table in ANSWERS.items():
        fresh = [kept.drawing for kept in agents if kept.snapshot.of(source).age(at) <= max_age]
        yield from _table(table, [drawing.answers[source] for drawing in fresh], form)
        if source is Source.SELF:
            yield from _unknown(fresh, form)


def _table(table: Sequence[Family[Any]], segments: Sequence[Segment], form: Format) -> Iterator[bytes]:
    for number, family in enumerate(table):
        yield from _family(family.header, [segment[number] for segment in segments], form)


def _family(of: Header, found: Iterable[bytes], form: Format) -> Iterator[bytes]:
    body = b"".join(found)
    if body:
        yield header(of, form)
        yield body


def _unknown(drawings: Sequence[Drawing], form: Format) -> Iterator[bytes]:
    headers = {name: of for drawing in drawings for name, (of, _) in drawing.unknown.items()}
    for name in sorted(headers)[:UNKNOWN_LIMIT]:
        found = [drawing.unknown[name][1] for drawing in drawings if name in drawing.unknown]
        yield from _family(headers[name], found, form)
