"""A request and a response, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"

_NEVER_KEPT = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names are in lower case. ``query`` is undecoded, as on the wire."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, list[str]]:
        """The values of each parameter, empty ones included."""
        return parse_qs(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; it is never kept by a cache, for it tells the present."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> Mapping[str, str]:
        length = {"Content-Length": str(len(self.body))}
        return {"Content-Type": self.content_type, **_NEVER_KEPT, **self.headers, **length}

    def with_header(self, name: str, value: str) -> Response:
        return replace(self, headers={**self.headers, name: value})


def text(status: int, line: str) -> Response:
    """One line for people."""
    return Response(status, f"{line}\n".encode())
