"""What an agent is asked, and the ways in which it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nomad_sim.versions import Version

T = TypeVar("T")

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, and since when it is asked, in the cluster's time. ``token`` is what it carries in either header.

    ``random_value`` is drawn once, from 0 to below 1: it decides whom an agent asks, as long as the question is held.
    """

    method: str
    path: str
    parameters: Mapping[str, list[str]]
    token: str
    received_at: float
    random_value: float = 0.0

    def first(self, name: str) -> str:
        """The first value of a parameter; nothing where it is not there."""
        return self.parameters.get(name, [""])[0]

    def choose(self, choices: Sequence[T]) -> T:
        """The one that was drawn."""
        return choices[int(self.random_value * len(choices))]


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A whole answer; without a content type it has no such header."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """No answer yet: to be asked again after these seconds."""

    seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end: ``next_chunk`` gives what there is to send at each time.

    The headers go out at once or, where ``defer_headers``, with the first piece that is not empty.
    """

    content_type: str
    next_chunk: Callable[[float], bytes]
    defer_headers: bool = False


Reply = ApiResponse | Pending | Stream


def json_response(value: Any, request: ApiRequest) -> ApiResponse:
    """JSON as Nomad writes it, indented where ``?pretty`` asks for it."""
    pretty = "pretty" in request.parameters
    text = json.dumps(
        value, ensure_ascii=False, indent=4 if pretty else None, separators=None if pretty else (",", ":")
    )
    return ApiResponse(200, text.encode(), JSON)


def error_response(version: Version, status: int, text: str) -> ApiResponse:
    """An error as text; one version sends it without a content type."""
    return ApiResponse(status, text.encode(), TEXT if version.errors_have_content_type else None)


def parse_bool(text: str) -> bool | None:
    """A truth as Go reads it; None where it is none."""
    return _BOOLS.get(text)


_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
