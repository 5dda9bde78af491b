"""Durations: Go's notation is parsed exactly, and the short form is parsed again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0", 0.0, id="zero without a unit"),
        pytest.param("0s", 0.0, id="zero with a unit"),
        pytest.param("15s", 15.0, id="seconds"),
        pytest.param("10.107423052s", 10.107423052, id="heartbeat"),
        pytest.param("37.821µs", 3.7821e-05, id="micro sign"),
        pytest.param("37.821μs", 3.7821e-05, id="Greek mu"),
        pytest.param("37.821us", 3.7821e-05, id="u as micro"),
        pytest.param("3ns", 3e-09, id="nanoseconds"),
        pytest.param("1.5ms", 0.0015, id="milliseconds"),
        pytest.param("1m2.5s", 62.5, id="minutes and seconds"),
        pytest.param("768h0m0s", 2764800.0, id="TTL of a Vault token"),
        pytest.param("2562047h47m16.854775807s", 9223372036.854775807, id="longest"),
        pytest.param("-1m30s", -90.0, id="negative"),
        pytest.param("1.s", 1.0, id="point without decimals"),
    ],
)
def test_go_duration_is_parsed_exactly(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("15", id="no unit"),
        pytest.param("never", id="word"),
        pytest.param("s", id="no number"),
        pytest.param(".5s", id="no digit before the point"),
        pytest.param("1..5s", id="two points"),
        pytest.param("1d", id="unknown unit"),
        pytest.param("15S", id="unit in upper case"),
        pytest.param("15 s", id="space"),
        pytest.param("15s\n", id="line feed"),
        pytest.param("1e3s", id="exponent"),
        pytest.param("+1s", id="plus sign"),
        pytest.param("--1s", id="two signs"),
        pytest.param("1s-1s", id="sign inside"),
        pytest.param("١s", id="digit of another script"),
        pytest.param("123456789012345678901s", id="more digits than in Go"),
        pytest.param("1s" * 51, id="too long"),
    ],
)
def test_other_text_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 15s, 500ms or 1m30s"):
        durations.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.0, "0s", id="zero"),
        pytest.param(0.01, "10ms", id="10ms"),
        pytest.param(0.5, "500ms", id="half a second"),
        pytest.param(1.0, "1s", id="a second"),
        pytest.param(4.5, "4.5s", id="seconds and a half"),
        pytest.param(60.0, "1m", id="a minute"),
        pytest.param(90.0, "1m30s", id="a minute and a half"),
        pytest.param(86400.0, "24h", id="a day"),
    ],
)
def test_seconds_are_formatted_in_short_form(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text


@given(milliseconds=st.integers(min_value=10, max_value=86_400_000).map(lambda number: number - number % 10))
@settings(deadline=None)
def test_formatted_duration_is_parsed_again(milliseconds: int) -> None:
    formatted = durations.text(milliseconds / 1000)

    assert durations.seconds(formatted) == pytest.approx(milliseconds / 1000, rel=1e-5)


def format_go(nanoseconds: int) -> str:
    """Format a duration of at least a second like Go's ``time.Duration.String``."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    point = f".{fraction:09}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}{point}s"


@given(nanoseconds=st.integers(min_value=10**9, max_value=2**63 - 1))
@settings(deadline=None)
def test_go_duration_is_parsed_to_nearest_float(nanoseconds: int) -> None:
    assert durations.seconds(format_go(nanoseconds)) == nanoseconds / 10**9


@given(text=st.text(alphabet="0123456789.-hmsnuµμ "))
@settings(deadline=None)
def test_similar_text_is_parsed_or_rejected(text: str) -> None:
    try:
        result: object = durations.seconds(text)
    except ValueError as error:
        result = str(error)

    assert isinstance(result, float) or result == "must be a duration such as 15s, 500ms or 1m30s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9999999, "1s"), (59.9999999, "1m"), (3599.9999999, "1h"), (1e-8, "0s")]
)
def test_formatted_duration_is_rounded(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text
