"""Metric families: a row of the catalogue, and helpers that build its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar

from nomad_exporter.nomad.stats import Number

T = TypeVar("T")

Sample = tuple[tuple[str, ...], Number]
"""The label values of a sample, in the order of the family's ``labels``, and its value."""


class Lifetime(Enum):
    """How long the samples of an answer are exported; the value is a phrase for the documentation."""

    MAX_AGE = "until the answer is older than `--poll.max-age`"
    MOMENT = "until a poll of its source fails, or a poll of health or self has no response"
    TERM = "the same; the claim to lead also ends when another server of the cluster reports a leader of a higher term"
    CONFIGURED = "as long as the agent is configured, with the last known values"


@dataclass(frozen=True, slots=True)
class Header:
    """The metadata above the samples of a family. The ``name`` of a counter ends in ``_total``, as in its samples."""

    name: str
    type: Literal["gauge", "counter"]
    help: str


@dataclass(frozen=True, slots=True)
class Family(Generic[T]):
    """A metric family of the catalogue.

    ``samples`` is a pure function of a subject, such as an answer or the state of a source. ``labels`` are the names of
    the labels beside those of the agent. ``origin`` names the source of the values, for HELP and the documentation.
    ``lifetime`` limits how long the samples of an answer are exported.
    """

    name: str
    help: str
    origin: str
    samples: Callable[[T], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    type: Literal["gauge", "counter"] = "gauge"
    lifetime: Lifetime = Lifetime.MAX_AGE

    @property
    def header(self) -> Header:
        return Header(self.name, self.type, f"{self.help} ({self.origin})")


def one(number: Number | None) -> Iterable[Sample]:
    """Return the sample of a family without labels; none if the number is unknown."""
    return () if number is None else (((), number),)


def info(*values: str) -> Iterable[Sample]:
    """Return the sample of an ``_info`` family; none if all label values are empty."""
    return ((values, 1),) if any(values) else ()


def states(current: str | None, known: Iterable[str]) -> Iterable[Sample]:
    """Return one sample per known state: 1 for the current state, 0 for the others; none if it is unknown."""
    return () if current is None else [((state,), int(state == current)) for state in known]


def counts(values: Iterable[str], known: Iterable[str]) -> Iterable[Sample]:
    """Return how often each ``known`` value occurs in ``values``, zeros included."""
    tally = Counter(values)
    return [((value,), tally[value]) for value in known]
