"""Values in the formats of Go's standard library: ``37.821µs``, ``2026-11-24T03:18:58Z``."""

from __future__ import annotations

from datetime import UTC, datetime

_SUBSECOND_UNITS = ((6, "ms"), (3, "µs"), (0, "ns"))
_MAX_NANOSECONDS = 2**63 - 1


def nanoseconds(seconds: float) -> int:
    """Return a duration as the integer of a ``time.Duration``, which is limited to about ±292 years."""
    return round(max(-_MAX_NANOSECONDS - 1, min(_MAX_NANOSECONDS, seconds * 10**9)))


def duration(seconds: float) -> str:
    """Return a duration as ``time.Duration.String`` does: ``0s``, ``1.5ms``, ``1m2.5s``, ``768h0m0s``."""
    total = nanoseconds(seconds)
    return f"-{_format_positive(-total)}" if total < 0 else _format_positive(total)


def rfc3339(unix: float) -> str:
    """Return a Unix time in the format ``time.RFC3339``, in UTC: ``2026-11-24T03:18:58Z``."""
    return _format_time(unix, "seconds")


def join_host_port(host: str, port: int) -> str:
    """Return ``host:port``, as ``net.JoinHostPort`` does."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def log_time(unix: float) -> str:
    """Return the timestamp of a log line, in milliseconds: ``2026-11-24T03:14:13.323Z``."""
    return _format_time(unix, "milliseconds")


def log_time_json(unix: float) -> str:
    """Return the timestamp of a log line in JSON, in microseconds: ``2026-11-24T03:22:51.942420Z``."""
    return _format_time(unix, "microseconds")


def _format_positive(total: int) -> str:
    if total == 0:
        return "0s"
    if total < 10**9:
        digits, unit = next(pair for pair in _SUBSECOND_UNITS if total >= 10 ** pair[0])
        return _format_decimal(total, digits) + unit
    minutes, rest = divmod(total, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, f"{hours}h"), (hours or minutes, f"{minutes}m"))
    return "".join(text for amount, text in parts if amount) + _format_decimal(rest, 9) + "s"


def _format_decimal(total: int, digits: int) -> str:
    """Return ``total / 10**digits`` as a decimal without trailing zeros."""
    whole, rest = divmod(total, 10**digits)
    return f"{whole}.{rest:0{digits}}".rstrip("0").rstrip(".")


def _format_time(unix: float, precision: str) -> str:
    """Return a Unix time as an ISO 8601 text in UTC, truncated to ``precision`` as Go does."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
