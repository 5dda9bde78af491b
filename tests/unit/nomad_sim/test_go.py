"""Values in Go's formats, also compared with the exporter's parser of durations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import durations
from nomad_sim import go


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.0, "0s", id="nothing"),
        pytest.param(1e-9, "1ns", id="a nanosecond"),
        pytest.param(999e-9, "999ns", id="below a microsecond"),
        pytest.param(1e-6, "1µs", id="a microsecond"),
        pytest.param(37.821e-6, "37.821µs", id="a last contact"),
        pytest.param(0.0015, "1.5ms", id="milliseconds"),
        pytest.param(0.01, "10ms", id="zeros before the point are kept"),
        pytest.param(0.999999999, "999.999999ms", id="just below a second"),
        pytest.param(1.0, "1s", id="a second"),
        pytest.param(10.107423052, "10.107423052s", id="a heartbeat"),
        pytest.param(1.000000001, "1.000000001s", id="zeros after the point are kept"),
        pytest.param(59.9999999999, "1m0s", id="rounded to nanoseconds first"),
        pytest.param(62.5, "1m2.5s", id="minutes and seconds"),
        pytest.param(3600.0, "1h0m0s", id="an hour"),
        pytest.param(2764800.0, "768h0m0s", id="a Vault token"),
        pytest.param(-0.0015, "-1.5ms", id="negative"),
        pytest.param(-90.0, "-1m30s", id="negative minutes"),
        pytest.param(1e300, "2562047h47m16.854775807s", id="above the maximum"),
        pytest.param(-1e300, "-2562047h47m16.854775808s", id="below the minimum"),
    ],
)
def test_duration_has_format_of_go(seconds: float, text: str) -> None:
    assert go.duration(seconds) == text


def test_microseconds_use_micro_sign() -> None:
    assert go.duration(1e-6) == "1\u00b5s"


@given(nanoseconds=st.integers(min_value=-(2**51), max_value=2**51))
@settings(deadline=None)
def test_duration_is_parsed_back_exactly(nanoseconds: int) -> None:
    assert durations.seconds(go.duration(nanoseconds / 10**9)) == nanoseconds / 10**9


@pytest.mark.parametrize(
    ("seconds", "nanoseconds"),
    [(0.0, 0), (15.860693119, 15860693119), (-1.5, -1500000000), (1e300, 2**63 - 1), (-1e300, -(2**63))],
)
def test_nanoseconds_are_limited_to_int64(seconds: float, nanoseconds: int) -> None:
    assert go.nanoseconds(seconds) == nanoseconds


@pytest.mark.parametrize(
    ("unix", "to_the_second", "to_the_millisecond", "to_the_microsecond"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000000Z", id="zero"),
        pytest.param(
            1795490053.323,
            "2026-11-24T03:14:13Z",
            "2026-11-24T03:14:13.323Z",
            "2026-11-24T03:14:13.323000Z",
            id="recorded",
        ),
        pytest.param(
            1795490571.999999,
            "2026-11-24T03:22:51Z",
            "2026-11-24T03:22:51.999Z",
            "2026-11-24T03:22:51.999999Z",
            id="truncated, not rounded",
        ),
        pytest.param(
            -62135596800.0,
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00.000Z",
            "0001-01-01T00:00:00.000000Z",
            id="Go's zero time",
        ),
    ],
)
def test_times_are_formatted_in_utc(
    unix: float, to_the_second: str, to_the_millisecond: str, to_the_microsecond: str
) -> None:
    assert go.rfc3339(unix) == to_the_second
    assert go.log_time(unix) == to_the_millisecond
    assert go.log_time_json(unix) == to_the_microsecond
