"""The simulated agents as ASGI applications, for the HTTP server."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from urllib.parse import parse_qs

from nomad_exporter.demo.face.answers import TEXT, Answer, Held, Question, Sampled, Stream
from nomad_exporter.demo.face.pprof import EVERY
from nomad_exporter.demo.face.profile import Stack
from nomad_exporter.demo.face.routes import Face, answer
from nomad_exporter.demo.face.stacks import stacks
from nomad_exporter.demo.model.journal import Seconds
from nomad_exporter.demo.model.messages import Said
from nomad_exporter.serving.asgi import Application, Message, Receive, Send

Clock = Callable[[], float]
"""The time of the cluster, in seconds."""

Pause = Callable[[float], Awaitable[None]]
"""Lets so many seconds of the cluster's time pass."""

_log = logging.getLogger(__name__)

BATCH = 0.2
"""Seconds between two looks at a log that is watched."""


def application(face: Face, name: str, clock: Clock, pause: Pause = asyncio.sleep) -> Application:
    """What the agent ``name`` serves."""

    async def respond(scope: Message, receive: Receive, send: Send) -> None:
        answering = asyncio.create_task(_safely(face, name, clock, pause, scope, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    return respond


async def _gone(receive: Receive) -> None:
    """Returns when the one who asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _safely(face: Face, name: str, clock: Clock, pause: Pause, scope: Message, send: Send) -> None:
    """Answers; a fault of ours is one line in the log and a 500, and costs nothing else."""
    try:
        await _respond(face, name, clock, pause, scope, send)
    except Exception as error:  # noqa: BLE001  # The edge of the demo: no traceback may reach a user.
        fields = {"agent": name, "path": scope["path"], "error": type(error).__name__}
        _log.error("an answer of a simulated agent broke", extra={"fields": fields})
        await _send(Answer(500, b"internal error of the demo; see its log", TEXT), scope, send, zips_nothing=True)


async def _respond(face: Face, name: str, clock: Clock, pause: Pause, scope: Message, send: Send) -> None:
    face.cluster.advance(clock())
    question = _question(face, name, scope)
    reply = answer(face, name, question)
    while isinstance(reply, Held):
        await pause(reply.seconds)
        face.cluster.advance(clock())
        reply = answer(face, name, question)
    if isinstance(reply, Sampled):
        reply = reply.finish(await _sampled(reply.seconds))
    if isinstance(reply, Stream):
        await _stream(face, clock, pause, reply, send)
    else:
        await _send(reply, scope, send, face.cluster.world.agents[name].setup.version.zips_nothing)
        face.cluster.world.say(name, "http", [_logged(question, scope, face.cluster.world.now)])


def _logged(question: Question, scope: Message, now: float) -> Said:
    """What an agent writes into its log about each question that it has answered."""
    query = scope["query_string"].decode("latin-1")
    path = f"{question.path}?{query}" if query else question.path
    taken = Seconds(now - question.since)
    return Said("debug", "request complete", (("method", question.method), ("path", path), ("duration", taken)))


def _question(face: Face, name: str, scope: Message) -> Question:
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    parameters = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    world = face.cluster.world
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    takes_bearer = world.agents[name].setup.version.bearer and scheme.lower() == "bearer"
    token = headers.get("x-nomad-token") or (bearer if takes_bearer else "")
    return Question(scope["method"], scope["path"], parameters, token.strip(), world.now, world.chance.random())


async def _send(answer: Answer, scope: Message, send: Send, zips_nothing: bool) -> None:
    accepted = next((value for key, value in scope["headers"] if key == b"accept-encoding"), b"")
    zipped = b"gzip" in accepted and (zips_nothing or answer.body != b"")
    body = gzip.compress(answer.body, 1) if zipped else answer.body
    encoding = {"Content-Encoding": "gzip"} if zipped else {}
    head = {**answer.headers, **encoding, "Content-Length": str(len(body))}
    await send(_start(answer.status, answer.content_type, head))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _stream(face: Face, clock: Clock, pause: Pause, stream: Stream, send: Send) -> None:
    """Goes on until it is cancelled: the one who watches leaves, or the agent ends."""
    started = False
    while True:
        face.cluster.advance(clock())
        piece = stream.piece(face.cluster.world.now)
        if not started and (piece or not stream.quiet):
            await send(_start(200, stream.content_type, {}))
            started = True
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await pause(BATCH)


def _start(status: int, content_type: str | None, more: dict[str, str]) -> Message:
    kind = {"Content-Type": content_type} if content_type else {}
    headers = {**kind, "Vary": "Accept-Encoding", "Date": formatdate(usegmt=True), **more}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _sampled(seconds: float) -> list[tuple[Stack, ...]]:
    """The stacks of all threads, again and again; from a thread of its own, so that the loop is seen at work."""
    over = threading.Event()
    try:
        return await asyncio.to_thread(_looked, seconds, over)
    finally:
        over.set()


def _looked(seconds: float, over: threading.Event) -> list[tuple[Stack, ...]]:
    end = time.monotonic() + seconds
    looks = []
    while time.monotonic() < end and not over.wait(EVERY):
        looks.append(stacks())
    return looks
