"""Metric families: a row of the catalogue, helpers that build its samples, and Prometheus' text formats for both.

Text 0.0.4 and OpenMetrics 1.0 share the sample lines; they differ in the headers and in the trailer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
    MOMENT = "until a poll of its source fails or is not sent, or a poll of health or self has no response"
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


# Text formats.


class Format(Enum):
    """A text format of Prometheus; the value is the content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"

    @property
    def trailer(self) -> bytes:
        """The last line of an exposition; empty for text."""
        return b"# EOF\n" if self is Format.OPENMETRICS else b""


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def format_label(name: str, value: str) -> str:
    """Return ``name="value"`` with the value escaped."""
    return f'{name}="{value.translate(_ESCAPES)}"'


def format_value(value: Number) -> str:
    """Return a number as Go parses it: integers in full, floats with the fewest digits that preserve them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return repr(value)


def render_family(family: Family[T], subject: T, labels: str) -> bytes:
    """Render the sample lines of ``family`` for ``subject``.

    ``labels`` are formatted labels to put before those of each sample, such as ``agent="a"``.
    """
    return format_samples(family.name, family.labels, unique_samples(family, subject).items(), labels)


def unique_samples(family: Family[T], subject: T) -> dict[tuple[str, ...], Number]:
    """Return the samples of ``family`` for ``subject``; the first one if several have equal labels."""
    # Prometheus rejects the whole scrape if a series is duplicated.
    unique: dict[tuple[str, ...], Number] = {}
    for values, value in family.samples(subject):
        unique.setdefault(values, value)
    return unique


def format_samples(name: str, label_names: Sequence[str], samples: Iterable[Sample], labels: str = "") -> bytes:
    """Return one line per sample, each ending in a line feed; ``labels`` come before those of the sample."""
    lines = []
    for values, value in samples:
        pairs = (format_label(*pair) for pair in zip(label_names, values, strict=True))
        joined = ",".join(filter(None, (labels, *pairs)))
        lines.append(f"{name}{{{joined}}} {format_value(value)}\n" if joined else f"{name} {format_value(value)}\n")
    return "".join(lines).encode()


def name_in(format: Format, header: Header) -> str:
    """Return the name of a family in the lines of its header."""
    # OpenMetrics names a counter without the suffix that its samples have.
    is_bare = format is Format.OPENMETRICS and header.type == "counter"
    return header.name.removesuffix("_total") if is_bare else header.name


def format_header(header: Header, format: Format) -> bytes:
    """Return the HELP and TYPE lines of a family."""
    name = name_in(format, header)
    escapes = _ESCAPES if format is Format.OPENMETRICS else _HELP_ESCAPES
    return f"# HELP {name} {header.help.translate(escapes)}\n# TYPE {name} {header.type}\n".encode()
