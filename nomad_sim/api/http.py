"""Requests to an agent, its responses, and helpers for both."""

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
    """A request and the time at which it was received, in the cluster's time.

    ``token`` is the ACL token of either header. ``random_value``, from 0 to below 1, is drawn once per request, so that
    the agent forwards a pending request to the same server each time.
    """

    method: str
    path: str
    parameters: Mapping[str, list[str]]
    token: str
    received_at: float
    random_value: float = 0.0

    def first(self, name: str) -> str:
        """Return the first value of a query parameter; an empty string if the parameter is missing."""
        return self.parameters.get(name, [""])[0]

    def choose(self, choices: Sequence[T]) -> T:
        """Return the item that ``random_value`` selects."""
        return choices[int(self.random_value * len(choices))]


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A complete response; no Content-Type header if ``content_type`` is None."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """No response yet: the request is to be handled again after ``seconds``."""

    seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """An endless response: ``next_chunk`` returns the bytes to send at a time.

    The headers are sent at once or, if ``defer_headers``, with the first chunk that is not empty.
    """

    content_type: str
    next_chunk: Callable[[float], bytes]
    defer_headers: bool = False


Reply = ApiResponse | Pending | Stream


def json_response(value: Any, request: ApiRequest) -> ApiResponse:
    """Return JSON as Nomad formats it, indented if ``pretty`` is set."""
    pretty = "pretty" in request.parameters
    text = json.dumps(
        value, ensure_ascii=False, indent=4 if pretty else None, separators=None if pretty else (",", ":")
    )
    return ApiResponse(200, text.encode(), JSON)


def error_response(version: Version, status: int, text: str) -> ApiResponse:
    """Return an error as plain text; Nomad 1.6 sends it without a content type."""
    return ApiResponse(status, text.encode(), TEXT if version.errors_have_content_type else None)


def parse_bool(text: str) -> bool | None:
    """Parse a boolean as Go's ``strconv.ParseBool`` does; return None if it is invalid."""
    return _BOOLS.get(text)


_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
