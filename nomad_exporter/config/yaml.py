"""A strict YAML reader: every scalar is a string with its line, and errors name the line and the key.

Duplicate keys, aliases and more than one document are refused.
"""

# YAML's own conversions never happen (``no`` is false, ``12:30:00`` is 45000): the parser of a setting reads its text.

from __future__ import annotations

from collections.abc import Collection
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
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DocumentError(f"{file}{line}: {_problem(error)}") from None
    except yaml.YAMLError:
        raise DocumentError(f"{file}: not valid YAML: control characters are not allowed") from None
    except RecursionError:
        raise DocumentError(f"{file}: not valid YAML: nested too deeply") from None
    return Node(node or yaml.MappingNode("tag:yaml.org,2002:map", [], *_start_marks()), file)


def _problem(error: yaml.MarkedYAMLError) -> str:
    # The problem of a ComposerError continues the sentence of its context.
    needs_context = isinstance(error, yaml.composer.ComposerError) and error.context
    return f"{error.context}, {error.problem}" if needs_context else error.problem or "not valid YAML"


def _start_marks() -> tuple[yaml.Mark, yaml.Mark]:
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    return mark, mark
