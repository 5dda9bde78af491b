"""A YAML document, read strictly: every text keeps its line, and what is wrong is named by line and key.

All scalars are texts, read later by the readers of the settings: YAML's own guesses (``no`` is false, ``12:30:00`` is
45000) never happen. Doubled keys, aliases and more than one document are refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml


class DocumentError(Exception):
    """Something is wrong in a document; the text is one line with the file, the line and the key."""


class _Loader(yaml.SafeLoader):
    """A loader without aliases, with which a small document can be endless."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: Any = self.get_event()  # type: ignore[no-untyped-call]  # its types lack this one
            raise yaml.MarkedYAMLError(problem="aliases are not accepted", problem_mark=alias.start_mark)
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a document: ``key`` is its place as a person reads it, such as ``agents[1].address``."""

    node: yaml.Node
    file: Path
    key: str = ""

    @property
    def line(self) -> int:
        """The line of its value, from 1."""
        return int(self.node.start_mark.line) + 1

    def told(self, why: str) -> str:
        """``why``, with the file, the line and the key of this part."""
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {why}" if self.key else f"{where}: {why}"

    def fail(self, why: str) -> NoReturn:
        """Raises DocumentError for this part."""
        raise DocumentError(self.told(why))

    def text(self) -> str:
        """The text that stands here; empty where nothing does."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.fail("must be one value")
        return str(self.node.value)

    def items(self) -> list[Node]:
        """The parts of the list that stands here."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.fail("must be a list")
        return [Node(node, self.file, f"{self.key}[{number}]") for number, node in enumerate(self.node.value)]

    def entries(self, known: Collection[str] | None = None) -> dict[str, Node]:
        """The parts of the mapping that stands here, by key; with ``known``, no other key is accepted."""
        if not isinstance(self.node, yaml.MappingNode):
            self.fail("must be a mapping of keys to values")
        found: dict[str, Node] = {}
        for key, value in self.node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            shown = name if name.isprintable() else repr(name)
            entry = Node(value, self.file, f"{self.key}.{shown}" if self.key else shown)
            if name in found:
                Node(key, self.file, entry.key).fail("is given twice")
            if known is not None and name not in known:
                Node(key, self.file, entry.key).fail(f"unknown key; known: {', '.join(sorted(known))}")
            found[name] = entry
        return found


def read(file: Path) -> Node:
    """The document in ``file``, an empty one as an empty mapping. Raises DocumentError."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise DocumentError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DocumentError(f"{file}: not a text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DocumentError(f"{file}{line}: {_words(error)}") from None
    except yaml.YAMLError:
        raise DocumentError(f"{file}: not YAML: it holds characters that no text has") from None
    except RecursionError:
        raise DocumentError(f"{file}: not YAML: it is nested too deeply") from None
    return Node(node or yaml.MappingNode("tag:yaml.org,2002:map", [], *_start()), file)


def _words(error: yaml.MarkedYAMLError) -> str:
    """What is wrong; the composer's words are half a sentence without their context."""
    whole = isinstance(error, yaml.composer.ComposerError) and error.context
    return f"{error.context}, {error.problem}" if whole else error.problem or "not YAML"


def _start() -> tuple[yaml.Mark, yaml.Mark]:
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    return mark, mark
