"""The strict YAML reader: values stay texts, and every error is one line with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.config import yaml
from nomad_exporter.config.model import DocumentError
from nomad_exporter.config.yaml import Node


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.yml"


def parse(file: Path, text: str) -> Node:
    file.write_text(text)
    return yaml.read(file)


def error_of(file: Path, content: bytes) -> str:
    """Return the error for a document that should be a mapping, without the path of its directory."""
    file.write_bytes(content)
    with pytest.raises(DocumentError) as raised:
        yaml.read(file).entries()
    return str(raised.value).removeprefix(f"{file.parent}/")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"b:\n  a: [1", "fleet.yml:2: missing ',' or ']'", id="an open list"),
        pytest.param(b"a: {b: 1\n", "fleet.yml:1: missing ',' or '}'", id="an open mapping"),
        pytest.param(b"a: 1\n\tb: 2", "fleet.yml:2: tab in the indentation; indent with spaces", id="a tab"),
        pytest.param(b"a:\n\tb: 2", "fleet.yml:2: tab in the indentation; indent with spaces", id="a tab below a key"),
        pytest.param(
            b"\na: b: c",
            "fleet.yml:2: unexpected ': '; check the indentation, and put a value with ': ' in quotes",
            id="two colons",
        ),
        pytest.param(
            b"- a: 1\n   b: 2",
            "fleet.yml:2: unexpected ': '; check the indentation, and put a value with ': ' in quotes",
            id="a key too far to the right",
        ),
        pytest.param(
            b"a:\n  b: 1\n c: 2",
            "fleet.yml:3: wrong indentation, or text after a closing quote; keys of a mapping begin in one column",
            id="a key too far to the left",
        ),
        pytest.param(b"a: 1\nb\nc: 1", "fleet.yml:2: missing ':' after a key", id="no colon"),
        pytest.param(b"a: 'x\nb: 1\n", "fleet.yml:1: closing quote is missing", id="an open quote"),
        pytest.param(b"a: @x", "fleet.yml:1: a value that begins with @ must be in quotes", id="an at"),
        pytest.param(
            b'a: "\\q"',
            "fleet.yml:1: invalid escape sequence after \\ in double quotes; use single quotes",
            id="an escape sequence",
        ),
        pytest.param(
            b"%x", "fleet.yml:1: unexpected text; the file must be a mapping of keys to values", id="a percent sign"
        ),
        pytest.param(b"a: 1\nb: *x", "fleet.yml:2: aliases are not supported", id="an undefined alias"),
        pytest.param(b"a: &x 1\nb: *x", "fleet.yml:2: aliases are not supported", id="an alias"),
        pytest.param(b"a: &x [*x]", "fleet.yml:1: aliases are not supported", id="a recursive alias"),
        pytest.param(b"a: &x 1\n*x : 2", "fleet.yml:2: aliases are not supported", id="an alias as a key"),
        pytest.param(
            b"a: 1\n---\nb: 2",
            "fleet.yml:2: must have one document, without a second line '---'",
            id="two documents",
        ),
        pytest.param(b"a: 1\nb: 2\na: 3", "fleet.yml:3: a: duplicate key", id="a duplicate key"),
        pytest.param(b"a: 1\n'a': 3", "fleet.yml:2: a: duplicate key", id="a duplicate key in quotes"),
        pytest.param(b"# none\n- a", "fleet.yml:2: must be a mapping of keys to values", id="a list"),
        pytest.param(b"hello", "fleet.yml:1: must be a mapping of keys to values", id="a text"),
        pytest.param(b"a: \xff", "fleet.yml: not valid UTF-8", id="not UTF-8"),
        pytest.param(b"a: " + b"[" * 20_000, "fleet.yml: not valid YAML: nested too deeply", id="lists in lists"),
        pytest.param(
            b"a: " + b"{a: " * 20_000, "fleet.yml: not valid YAML: nested too deeply", id="mappings in mappings"
        ),
        pytest.param(b"- " * 20_000 + b"a", "fleet.yml: not valid YAML: nested too deeply", id="dashes after dashes"),
    ],
)
def test_invalid_document_is_refused_in_one_line(file: Path, content: bytes, line: str) -> None:
    assert error_of(file, content) == line


def test_control_characters_are_refused(file: Path) -> None:
    assert error_of(file, b"a: \x00").startswith("fleet.yml")


def test_error_names_missing_file(file: Path) -> None:
    with pytest.raises(DocumentError) as raised:
        yaml.read(file)

    assert str(raised.value) == f"{file}: No such file or directory"


def test_error_names_directory(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as raised:
        yaml.read(tmp_path)

    assert str(raised.value) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "\ufeff"])
def test_empty_file_is_empty_mapping(file: Path, text: str) -> None:
    assert parse(file, text).entries() == {}


def test_byte_order_mark_is_skipped(file: Path) -> None:
    assert [*parse(file, "\ufeffa: 1").entries()] == ["a"]


@pytest.mark.parametrize(
    "text", ["no", "false", "Yes", "on", "null", "~", "12:30:00", "007", "1e3", "0x1F", "2026-11-24", "1.10", "=", "<<"]
)
def test_values_stay_texts(file: Path, text: str) -> None:
    assert parse(file, f"a: {text}").entries()["a"].text() == text


def test_keys_stay_texts(file: Path) -> None:
    assert [*parse(file, "no: 1\n010: 2\nfalse: 3\n~: 4").entries()] == ["no", "010", "false", "~"]


def test_missing_value_is_empty_text(file: Path) -> None:
    assert parse(file, "a:").entries()["a"].text() == ""


def test_merge_key_is_an_ordinary_key(file: Path) -> None:
    assert [*parse(file, "<<: {a: 1}").entries()] == ["<<"]


def test_tags_are_ignored(file: Path) -> None:
    assert parse(file, "a: !!python/object/apply:os.getcwd [x]").entries()["a"].items()[0].text() == "x"


def test_unknown_key_is_refused_with_line_and_known_keys(file: Path) -> None:
    place = parse(file, "a: 1\nc: 2\n")

    with pytest.raises(DocumentError) as raised:
        place.entries({"b", "a"})

    assert str(raised.value) == f"{file}:2: c: unknown key; known: a, b"


def test_key_that_is_not_a_scalar_is_unknown(file: Path) -> None:
    with pytest.raises(DocumentError, match=r":1: \?: unknown key; known: a$"):
        parse(file, "[a]: 1").entries({"a"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("b: [x]", "b: must be a single value", id="a list"),
        pytest.param("b: {c: x}", "b: must be a single value", id="a mapping"),
    ],
)
def test_text_requires_scalar(file: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse(file, text).entries()["b"].text()

    assert str(raised.value) == f"{file}:1: {problem}"


@pytest.mark.parametrize("text", ["b:", "b: x", "b: {c: x}"])
def test_items_require_list(file: Path, text: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse(file, text).entries()["b"].items()

    assert str(raised.value) == f"{file}:1: b: must be a list"


def test_key_is_a_readable_path(file: Path) -> None:
    (_, second) = (
        parse(file, "agents:\n  - name: s1\n  - name: s2\n    labels:\n      rack: a\n").entries()["agents"].items()
    )
    rack = second.entries()["labels"].entries()["rack"]

    assert rack.describe("is wrong") == f"{file}:5: agents[1].labels.rack: is wrong"


def test_two_mappings_may_have_the_same_keys(file: Path) -> None:
    top = parse(file, "a: {x: 1}\nb: {x: 2}\n").entries()

    assert [top[key].entries()["x"].text() for key in "ab"] == ["1", "2"]
