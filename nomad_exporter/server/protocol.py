"""uvicorn's protocol with the limits that uvicorn lacks: what one connection of a client can cost."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nomad_exporter.server.http import Response, text

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of the target and the headers of a request; Prometheus sends less than 1 kB."""

MAX_HEADERS = 100
"""Maximum number of headers of a request; a browser behind proxies sends about thirty."""

MAX_PIPELINED = 16
"""Maximum number of requests that wait for the responses before them; no known client sends any."""

LINGER_SECONDS = 1.0
"""How long a refused request is read and discarded: after a close at once, the client would not see the response."""


class _RefusedRequest(Exception):
    """A request that is refused while the parser reads it. httptools reports it as an error of its own."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with limits of the size of a request's head, of its time, and of pipelined requests."""

    header_seconds = 10.0
    """How long a client may take to send the headers of a request, from when it connects or sends the first byte."""

    _timer: asyncio.TimerHandle | None = None
    _refusal: Response | None = text(HTTPStatus.BAD_REQUEST, "not a valid HTTP request")
    _is_refused = False
    _awaits_head = True
    _received = 0
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # the signature of uvicorn
        super().connection_made(transport)
        self._abort_in(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        # Bytes that complete no header, or that begin no request, reach no callback of the parser. The callbacks do not
        # count the separators of a head, for which twice the limit leaves room.
        if self._awaits_head and self._received > 2 * MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            self.send_400_response("")
            return
        if self._awaits_head and self._timer is None:
            self._abort_in(self.header_seconds)
        self._received += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = self._head_bytes = 0
        self._abort_in(self.header_seconds)

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if len(self.headers) >= MAX_HEADERS:
            self._refuse(_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._awaits_head, self._received = False, 0
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            self._refuse(None)

    def on_message_complete(self) -> None:
        self._awaits_head = True
        super().on_message_complete()

    def send_400_response(self, _: str) -> None:
        """Send the response to a refused request, and close the connection once the client had time to read it."""
        self._is_refused = True
        is_responding = self.cycle is not None and not self.cycle.response_complete
        if self._refusal is None or is_responding:  # A response must not come before those of earlier requests.
            self.transport.abort()
            return
        self.transport.write(_serialize(self._refusal))
        self.transport.write_eof()
        self._abort_in(LINGER_SECONDS)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def _refuse(self, refusal: Response | None) -> None:
        """Stop the parser; the connection ends with this response, if there is one."""
        self._refusal = refusal
        raise _RefusedRequest

    def _abort_in(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


_TOO_LARGE = text(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"request must have at most {MAX_HEADERS} headers and {MAX_HEAD_BYTES // 1024} KiB before its body",
)


def _serialize(response: Response) -> bytes:
    """Return the bytes of a response after which the connection is closed."""
    status = HTTPStatus(response.status_code)
    headers = {**response.all_headers, "Connection": "close"}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
