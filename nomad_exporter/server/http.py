"""HTTP requests and responses as values, and the ASGI application that exchanges them with the HTTP server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from nomad_exporter import logs

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""The server calls it once for each request, with the scope and the functions ``receive`` and ``send``."""

_NO_STORE = {"Cache-Control": "no-store"}

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. Header names are in lower case; ``query`` is still percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def query_params(self) -> Mapping[str, list[str]]:
        """The decoded values of each query parameter, empty values included."""
        return parse_qs(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Its headers forbid caching, because every response describes the current state."""

    status_code: int
    body: bytes
    media_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> Mapping[str, str]:
        """The headers to send, ``Content-Type``, ``Cache-Control`` and ``Content-Length`` included."""
        length = {"Content-Length": str(len(self.body))}
        return {"Content-Type": self.media_type, **_NO_STORE, **self.headers, **length}

    def with_header(self, name: str, value: str) -> Response:
        """Return a copy of the response with one more header."""
        return replace(self, headers={**self.headers, name: value})


class HTTPError(Exception):
    """A request that is refused, with the status, the text and additional headers of the response."""

    def __init__(self, status_code: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status_code, detail)
        self.status_code, self.detail, self.headers = status_code, detail, headers or {}


def text(status_code: int, line: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a plain-text response of one line."""
    return Response(status_code, f"{line}\n".encode(), TEXT, headers or {})


def request_response(respond: Callable[[Request], Awaitable[Response]]) -> Application:
    """Return the ASGI application that sends the responses of ``respond``."""

    async def serve(scope: Message, _: Receive, send: Send) -> None:
        request = _request(scope)
        response = await _respond_safely(respond, request)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.all_headers.items()]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

    return serve


def _request(scope: Message) -> Request:
    values: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    headers = {name: ", ".join(repeated) for name, repeated in values.items()}
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)


async def _respond_safely(respond: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Return the response; an exception becomes one log line and a 500."""
    try:
        return await respond(request)
    except Exception as error:  # noqa: BLE001  # Last resort: no traceback may reach a user.
        _log.error("request handler failed", path=request.path, error=type(error).__name__)
        return text(500, "internal error, see the log of the exporter")
