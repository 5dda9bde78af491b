"""Sample lines and headers that parse back to the same values in both formats, whatever an agent puts into a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter.metrics.family import (
    Family,
    Format,
    Header,
    Sample,
    format_header,
    format_label,
    format_samples,
    format_value,
    render_family,
)
from nomad_exporter.nomad.stats import Number

GAUGE = Header("a_gauge", "gauge", "A gauge. (self: a)")
COUNTER = Header("a_counter_total", "counter", "A counter. (polls)")

READERS = {Format.TEXT: read_text, Format.OPENMETRICS: read_openmetrics}
in_both_formats = pytest.mark.parametrize(("format", "reader"), READERS.items(), ids=["text", "OpenMetrics"])

Reader = Callable[[str], Iterable[Metric]]


def page(header: Header, samples: bytes, format: Format) -> str:
    return (format_header(header, format) + samples + format.trailer).decode()


def read_value(reader: Reader, format: Format, value: str) -> str:
    """Return the value of a label after a round trip through a page."""
    [family] = reader(page(GAUGE, format_samples("a_gauge", ("a",), [((value,), 1)], 'agent="x"'), format))
    return family.samples[0].labels["a"]


@in_both_formats
@pytest.mark.parametrize(
    "value",
    [
        pytest.param('say "hello"', id="quotes"),
        pytest.param("C:\\nomad\\", id="backslashes, one at the end"),
        pytest.param("one\ntwo\n", id="line feeds"),
        pytest.param("\\n", id="a backslash and an n"),
        pytest.param('\\"\n\\', id="all of these"),
        pytest.param('"} 1\nfake{a="', id="a line of its own"),
        pytest.param("\r\t\x00\x1b\x7f\x85\u2028", id="control characters"),
        pytest.param("a,b={c} # d", id="syntax outside of quotes"),
        pytest.param(" ", id="a space"),
        pytest.param("x" * 10_000, id="ten kilobytes"),
        *(pytest.param(chr(plane << 16 | 0x2603), id=f"plane {plane} of Unicode") for plane in range(17)),
    ],
)
def test_label_survives_a_round_trip(format: Format, reader: Reader, value: str) -> None:
    assert read_value(reader, format, value) == value


@in_both_formats
@settings(deadline=None)
@given(value=st.text())
def test_any_label_survives_a_round_trip(format: Format, reader: Reader, value: str) -> None:
    assert read_value(reader, format, value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(0, "0", id="zero"),
        pytest.param(-3, "-3", id="negative"),
        pytest.param(18446744073709551615, "18446744073709551615", id="greatest index, in full"),
        pytest.param(3.7821e-05, "3.7821e-05", id="shortest exact form"),
        pytest.param(0.1 + 0.2, "0.30000000000000004", id="all digits needed"),
        pytest.param(1e22, "1e+22", id="large"),
        pytest.param(float("nan"), "NaN", id="not a number"),
        pytest.param(float("inf"), "+Inf", id="infinity"),
        pytest.param(float("-inf"), "-Inf", id="negative infinity"),
    ],
)
def test_value_is_formatted_as_go_parses_it(value: Number, text: str) -> None:
    assert format_value(value) == text


@in_both_formats
@settings(deadline=None)
@given(value=st.integers(-(2**64), 2**64) | st.floats(allow_nan=False))
def test_any_value_survives_a_round_trip(format: Format, reader: Reader, value: Number) -> None:
    [family] = reader(page(GAUGE, format_samples("a_gauge", (), [((), value)]), format))

    assert float(family.samples[0].value) == float(value)


def test_given_labels_come_first() -> None:
    samples: list[Sample] = [(("x", "y"), 1), (("", "z"), 2.5)]

    assert format_samples("a", ("b", "c"), samples, format_label("agent", "s1")) == (
        b'a{agent="s1",b="x",c="y"} 1\na{agent="s1",b="",c="z"} 2.5\n'
    )


def test_sample_without_labels_has_no_braces() -> None:
    assert format_samples("a", (), [((), 1)]) == b"a 1\n"


def test_first_of_duplicate_samples_wins() -> None:
    duplicates: list[Sample] = [(("s1",), 1), (("s2",), 2), (("s1",), 3)]
    family: Family[None] = Family("a", "A. ", "self: a", lambda _: duplicates, ("member",))

    assert render_family(family, None, "") == b'a{member="s1"} 1\na{member="s2"} 2\n'


@in_both_formats
@pytest.mark.parametrize("header", [GAUGE, COUNTER], ids=["gauge", "counter"])
def test_header_sets_type_and_help_of_its_samples(format: Format, reader: Reader, header: Header) -> None:
    [family] = reader(page(header, format_samples(header.name, (), [((), 1)]), format))

    assert (family.type, family.documentation) == (header.type, header.help)
    assert [sample.name for sample in family.samples] == [header.name]


@in_both_formats
def test_help_survives_a_round_trip(format: Format, reader: Reader) -> None:
    text = 'A "quoted" \\n help,\nof two lines.'
    [family] = reader(page(Header("a", "gauge", text), format_samples("a", (), [((), 1)]), format))

    assert family.documentation == text


@pytest.mark.parametrize(
    ("format", "escaped"), [(Format.TEXT, b'a "b"'), (Format.OPENMETRICS, b'a \\"b\\"')], ids=["text", "OpenMetrics"]
)
def test_quote_in_help_is_escaped_in_openmetrics_only(format: Format, escaped: bytes) -> None:
    assert format_header(Header("x", "gauge", 'a "b"'), format).splitlines()[0] == b"# HELP x " + escaped


def test_formats_differ_in_the_header_name_of_counters_only() -> None:
    assert format_header(COUNTER, Format.TEXT).splitlines()[1] == b"# TYPE a_counter_total counter"
    assert format_header(COUNTER, Format.OPENMETRICS).splitlines()[1] == b"# TYPE a_counter counter"
    assert format_header(GAUGE, Format.TEXT) == format_header(GAUGE, Format.OPENMETRICS)


def test_only_openmetrics_has_a_trailer() -> None:
    assert (Format.TEXT.trailer, Format.OPENMETRICS.trailer) == (b"", b"# EOF\n")
