"""The families about the asking itself: one set for each source, also while the agent is down."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nomad_exporter.metrics.family import Family, Sample
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.stats import Number
from nomad_exporter.polling.snapshot import AnyReading, AnySourceState

_SOURCE = ("source",)


def _always(number: Callable[[AnySourceState], Number]) -> Callable[[AnySourceState], Iterable[Sample]]:
    return lambda seen: [((seen.source,), number(seen))]


def _of_last(number: Callable[[AnyReading], Number]) -> Callable[[AnySourceState], Iterable[Sample]]:
    return lambda seen: [((seen.source,), number(seen.last))] if seen.last else ()


def _failing(seen: AnySourceState) -> Iterable[Sample]:
    return [((seen.source, seen.failure.reason), 1)] if seen.failure else ()


def _last_success(seen: AnySourceState) -> Iterable[Sample]:
    return [((seen.source,), seen.answered.wall)] if seen.answered else ()


def _invalid_fields(seen: AnySourceState) -> Iterable[Sample]:
    return [((seen.source,), len(seen.answer.invalid_fields))] if seen.answer else ()


AGENT_INFO: Family[Agent] = Family(
    "nomad_exporter_agent_info",
    "An agent that the exporter watches, present also while the agent is down; group is its cluster in the file.",
    "configuration",
    lambda agent: [((str(agent.address),), 1)],
    ("address",),
)
"""The only family with more labels than its row names: the group and the labels that the file gives to the agent."""

POLLS: tuple[Family[AnySourceState], ...] = (
    Family(
        "nomad_exporter_polls_total",
        "Attempts to ask the agent.",
        "polls",
        _always(lambda seen: seen.polls),
        _SOURCE,
        "counter",
    ),
    Family(
        "nomad_exporter_poll_failures_total",
        "Attempts that gave no answer.",
        "polls",
        _always(lambda seen: seen.failures),
        _SOURCE,
        "counter",
    ),
    Family(
        "nomad_exporter_poll_failing",
        "1 while the newest attempt has failed, with the reason; else absent.",
        "polls",
        _failing,
        ("source", "reason"),
    ),
    Family(
        "nomad_exporter_poll_duration_seconds",
        "How long the newest attempt took.",
        "polls",
        _of_last(lambda reading: reading.seconds),
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_lateness_seconds",
        "How long after it was due the newest attempt began.",
        "polls",
        _of_last(lambda reading: reading.lateness),
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_last_success_timestamp_seconds",
        "When the newest answer came; absent before the first.",
        "polls",
        _last_success,
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_invalid_fields",
        "Values in the newest answer that could not be read and are left out.",
        "polls",
        _invalid_fields,
        _SOURCE,
    ),
)
