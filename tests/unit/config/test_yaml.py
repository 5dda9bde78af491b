"""A YAML document read strictly: what is wrong is one line with the file, the line and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.config import yaml
from nomad_exporter.config.yaml import DocumentError, Node


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.yml"


def written(file: Path, text: str) -> Node:
    file.write_text(text)
    return yaml.read(file)


def refusal(file: Path, content: bytes) -> str:
    """Why a document is refused that should be a mapping; without the path of its folder."""
    file.write_bytes(content)
    with pytest.raises(DocumentError) as refused:
        yaml.read(file).entries()
    return str(refused.value).removeprefix(f"{file.parent}/")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"a: [1", "fleet.yml:1: expected ',' or ']', but got '<stream end>'", id="an open list"),
        pytest.param(b"a: 1\n\tb: 2", "fleet.yml:2: found character '\\t' that cannot start any token", id="a tab"),
        pytest.param(b"\na: b: c", "fleet.yml:2: mapping values are not allowed here", id="two colons"),
        pytest.param(b"a: 1\nb: *x", "fleet.yml:2: aliases are not accepted", id="an alias of nothing"),
        pytest.param(b"a: &x 1\nb: *x", "fleet.yml:2: aliases are not accepted", id="an alias"),
        pytest.param(b"a: &x [*x]", "fleet.yml:1: aliases are not accepted", id="an alias of what it stands in"),
        pytest.param(b"a: &x 1\n*x : 2", "fleet.yml:2: aliases are not accepted", id="an alias as a key"),
        pytest.param(
            b"a: 1\n---\nb: 2",
            "fleet.yml:2: expected a single document in the stream, but found another document",
            id="two documents",
        ),
        pytest.param(b"a: 1\nb: 2\na: 3", "fleet.yml:3: a: is given twice", id="a doubled key"),
        pytest.param(b"a: 1\n'a': 3", "fleet.yml:2: a: is given twice", id="a doubled key in quotes"),
        pytest.param(b"# none\n- a", "fleet.yml:2: must be a mapping of keys to values", id="a list"),
        pytest.param(b"hello", "fleet.yml:1: must be a mapping of keys to values", id="a text"),
        pytest.param(b"a: \xff", "fleet.yml: not a text in UTF-8", id="not UTF-8"),
        pytest.param(b"a: " + b"[" * 100_000, "fleet.yml: not YAML: it is nested too deeply", id="lists in lists"),
        pytest.param(
            b"a: " + b"{a: " * 100_000, "fleet.yml: not YAML: it is nested too deeply", id="mappings in mappings"
        ),
        pytest.param(b"- " * 20_000 + b"a", "fleet.yml: not YAML: it is nested too deeply", id="dashes after dashes"),
    ],
)
def test_what_is_no_strict_document_is_refused_in_one_line(file: Path, content: bytes, line: str) -> None:
    assert refusal(file, content) == line


def test_control_characters_are_refused(file: Path) -> None:
    assert refusal(file, b"a: \x00").startswith("fleet.yml")


def test_a_file_that_is_missing_is_named(file: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        yaml.read(file)

    assert str(refused.value) == f"{file}: No such file or directory"


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        yaml.read(tmp_path)

    assert str(refused.value) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(file: Path, text: str) -> None:
    assert written(file, text).entries() == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    assert [*written(file, "\ufeffa: 1").entries()] == ["a"]


@pytest.mark.parametrize(
    "text", ["no", "false", "Yes", "on", "null", "~", "12:30:00", "007", "1e3", "0x1F", "2026-11-24", "1.10", "=", "<<"]
)
def test_every_value_is_the_text_that_stands_there(file: Path, text: str) -> None:
    assert written(file, f"a: {text}").entries()["a"].text() == text


def test_every_key_is_the_text_that_stands_there(file: Path) -> None:
    assert [*written(file, "no: 1\n010: 2\nfalse: 3\n~: 4").entries()] == ["no", "010", "false", "~"]


def test_nothing_is_an_empty_text(file: Path) -> None:
    assert written(file, "a:").entries()["a"].text() == ""


def test_a_merge_key_merges_nothing(file: Path) -> None:
    assert [*written(file, "<<: {a: 1}").entries()] == ["<<"]


def test_a_tag_makes_nothing_of_a_text(file: Path) -> None:
    assert written(file, "a: !!python/object/apply:os.getcwd [x]").entries()["a"].items()[0].text() == "x"


def test_an_unknown_key_is_told_with_its_line_and_those_that_are_known(file: Path) -> None:
    place = written(file, "a: 1\nc: 2\n")

    with pytest.raises(DocumentError) as refused:
        place.entries({"b", "a"})

    assert str(refused.value) == f"{file}:2: c: unknown key; known: a, b"


def test_a_key_that_is_no_text_is_unknown(file: Path) -> None:
    with pytest.raises(DocumentError, match=r":1: \?: unknown key; known: a$"):
        written(file, "[a]: 1").entries({"a"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("b: [x]", "b: must be one value", id="a list"),
        pytest.param("b: {c: x}", "b: must be one value", id="a mapping"),
    ],
)
def test_what_is_not_one_value_is_refused_where_a_text_belongs(file: Path, text: str, why: str) -> None:
    with pytest.raises(DocumentError) as refused:
        written(file, text).entries()["b"].text()

    assert str(refused.value) == f"{file}:1: {why}"


@pytest.mark.parametrize("text", ["b:", "b: x", "b: {c: x}"])
def test_what_is_no_list_is_refused_where_one_belongs(file: Path, text: str) -> None:
    with pytest.raises(DocumentError) as refused:
        written(file, text).entries()["b"].items()

    assert str(refused.value) == f"{file}:1: b: must be a list"


def test_a_place_is_told_as_a_person_reads_it(file: Path) -> None:
    (_, second) = (
        written(file, "agents:\n  - name: s1\n  - name: s2\n    labels:\n      rack: a\n").entries()["agents"].items()
    )
    rack = second.entries()["labels"].entries()["rack"]

    assert rack.told("is wrong") == f"{file}:5: agents[1].labels.rack: is wrong"


def test_the_keys_of_one_mapping_may_stand_in_another(file: Path) -> None:
    top = written(file, "a: {x: 1}\nb: {x: 2}\n").entries()

    assert [top[key].entries()["x"].text() for key in "ab"] == ["1", "2"]
