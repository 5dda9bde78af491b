"""ASGI applications that serve the HTTP API of the simulated agents."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from urllib.parse import parse_qs

from nomad_sim.api.http import TEXT, ApiRequest, ApiResponse, Pending, Stream
from nomad_sim.api.routes import NomadApi, handle
from nomad_sim.asgi import Application, Message, Receive, Send
from nomad_sim.model.agent_log import Seconds
from nomad_sim.model.messages import LogMessage

Clock = Callable[[], float]
"""Return the cluster's time as Unix time, in seconds."""

Sleep = Callable[[float], Awaitable[None]]
"""Wait for a number of seconds of the cluster's time."""

_log = logging.getLogger(__name__)

LOG_POLL_SECONDS = 0.2
"""Seconds between two reads of a streamed log."""


def application(api: NomadApi, name: str, clock: Clock, sleep: Sleep = asyncio.sleep) -> Application:
    """Return the ASGI application of the agent ``name``."""

    async def respond(scope: Message, receive: Receive, send: Send) -> None:
        responding = asyncio.create_task(_respond_safely(api, name, clock, sleep, scope, send))
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((responding, disconnect), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (responding, disconnect):
                task.cancel()
            await asyncio.gather(responding, disconnect, return_exceptions=True)

    return respond


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond_safely(api: NomadApi, name: str, clock: Clock, sleep: Sleep, scope: Message, send: Send) -> None:
    """Send the response; if a handler raises an exception, send 500 and log one line."""
    try:
        await _respond(api, name, clock, sleep, scope, send)
    except Exception as error:  # noqa: BLE001  # The boundary of the simulator: users see no traceback.
        _log.error("request handler failed: agent=%s path=%s error=%s", name, scope["path"], type(error).__name__)
        await _send(
            ApiResponse(500, b"internal error of the demo; see its log", TEXT), scope, send, compresses_empty=True
        )


async def _respond(api: NomadApi, name: str, clock: Clock, sleep: Sleep, scope: Message, send: Send) -> None:
    api.cluster.advance(clock())
    request = _parse_request(api, name, scope)
    reply = handle(api, name, request)
    while isinstance(reply, Pending):
        await sleep(reply.seconds)
        api.cluster.advance(clock())
        reply = handle(api, name, request)
    if isinstance(reply, Stream):
        await _stream(api, clock, sleep, reply, send)
    else:
        await _send(reply, scope, send, api.cluster.world.agents[name].setup.version.compresses_empty)
        api.cluster.world.log(name, "http", [_request_log(request, scope, api.cluster.world.now)])


def _request_log(request: ApiRequest, scope: Message, now: float) -> LogMessage:
    """Return the line that Nomad logs for each completed request."""
    query = scope["query_string"].decode("latin-1")
    path = f"{request.path}?{query}" if query else request.path
    duration = Seconds(now - request.received_at)
    return LogMessage("debug", "request complete", (("method", request.method), ("path", path), ("duration", duration)))


def _parse_request(api: NomadApi, name: str, scope: Message) -> ApiRequest:
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    parameters = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    world = api.cluster.world
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    accepts_bearer = world.agents[name].setup.version.accepts_bearer and scheme.lower() == "bearer"
    token = headers.get("x-nomad-token") or (bearer if accepts_bearer else "")
    return ApiRequest(scope["method"], scope["path"], parameters, token.strip(), world.now, world.rng.random())


async def _send(response: ApiResponse, scope: Message, send: Send, compresses_empty: bool) -> None:
    accepted = next((value for key, value in scope["headers"] if key == b"accept-encoding"), b"")
    compressed = b"gzip" in accepted and (compresses_empty or response.body != b"")
    body = gzip.compress(response.body, 1) if compressed else response.body
    encoding = {"Content-Encoding": "gzip"} if compressed else {}
    headers = {**response.headers, **encoding, "Content-Length": str(len(body))}
    await send(_start(response.status, response.content_type, headers))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _stream(api: NomadApi, clock: Clock, sleep: Sleep, stream: Stream, send: Send) -> None:
    """Send chunks until cancelled, because the client disconnects or the agent stops."""
    started = False
    while True:
        api.cluster.advance(clock())
        chunk = stream.next_chunk(api.cluster.world.now)
        if not started and (chunk or not stream.defer_headers):
            await send(_start(200, stream.content_type, {}))
            started = True
        if chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await sleep(LOG_POLL_SECONDS)


def _start(status: int, content_type: str | None, extra: dict[str, str]) -> Message:
    type_header = {"Content-Type": content_type} if content_type else {}
    headers = {**type_header, "Vary": "Accept-Encoding", "Date": formatdate(usegmt=True), **extra}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}
