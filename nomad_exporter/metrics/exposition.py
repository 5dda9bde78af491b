"""Sample lines and headers, the same bytes in text 0.0.4 and OpenMetrics 1.0 but for the name of a counter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from nomad_exporter.metrics.family import Family, Header, Sample, T
from nomad_exporter.nomad.stats import Number


class Format(Enum):
    """A text format of Prometheus; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"

    @property
    def end(self) -> bytes:
        """What closes a page."""
        return b"# EOF\n" if self is Format.OPENMETRICS else b""


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def format_label(name: str, value: str) -> str:
    """``name="value"``, escaped."""
    return f'{name}="{value.translate(_ESCAPES)}"'


def format_value(value: Number) -> str:
    """A number as Go writes it: an integer in full, anything else as short as it stays itself."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return repr(value)


def render_family(family: Family[T], of: T, first: str) -> bytes:
    """The lines of ``family`` for ``of``; ``first`` is the label that stands before its own, such as ``agent="a"``.

    Of two samples with the same labels the first one stands: a doubled series would cost Prometheus the whole page.
    """
    found: dict[tuple[str, ...], Number] = {}
    for values, value in family.samples(of):
        found.setdefault(values, value)
    return format_samples(family.name, family.labels, found.items(), first)


def format_samples(name: str, names: Sequence[str], found: Iterable[Sample], first: str = "") -> bytes:
    """One line a sample, each with its line feed."""
    made = []
    for values, value in found:
        own = (format_label(name_of, value_of) for name_of, value_of in zip(names, values, strict=True))
        labels = ",".join(filter(None, (first, *own)))
        made.append(f"{name}{{{labels}}} {format_value(value)}\n" if labels else f"{name} {format_value(value)}\n")
    return "".join(made).encode()


def format_header(of: Header, form: Format) -> bytes:
    """The HELP and TYPE lines of a family."""
    name = of.name.removesuffix("_total") if form is Format.OPENMETRICS and of.type == "counter" else of.name
    escapes = _ESCAPES if form is Format.OPENMETRICS else _HELP_ESCAPES
    return f"# HELP {name} {of.help.translate(escapes)}\n# TYPE {name} {of.type}\n".encode()
