"""What a metric family is: a row of the catalogue, with the pure function that gives its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from nomad_exporter.nomad.stats import Number

T = TypeVar("T")

Sample = tuple[tuple[str, ...], Number]
"""The values of the labels beside ``agent``, in the order of the family's ``labels``, and the number."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands above the samples of a family. ``name`` is as in the samples: a counter's ends in ``_total``."""

    name: str
    type: Literal["gauge", "counter"]
    help: str


@dataclass(frozen=True, slots=True)
class Family(Generic[T]):
    """A family of the catalogue: its samples are a pure function of a ``T``, an answer or what was seen of a source.

    ``origin`` says for people where the value comes from.
    """

    name: str
    help: str
    origin: str
    samples: Callable[[T], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    type: Literal["gauge", "counter"] = "gauge"

    @property
    def header(self) -> Header:
        return Header(self.name, self.type, f"{self.help} ({self.origin})")


def one(number: Number | None) -> Iterable[Sample]:
    """The sample of a family without labels; none where the number is not known."""
    return () if number is None else (((), number),)


def info(*values: str) -> Iterable[Sample]:
    """The sample of an ``_info`` family; none where all its labels would be empty."""
    return ((values, 1),) if any(values) else ()


def states(current: str | None, known: Iterable[str]) -> Iterable[Sample]:
    """A sample for each known state, 1 for the current one; none where the current one is not known."""
    return () if current is None else [((state,), int(state == current)) for state in known]


def counts(found: Iterable[str], known: Iterable[str]) -> Iterable[Sample]:
    """How often each of the ``known`` values was found, zeros included."""
    tally = Counter(found)
    return [((value,), tally[value]) for value in known]
