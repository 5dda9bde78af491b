"""The ASGI application that serves the site."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nomad_exporter import logs
from nomad_exporter.clock import Clock
from nomad_exporter.web.http import Request, Response, text
from nomad_exporter.web.routes import Site, handle

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

SLOW_PATHS = frozenset({"/metrics", "/"})
"""Paths whose responses take long to build with many agents; a worker thread builds them."""

_log = logs.get_logger(__name__)


def application(site: Callable[[], Site], clock: Clock) -> Application:
    """Return the ASGI application; it calls ``site`` for each request, as a reload replaces the site."""

    async def respond(
        scope: Message, _: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        request = _request(scope)
        response = await _response(site(), request, clock)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.all_headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})

    return respond


async def _response(site: Site, request: Request, clock: Clock) -> Response:
    """Return the response; an exception becomes one log line and a 500."""
    try:
        if request.path in SLOW_PATHS:
            # A slow page on the event loop would delay health probes.
            return await asyncio.to_thread(handle, site, request, clock())
        return handle(site, request, clock())
    except Exception as error:  # noqa: BLE001  # Last resort: no traceback may reach a user.
        _log.error("request handler failed", path=request.path, error=type(error).__name__)
        return text(500, "internal error, see the log of the exporter")


def _request(scope: Message) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, decoded = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {decoded}" if key in headers else decoded
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)
