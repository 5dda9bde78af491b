"""Retired names and terms stay out of the code, the tests and the documents."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SELF = Path(__file__).resolve()

PACKAGES = ("nomad_exporter", "nomad_sim", "tools")
DOCUMENTS = ("*.md", "docs/*.md", "examples/*", ".github/**/*.yml", "Makefile", "pyproject.toml")

RETIRED_NAMES = (
    *("not_enough_witnesses", "no_margin", "not_answering", "not_readable"),
    *("contact_lost", "apply_lagging", "views_disagree", "answers_again"),
    *("nomad_exporter_poll_flaws", "nomad_exporter_polls_missed_total"),
    "nomad_exporter_tls_peer_not_after_timestamp_seconds",
    "nomad_exporter_tls_client_not_after_timestamp_seconds",
    *("nomad_agent_quorum_voters_well", "nomad_agent_quorum_needed"),
    *("--verdict.attempts", "NOMAD_EXPORTER_VERDICT_ATTEMPTS"),
    *("--verdict.max-contact", "NOMAD_EXPORTER_VERDICT_MAX_CONTACT"),
    *("thaw", "decrypt"),
)
"""Public names of earlier drafts that are no ordinary words."""

RETIRED_TERMS = re.compile(
    r"\b(tells?|told|telling|words|(?<!as )well(?!-)|unwell|sick|gives?|stands?|bears?|borne|befalls?|lest|anew|whoever"
    r"|so many|in vain|for ever|deeds?|sights?|faces?|doors?|as it is)\b",
    re.IGNORECASE,
)
"""Terms that readers had to translate; the field's own terms replace them."""

QUOTATIONS = ("ignore-words-list",)
"""Texts of Nomad and names of other tools that hold such a term."""


def product_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def documents() -> list[Path]:
    return sorted({path for pattern in DOCUMENTS for path in ROOT.glob(pattern) if path.is_file()})


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every string, comment and name of a Python file, or of every line of a document."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string.replace("_", " ")
        elif token.type not in (tokenize.OP, tokenize.NUMBER):
            yield token.start[0], token.string


def retired_terms(path: Path) -> list[str]:
    found = []
    for line, text in prose_of(path):
        for quotation in QUOTATIONS:
            text = text.replace(quotation, "")
        found += [f"{path.relative_to(ROOT)}:{line}: {match[0]}" for match in RETIRED_TERMS.finditer(text)]
    return found


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*product_files(), *documents()], ids=relative)
def test_prose_avoids_retired_terms(path: Path) -> None:
    assert retired_terms(path) == []


def test_test_names_avoid_retired_terms() -> None:
    names = [
        f"{relative(path)}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and RETIRED_TERMS.search(node.name.replace("_", " "))
    ]

    assert names == []


@pytest.mark.parametrize("name", RETIRED_NAMES)
def test_retired_names_are_gone(name: str) -> None:
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?!\w)")
    tests = [path for path in (ROOT / "tests").rglob("*") if path.suffix in {".py", ".txt"} and path != SELF]
    users = [path for path in (*product_files(), *documents(), *tests) if pattern.search(path.read_text())]

    assert list(map(relative, users)) == []


def test_term_rule_recognizes_terms_and_allowances() -> None:
    assert RETIRED_TERMS.findall("It tells whoever asks; all is well") == ["tells", "whoever", "well"]
    assert not RETIRED_TERMS.search("interface, surface, standard, as well, well-known, forgiven")
