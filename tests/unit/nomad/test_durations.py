"""Durations: every form that Go writes is read exactly, and what people read is read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0", 0.0, id="zero needs no unit"),
        pytest.param("0s", 0.0, id="zero with its unit"),
        pytest.param("15s", 15.0, id="seconds"),
        pytest.param("10.107423052s", 10.107423052, id="a heartbeat"),
        pytest.param("37.821µs", 3.7821e-05, id="micro sign"),
        pytest.param("37.821μs", 3.7821e-05, id="Greek mu"),
        pytest.param("37.821us", 3.7821e-05, id="u for micro"),
        pytest.param("3ns", 3e-09, id="nanoseconds"),
        pytest.param("1.5ms", 0.0015, id="milliseconds"),
        pytest.param("1m2.5s", 62.5, id="minutes and seconds"),
        pytest.param("768h0m0s", 2764800.0, id="a Vault token"),
        pytest.param("2562047h47m16.854775807s", 9223372036.854775807, id="the longest"),
        pytest.param("-1m30s", -90.0, id="negative"),
        pytest.param("1.s", 1.0, id="a point without decimals"),
    ],
)
def test_a_duration_of_go_is_read_to_the_last_digit(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("15", id="no unit"),
        pytest.param("never", id="a word"),
        pytest.param("s", id="no number"),
        pytest.param(".5s", id="no digit before the point"),
        pytest.param("1..5s", id="two points"),
        pytest.param("1d", id="a unit that Go lacks"),
        pytest.param("15S", id="a unit in upper case"),
        pytest.param("15 s", id="a space"),
        pytest.param("15s\n", id="a line feed"),
        pytest.param("1e3s", id="an exponent"),
        pytest.param("+1s", id="a plus"),
        pytest.param("--1s", id="two signs"),
        pytest.param("1s-1s", id="a sign inside"),
        pytest.param("١s", id="a digit of another script"),
        pytest.param("123456789012345678901s", id="more digits than Go has"),
        pytest.param("1s" * 51, id="endless"),
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration such as 15s, 500ms or 1m30s"):
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
def test_seconds_are_written_as_a_person_writes_them(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text


@given(milliseconds=st.integers(min_value=10, max_value=86_400_000).map(lambda number: number - number % 10))
@settings(deadline=None)
def test_what_was_written_for_a_person_is_read_back(milliseconds: int) -> None:
    written = durations.text(milliseconds / 1000)

    assert durations.seconds(written) == pytest.approx(milliseconds / 1000, rel=1e-5)


def as_go(nanoseconds: int) -> str:
    """As Go's ``time.Duration.String`` writes a time of at least a second."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    point = f".{fraction:09}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}{point}s"


@given(nanoseconds=st.integers(min_value=10**9, max_value=2**63 - 1))
@settings(deadline=None)
def test_whatever_go_writes_is_read_as_the_nearest_number(nanoseconds: int) -> None:
    assert durations.seconds(as_go(nanoseconds)) == nanoseconds / 10**9


@given(text=st.text(alphabet="0123456789.-hmsnuµμ "))
@settings(deadline=None)
def test_a_text_that_resembles_a_duration_is_read_as_a_number_or_refused_with_words(text: str) -> None:
    try:
        told: object = durations.seconds(text)
    except ValueError as error:
        told = str(error)

    assert isinstance(told, float) or told == "not a duration such as 15s, 500ms or 1m30s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9999999, "1s"), (59.9999999, "1m"), (3599.9999999, "1h"), (1e-8, "0s")]
)
def test_what_is_as_good_as_a_round_number_is_written_as_one(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text
