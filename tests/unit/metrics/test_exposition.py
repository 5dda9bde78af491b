"""Lines that every reader of either format reads as what was meant, whatever an agent put into a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter.metrics.exposition import (
    Format,
    format_header,
    format_label,
    format_samples,
    format_value,
    render_family,
)
from nomad_exporter.metrics.family import Family, Header, Sample
from nomad_exporter.nomad.stats import Number

GAUGE = Header("a_gauge", "gauge", "A gauge. (self: a)")
COUNTER = Header("a_counter_total", "counter", "A counter. (polls)")

READERS = {Format.TEXT: read_text, Format.OPENMETRICS: read_openmetrics}
in_both_formats = pytest.mark.parametrize(("form", "reader"), READERS.items(), ids=["text", "OpenMetrics"])

Reader = Callable[[str], Iterable[Metric]]


def page(of: Header, found: bytes, form: Format) -> str:
    return (format_header(of, form) + found + form.end).decode()


def read_value(reader: Reader, form: Format, value: str) -> str:
    """A label's value, as it is read again from a page."""
    [family] = reader(page(GAUGE, format_samples("a_gauge", ("a",), [((value,), 1)], 'agent="x"'), form))
    return family.samples[0].labels["a"]


@in_both_formats
@pytest.mark.parametrize(
    "value",
    [
        pytest.param('say "hello"', id="quotes"),
        pytest.param("C:\\nomad\\", id="backslashes, one at the end"),
        pytest.param("one\ntwo\n", id="line feeds"),
        pytest.param("\\n", id="a backslash and an n"),
        pytest.param('\\"\n\\', id="all of them"),
        pytest.param('"} 1\nfake{a="', id="a line of its own"),
        pytest.param("\r\t\x00\x1b\x7f\x85\u2028", id="control characters"),
        pytest.param("a,b={c} # d", id="what has a meaning outside of quotes"),
        pytest.param(" ", id="a space"),
        pytest.param("x" * 10_000, id="ten kilobytes"),
        *(pytest.param(chr(plane << 16 | 0x2603), id=f"plane {plane} of Unicode") for plane in range(17)),
    ],
)
def test_a_label_is_read_as_what_was_meant(form: Format, reader: Reader, value: str) -> None:
    assert read_value(reader, form, value) == value


@in_both_formats
@settings(deadline=None)
@given(value=st.text())
def test_any_text_is_read_as_what_was_meant(form: Format, reader: Reader, value: str) -> None:
    assert read_value(reader, form, value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(0, "0", id="zero"),
        pytest.param(-3, "-3", id="below zero"),
        pytest.param(18446744073709551615, "18446744073709551615", id="the greatest index, in full"),
        pytest.param(3.7821e-05, "3.7821e-05", id="as short as it stays itself"),
        pytest.param(0.1 + 0.2, "0.30000000000000004", id="as long as it needs"),
        pytest.param(1e22, "1e+22", id="great"),
        pytest.param(float("nan"), "NaN", id="not a number"),
        pytest.param(float("inf"), "+Inf", id="infinite"),
        pytest.param(float("-inf"), "-Inf", id="infinite below zero"),
    ],
)
def test_a_number_is_written_as_go_reads_it(value: Number, text: str) -> None:
    assert format_value(value) == text


@in_both_formats
@settings(deadline=None)
@given(value=st.integers(-(2**64), 2**64) | st.floats(allow_nan=False))
def test_any_number_is_read_as_itself(form: Format, reader: Reader, value: Number) -> None:
    [family] = reader(page(GAUGE, format_samples("a_gauge", (), [((), value)]), form))

    assert float(family.samples[0].value) == float(value)


def test_the_label_of_the_agent_stands_first() -> None:
    found: list[Sample] = [(("x", "y"), 1), (("", "z"), 2.5)]

    assert format_samples("a", ("b", "c"), found, format_label("agent", "s1")) == (
        b'a{agent="s1",nomad_cluster="default",b="x",c="y"} 1\na{agent="s1",nomad_cluster="default",b="",c="z"} 2.5\n'
    )


def test_a_sample_without_labels_has_no_braces() -> None:
    assert format_samples("a", (), [((), 1)]) == b"a 1\n"


def test_of_two_samples_with_the_same_labels_the_first_one_stands() -> None:
    doubled: list[Sample] = [(("s1",), 1), (("s2",), 2), (("s1",), 3)]
    family: Family[None] = Family("a", "A. ", "self: a", lambda _: doubled, ("member",))

    assert render_family(family, None, "") == b'a{member="s1"} 1\na{member="s2"} 2\n'


@in_both_formats
@pytest.mark.parametrize("of", [GAUGE, COUNTER], ids=["gauge", "counter"])
def test_a_header_gives_its_type_and_help_to_the_samples_below(form: Format, reader: Reader, of: Header) -> None:
    [family] = reader(page(of, format_samples(of.name, (), [((), 1)]), form))

    assert (family.type, family.documentation) == (of.type, of.help)
    assert [sample.name for sample in family.samples] == [of.name]


@in_both_formats
def test_a_help_is_read_as_what_was_meant(form: Format, reader: Reader) -> None:
    told = 'A "quoted" \\n help,\nof two lines.'
    [family] = reader(page(Header("a", "gauge", told), format_samples("a", (), [((), 1)]), form))

    assert family.documentation == told


@pytest.mark.parametrize(
    ("form", "told"), [(Format.TEXT, b'a "b"'), (Format.OPENMETRICS, b'a \\"b\\"')], ids=["text", "OpenMetrics"]
)
def test_a_quote_in_a_help_is_escaped_where_the_format_wants_it(form: Format, told: bytes) -> None:
    assert format_header(Header("x", "gauge", 'a "b"'), form).splitlines()[0] == b"# HELP x " + told


def test_the_formats_differ_in_the_name_above_a_counter_alone() -> None:
    assert format_header(COUNTER, Format.TEXT).splitlines()[1] == b"# TYPE a_counter_total counter"
    assert format_header(COUNTER, Format.OPENMETRICS).splitlines()[1] == b"# TYPE a_counter counter"
    assert format_header(GAUGE, Format.TEXT) == format_header(GAUGE, Format.OPENMETRICS)


def test_only_openmetrics_has_a_mark_at_the_end() -> None:
    assert (Format.TEXT.end, Format.OPENMETRICS.end) == (b"", b"# EOF\n")
