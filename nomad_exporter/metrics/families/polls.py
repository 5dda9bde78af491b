"""Families about the monitored agent and the polls of its sources; present even while the agent is down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_exporter.metrics.family import Family, Sample, one
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.stats import Number
from nomad_exporter.polling.snapshot import Reading, SourceState

_SOURCE = ("source",)


def _each_source(value: Callable[[SourceState[Any]], Number]) -> Callable[[SourceState[Any]], Iterable[Sample]]:
    return lambda state: [((state.source.name,), value(state))]


def _last_reading(value: Callable[[Reading[Any]], Number]) -> Callable[[SourceState[Any]], Iterable[Sample]]:
    return lambda state: [((state.source.name,), value(state.last))] if state.last else ()


def _failing(state: SourceState[Any]) -> Iterable[Sample]:
    return [((state.source.name, state.failure.reason), 1)] if state.failure else ()


def _last_success(state: SourceState[Any]) -> Iterable[Sample]:
    return [((state.source.name,), state.answered.wall)] if state.answered else ()


def _invalid_fields(state: SourceState[Any]) -> Iterable[Sample]:
    return [((state.source.name,), len(state.answer.invalid_fields))] if state.answer else ()


AGENT_INFO: Family[Agent] = Family(
    "nomad_exporter_agent_info",
    "Monitored agent and its configured labels; present even while the agent is down.",
    "configuration",
    lambda agent: [((str(agent.address),), 1)],
    ("address",),
)
"""The only family with labels beyond those of its row: the labels that the configuration sets for the agent."""


@dataclass(frozen=True, slots=True)
class Omitted:
    """The number of values of an answer that are left out because of a limit, by what they are."""

    source: str
    numbers: Mapping[str, int]


OMITTED: Family[Omitted] = Family(
    "nomad_exporter_poll_omitted_values",
    "Values of the last answer left out because of a limit; absent if there are none.",
    "polls",
    lambda omitted: [((omitted.source, kind), number) for kind, number in omitted.numbers.items() if number],
    ("source", "kind"),
)

OMITTED_FAMILIES: Family[int] = Family(
    "nomad_exporter_omitted_families",
    "Metric families of unknown stats left out because of a limit; absent if there are none.",
    "self: stats",
    one,
)

POLLS: tuple[Family[SourceState[Any]], ...] = (
    Family(
        "nomad_exporter_polls_total",
        "Polls of this source.",
        "polls",
        _each_source(lambda state: state.polls),
        _SOURCE,
        "counter",
    ),
    Family(
        "nomad_exporter_poll_failures_total",
        "Failed polls of this source.",
        "polls",
        _each_source(lambda state: state.failures),
        _SOURCE,
        "counter",
    ),
    Family(
        "nomad_exporter_poll_failing",
        "Whether the last poll failed, with the reason; absent if it succeeded.",
        "polls",
        _failing,
        ("source", "reason"),
    ),
    Family(
        "nomad_exporter_poll_duration_seconds",
        "Duration of the last poll.",
        "polls",
        _last_reading(lambda reading: reading.seconds),
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_lateness_seconds",
        "Delay between the scheduled and the actual start of the last poll.",
        "polls",
        _last_reading(lambda reading: reading.lateness),
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_last_success_timestamp_seconds",
        "Time of the last successful poll; absent before the first.",
        "polls",
        _last_success,
        _SOURCE,
    ),
    Family(
        "nomad_exporter_poll_invalid_fields",
        "Values in the last answer that could not be decoded and are not exported.",
        "polls",
        _invalid_fields,
        _SOURCE,
    ),
)
