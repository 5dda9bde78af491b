"""HTTP requests and responses as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"

_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. Header names are in lower case; ``query`` is still percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, list[str]]:
        """The decoded values of each query parameter, empty values included."""
        return parse_qs(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Its headers forbid caching, because every response describes the current state."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> Mapping[str, str]:
        """The headers to send, ``Content-Type``, ``Cache-Control`` and ``Content-Length`` included."""
        length = {"Content-Length": str(len(self.body))}
        return {"Content-Type": self.content_type, **_NO_STORE, **self.headers, **length}

    def with_header(self, name: str, value: str) -> Response:
        """Return a copy of the response with one more header."""
        return replace(self, headers={**self.headers, name: value})


def text(status: int, line: str) -> Response:
    """Return a plain-text response of one line."""
    return Response(status, f"{line}\n".encode())
