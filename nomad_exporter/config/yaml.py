"""A strict YAML reader: every scalar is a string with its line, and errors name the line and the key.

Duplicate keys, aliases and more than one document are refused.
"""

# YAML's own conversions never happen (``no`` is false, ``12:30:00`` is 45000): the parser of a setting reads its text.

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from nomad_exporter.config.model import DocumentError, UnreadableFile


class _Loader(yaml.SafeLoader):
    """A loader without aliases."""

    # With aliases, a document of a few lines can expand without end.
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: Any = self.get_event()  # type: ignore[no-untyped-call]  # not typed in types-pyyaml
            raise yaml.MarkedYAMLError(problem="aliases are not supported", problem_mark=alias.start_mark)
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a document. ``key`` is the path of the node, such as ``agents[1].address``."""

    node: yaml.Node
    file: Path
    key: str = ""

    @property
    def line(self) -> int:
        """The line of the value, from 1."""
        return int(self.node.start_mark.line) + 1

    def describe(self, problem: str) -> str:
        """Return ``problem`` after the file, the line and the key of this node."""
        location = f"{self.file}:{self.line}"
        return f"{location}: {self.key}: {problem}" if self.key else f"{location}: {problem}"

    def fail(self, problem: str) -> NoReturn:
        """Raise DocumentError for this node."""
        raise DocumentError(self.describe(problem))

    def text(self) -> str:
        """Return the text of a scalar, which is empty if the value is missing."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.fail("must be a single value")
        return str(self.node.value)

    def items(self) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.fail("must be a list")
        return [Node(node, self.file, f"{self.key}[{index}]") for index, node in enumerate(self.node.value)]

    def entries(self, known: Collection[str] | None = None) -> dict[str, Node]:
        """Return the values of a mapping by key; if ``known`` is set, other keys are refused."""
        if not isinstance(self.node, yaml.MappingNode):
            self.fail("must be a mapping of keys to values")
        entries: dict[str, Node] = {}
        for key, value in self.node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            printable = name if name.isprintable() else repr(name)
            entry = Node(value, self.file, f"{self.key}.{printable}" if self.key else printable)
            if name in entries:
                Node(key, self.file, entry.key).fail("duplicate key")
            if known is not None and name not in known:
                Node(key, self.file, entry.key).fail(f"unknown key; known: {', '.join(sorted(known))}")
            entries[name] = entry
        return entries


def read(file: Path) -> Node:
    """Return the document in ``file``; an empty file is an empty mapping. Raises DocumentError."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UnreadableFile(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DocumentError(f"{file}: not valid UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"{file}:{_describe_syntax_error(error)}") from None
    except yaml.YAMLError:
        raise DocumentError(f"{file}: not valid YAML: control characters are not allowed") from None
    except RecursionError:
        raise DocumentError(f"{file}: not valid YAML: nested too deeply") from None
    return Node(node or yaml.MappingNode("tag:yaml.org,2002:map", [], *_start_marks()), file)


# PyYAML describes what its parser expected. These rows describe what the user can change.
_SYNTAX_ERRORS: Sequence[tuple[str, str]] = (
    (r"found character '\\t'", "tab in the indentation; indent with spaces"),
    (r"found character '(.)'", "a value that begins with {0} must be in quotes"),
    (r"mapping values are not allowed", "unexpected ': '; check the indentation, and put a value with ': ' in quotes"),
    (r"could not find expected ':'", "missing ':' after a key"),
    (
        r"expected <block end>",
        "wrong indentation, or text after a closing quote; keys of a mapping begin in one column",
    ),
    (r"while scanning a quoted scalar", "closing quote is missing"),
    (r"unknown escape character", "invalid escape sequence after \\ in double quotes; use single quotes"),
    (r"expected '<document start>'", "unexpected text; the file must be a mapping of keys to values"),
    (r"expected ',' or '(.)'", "missing ',' or '{0}'"),
    (r"aliases are not supported", "aliases are not supported"),
    (r"expected a single document", "must have one document, without a second line '---'"),
)
"""A pattern for context and problem of an error, and the text for the user with the groups of the pattern."""


def _describe_syntax_error(error: yaml.MarkedYAMLError) -> str:
    """Return the line and the description of an error; what was not closed has the line on which it begins."""
    raw = f"{error.context}, {error.problem}"
    matches = ((re.search(pattern, raw), text) for pattern, text in _SYNTAX_ERRORS)
    text = next((text.format(*found.groups()) for found, text in matches if found), f"not valid YAML: {error.problem}")
    mark = error.context_mark if error.context_mark and "missing" in text else error.problem_mark
    return f"{mark.line + 1 if mark else 1}: {text}"


def _start_marks() -> tuple[yaml.Mark, yaml.Mark]:
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    return mark, mark
