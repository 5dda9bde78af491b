"""Durations in Go's notation: ``37.821µs``, ``1m2.5s``, ``768h0m0s``."""

from __future__ import annotations

import re
from fractions import Fraction

NANOSECONDS = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "µs": 10**3,
    "μs": 10**3,
    "us": 10**3,
    "ns": 1,
}

_PART = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?)(h|ms|m|s|µs|μs|us|ns)")
_DURATION = re.compile(rf"-?(?:{_PART.pattern})+")


def seconds(text: str) -> float:
    """Parse a Go duration and return its seconds. Raises ValueError if the text is not a duration."""
    if text == "0":  # The only duration without a unit.
        return 0.0
    if len(text) > 100 or not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 15s, 500ms or 1m30s")
    # The sum is exact and rounded once, so that 37.821µs is 3.7821e-05 and not the float next to it.
    total = sum(Fraction(number) * NANOSECONDS[unit] for number, unit in _PART.findall(text))
    return float(total / 10**9) * (-1 if text.startswith("-") else 1)


def text(value: float) -> str:
    """Format ``value`` seconds in the short form: ``500ms``, ``15s``, ``1h30m``."""
    value = round(value, 3)
    if value == 0:
        return "0s"
    if value < 1:
        return f"{value * 1000:g}ms"
    minutes, rest = divmod(value, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number)
