"""The site as an ASGI application, for the HTTP server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nomad_exporter.clock import Clock
from nomad_exporter.web.http import Request, Response, text
from nomad_exporter.web.routes import Site, handle

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

OFF_THE_LOOP = frozenset({"/metrics", "/"})
"""Paths whose pages take long in a big fleet: they are made in a thread, so that no probe waits for them."""

_log = logging.getLogger(__name__)


def application(site: Callable[[], Site], clock: Clock) -> Application:
    """The ASGI application that answers from the ``site`` as it is at each request."""

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
    """The answer; a fault of ours is one line in the log and a 500, and costs nothing else."""
    try:
        if request.path in OFF_THE_LOOP:
            return await asyncio.to_thread(handle, site, request, clock())
        return handle(site, request, clock())
    except Exception as error:  # noqa: BLE001  # The edge of the product: no traceback may reach a user.
        _log.error("a page broke", extra={"fields": {"path": request.path, "error": type(error).__name__}})
        return text(500, "internal error; see the exporter's log")


def _request(scope: Message) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)
