"""Lenient decoding: a missing value is None; a wrong value is None and listed as invalid."""

from __future__ import annotations

import msgspec
import pytest

from nomad_exporter.nomad.lenient import INTEGER, OBJECT, TEXT, TEXT_LIMIT, LenientDecoder


@pytest.fixture
def decoder() -> LenientDecoder:
    return LenientDecoder()


def raw(content: str) -> msgspec.Raw:
    return msgspec.Raw(content.encode())


def test_value_is_decoded_as_requested_kind(decoder: LenientDecoder) -> None:
    value = decoder.read(raw("7"), INTEGER, "number")

    assert value == 7
    assert decoder.invalid_fields == []


@pytest.mark.parametrize("content", ["", "null"], ids=["missing", "null"])
def test_missing_value_is_valid(decoder: LenientDecoder, content: str) -> None:
    value = decoder.read(raw(content), INTEGER, "number")

    assert value is None
    assert decoder.invalid_fields == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('"7"', id="text"),
        pytest.param("[7]", id="list"),
        pytest.param("{}", id="object"),
        pytest.param("true", id="boolean"),
        pytest.param("7.5", id="fraction"),
        pytest.param("1e999", id="infinity"),
        pytest.param("7" * 5000, id="5000 digits"),
        pytest.param(str(2**31 + 1), id="above the maximum"),
        pytest.param(str(-(2**31) - 1), id="below the minimum"),
    ],
)
def test_value_of_another_kind_is_invalid(decoder: LenientDecoder, content: str) -> None:
    value = decoder.read(raw(content), INTEGER, "number")

    assert value is None
    assert decoder.invalid_fields == ["number"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate in UTF-8"),
        pytest.param(rb'"\ud800"', id="high surrogate alone"),
        pytest.param(rb'"\udc00 and more"', id="low surrogate alone"),
    ],
)
def test_text_that_is_not_utf_8_is_invalid(decoder: LenientDecoder, content: bytes) -> None:
    text = decoder.text(msgspec.Raw(content), "text")

    assert text == ""
    assert decoder.invalid_fields == ["text"]


def test_too_deep_nesting_is_invalid(decoder: LenientDecoder) -> None:
    value = decoder.read(raw("[" * 100_000 + "]" * 100_000), OBJECT, "nested")

    assert value is None
    assert decoder.invalid_fields == ["nested"]


def test_text_of_maximum_length_is_decoded(decoder: LenientDecoder) -> None:
    for text in ("x" * TEXT_LIMIT, "µ" * (TEXT_LIMIT // 2)):
        assert decoder.text(raw(f'"{text}"'), "text") == text


@pytest.mark.parametrize("long", ["x" * (TEXT_LIMIT + 1), "µ" * (TEXT_LIMIT // 2) + "x"], ids=["ASCII", "others"])
def test_longer_text_is_invalid(long: str, decoder: LenientDecoder) -> None:
    text = decoder.text(raw(f'"{long}"'), "text")

    assert text == ""
    assert decoder.invalid_fields == ["text"]


@pytest.mark.parametrize("number", [2**31, -(2**31)])
def test_integer_of_maximum_size_is_decoded(decoder: LenientDecoder, number: int) -> None:
    assert decoder.read(raw(str(number)), INTEGER, "number") == number


def test_limit_can_be_set_for_one_text(decoder: LenientDecoder) -> None:
    text = decoder.read(raw('"12345"'), TEXT, "text", limit=4)

    assert text is None
    assert decoder.invalid_fields == ["text"]


def test_invalid_fields_are_recorded_in_order(decoder: LenientDecoder) -> None:
    decoder.text(raw("7"), "first")
    decoder.mark_invalid("second")

    assert decoder.invalid_fields == ["first", "second"]
