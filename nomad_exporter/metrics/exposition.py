"""The text formats of Prometheus: sample lines and the headers above them.

Text 0.0.4 and OpenMetrics 1.0 share the sample lines; they differ in the headers and in the trailer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from nomad_exporter.metrics.family import Family, Header, Sample, T
from nomad_exporter.nomad.stats import Number


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

    ``labels`` are formatted labels to put before those of each sample, such as ``agent="a"``. If two samples have equal
    labels, only the first is rendered.
    """
    # Prometheus rejects the whole scrape if a series is duplicated.
    unique: dict[tuple[str, ...], Number] = {}
    for values, value in family.samples(subject):
        unique.setdefault(values, value)
    return format_samples(family.name, family.labels, unique.items(), labels)


def format_samples(name: str, label_names: Sequence[str], samples: Iterable[Sample], labels: str = "") -> bytes:
    """Return one line per sample, each ending in a line feed; ``labels`` come before those of the sample."""
    lines = []
    for values, value in samples:
        pairs = (format_label(*pair) for pair in zip(label_names, values, strict=True))
        joined = ",".join(filter(None, (labels, *pairs)))
        lines.append(f"{name}{{{joined}}} {format_value(value)}\n" if joined else f"{name} {format_value(value)}\n")
    return "".join(lines).encode()


def format_header(header: Header, format: Format) -> bytes:
    """Return the HELP and TYPE lines of a family."""
    # OpenMetrics names a counter without the suffix that its samples have.
    is_bare = format is Format.OPENMETRICS and header.type == "counter"
    name = header.name.removesuffix("_total") if is_bare else header.name
    escapes = _ESCAPES if format is Format.OPENMETRICS else _HELP_ESCAPES
    return f"# HELP {name} {header.help.translate(escapes)}\n# TYPE {name} {header.type}\n".encode()
