"""What an agent is asked, and the ways in which it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nomad_exporter.demo.face.profile import Stack
from nomad_exporter.demo.versions import Version

T = TypeVar("T")

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and since when it is asked, in the cluster's time. ``token`` is what it carries in either header.

    ``lot`` is drawn once, from 0 to below 1: it decides whom an agent asks, as long as the question is held.
    """

    method: str
    path: str
    parameters: Mapping[str, list[str]]
    token: str
    since: float
    lot: float = 0.0

    def first(self, name: str) -> str:
        """The first value of a parameter; nothing where it is not there."""
        return self.parameters.get(name, [""])[0]

    def one_of(self, choices: Sequence[T]) -> T:
        """The one that was drawn."""
        return choices[int(self.lot * len(choices))]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; without a content type it has no such header."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """No answer yet: to be asked again after these seconds."""

    seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end: ``piece`` gives what there is to send at each time.

    The headers go out at once or, where ``quiet``, with the first piece that is not empty.
    """

    content_type: str
    piece: Callable[[float], bytes]
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Sampled:
    """The stacks of this process are to be taken for these seconds; ``finish`` makes the answer of them."""

    seconds: float
    finish: Callable[[list[tuple[Stack, ...]]], Answer]


Reply = Answer | Held | Stream | Sampled


def json_answer(value: Any, question: Question) -> Answer:
    """JSON as Nomad writes it, indented where ``?pretty`` asks for it."""
    pretty = "pretty" in question.parameters
    text = json.dumps(
        value, ensure_ascii=False, indent=4 if pretty else None, separators=None if pretty else (",", ":")
    )
    return Answer(200, text.encode(), JSON)


def error(version: Version, status: int, text: str) -> Answer:
    """An error as text; one version sends it without a content type."""
    return Answer(status, text.encode(), TEXT if version.errors_typed else None)


def truth(text: str) -> bool | None:
    """A truth as Go reads it; None where it is none."""
    return _TRUTHS.get(text)


_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
