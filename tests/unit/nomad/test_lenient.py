"""Reading a body part by part: a part that is missing is None, and one that is wrong is a flaw too."""

from __future__ import annotations

import msgspec
import pytest

from nomad_exporter.nomad.lenient import TEXT_LIMIT, LenientDecoder


@pytest.fixture
def parts() -> LenientDecoder:
    return LenientDecoder()


def raw(content: str) -> msgspec.Raw:
    return msgspec.Raw(content.encode())


def test_a_part_is_read_as_the_kind_that_is_asked_for(parts: LenientDecoder) -> None:
    value = parts.read(raw("7"), int, "number")

    assert value == 7
    assert parts.invalid_fields == []


@pytest.mark.parametrize("content", ["", "null"], ids=["missing", "null"])
def test_a_part_that_is_not_there_is_no_flaw(parts: LenientDecoder, content: str) -> None:
    value = parts.read(raw(content), int, "number")

    assert value is None
    assert parts.invalid_fields == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('"7"', id="a text"),
        pytest.param("[7]", id="a list"),
        pytest.param("{}", id="an object"),
        pytest.param("true", id="a truth"),
        pytest.param("7.5", id="a fraction"),
        pytest.param("1e999", id="an infinity"),
        pytest.param("7" * 5000, id="five thousand digits"),
        pytest.param(str(2**31 + 1), id="more than Nomad counts"),
        pytest.param(str(-(2**31) - 1), id="less than Nomad counts"),
    ],
)
def test_a_part_of_another_kind_is_a_flaw_and_nothing_else(parts: LenientDecoder, content: str) -> None:
    value = parts.read(raw(content), int, "number")

    assert value is None
    assert parts.invalid_fields == ["number"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'"\xff"', id="bytes that are no UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="a surrogate in UTF-8"),
        pytest.param(rb'"\ud800"', id="half a surrogate pair"),
        pytest.param(rb'"\udc00 and more"', id="the other half"),
    ],
)
def test_a_text_that_is_none_is_a_flaw(parts: LenientDecoder, content: bytes) -> None:
    text = parts.text(msgspec.Raw(content), "text")

    assert text == ""
    assert parts.invalid_fields == ["text"]


def test_a_nest_too_deep_to_be_read_is_a_flaw(parts: LenientDecoder) -> None:
    value = parts.read(raw("[" * 100_000 + "]" * 100_000), dict[str, msgspec.Raw], "nest")

    assert value is None
    assert parts.invalid_fields == ["nest"]


def test_a_text_of_the_greatest_length_is_read(parts: LenientDecoder) -> None:
    assert parts.text(raw(f'"{"µ" * TEXT_LIMIT}"'), "text") == "µ" * TEXT_LIMIT


def test_a_longer_text_is_left_out(parts: LenientDecoder) -> None:
    text = parts.text(raw(f'"{"x" * (TEXT_LIMIT + 1)}"'), "text")

    assert text == ""
    assert parts.invalid_fields == ["text"]


@pytest.mark.parametrize("number", [2**31, -(2**31)])
def test_a_number_of_the_greatest_size_is_read(parts: LenientDecoder, number: int) -> None:
    assert parts.read(raw(str(number)), int, "number") == number


def test_a_part_may_have_a_limit_of_its_own(parts: LenientDecoder) -> None:
    text = parts.read(raw('"12345"'), str, "text", limit=4)

    assert text is None
    assert parts.invalid_fields == ["text"]


def test_every_flaw_is_kept_in_its_order(parts: LenientDecoder) -> None:
    parts.text(raw("7"), "first")
    parts.mark_invalid("second")

    assert parts.invalid_fields == ["first", "second"]
