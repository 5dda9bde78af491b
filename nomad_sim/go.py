"""Values as Go writes them: ``37.821µs``, ``2026-11-24T03:18:58Z``."""

from __future__ import annotations

from datetime import UTC, datetime

_BELOW_A_SECOND = ((6, "ms"), (3, "µs"), (0, "ns"))
_LONGEST = 2**63 - 1


def nanoseconds(seconds: float) -> int:
    """The nanoseconds of a ``time.Duration``, which ends at some 292 years in either direction."""
    return round(max(-_LONGEST - 1, min(_LONGEST, seconds * 10**9)))


def duration(seconds: float) -> str:
    """As ``time.Duration`` is written: ``0s``, ``1.5ms``, ``1m2.5s``, ``768h0m0s``; to the nanosecond."""
    total = nanoseconds(seconds)
    return f"-{_positive(-total)}" if total < 0 else _positive(total)


def rfc3339(unix: float) -> str:
    """A time in UTC, to the second: ``2026-11-24T03:18:58Z``."""
    return _time(unix, "seconds")


def log_time(unix: float) -> str:
    """A time in UTC as it begins a line of a log, to the millisecond: ``2026-11-24T03:14:13.323Z``."""
    return _time(unix, "milliseconds")


def log_time_json(unix: float) -> str:
    """A time in UTC as a line of a log in JSON has it, to the microsecond: ``2026-11-24T03:22:51.942420Z``."""
    return _time(unix, "microseconds")


def _positive(total: int) -> str:
    if total == 0:
        return "0s"
    if total < 10**9:
        digits, unit = next(pair for pair in _BELOW_A_SECOND if total >= 10 ** pair[0])
        return _decimal(total, digits) + unit
    minutes, rest = divmod(total, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, f"{hours}h"), (hours or minutes, f"{minutes}m"))
    return "".join(text for told, text in parts if told) + _decimal(rest, 9) + "s"


def _decimal(total: int, digits: int) -> str:
    """``total`` with so many digits behind the point, but no zeros at its end."""
    whole, rest = divmod(total, 10**digits)
    return f"{whole}.{rest:0{digits}}".rstrip("0").rstrip(".")


def _time(unix: float, precision: str) -> str:
    """What is finer than ``precision`` is cut off, as Go does."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
