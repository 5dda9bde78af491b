"""The HTTP server, and the signals that end it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nomad_exporter.server.http import Application

_log = logging.getLogger(__name__)

GRACE_SECONDS = 1
"""How long a response that is being sent may take on once the server was told to stop."""

HEADER_SECONDS = 10
"""How long a client may take for the headers of a request, and to begin one once it has connected."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which would let a client take for ever to send its headers."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_headers()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server without its own way with signals: it raises them again and would end us by them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def configuration(application: Application) -> uvicorn.Config:
    """What uvicorn is told, wherever it answers for us: no header of its own but the date, no line in a log."""
    return uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def serve(
    application: Application,
    sockets: Sequence[socket.socket],
    every_second: Callable[[], None],
    hang_up: Callable[[], object],
) -> None:
    """Serves the ASGI ``application`` on ``sockets`` until SIGTERM or SIGINT.

    Meanwhile calls ``every_second``, and ``hang_up`` at each SIGHUP, both on the loop of the server. A SIGHUP that was
    blocked so far comes then.
    """
    server = _Server(configuration(application))
    uvloop.run(_serve(server, sockets, every_second, hang_up))


async def _serve(
    server: _Server, sockets: Sequence[socket.socket], every_second: Callable[[], None], hang_up: Callable[[], object]
) -> None:
    _heed_signals(lambda: _stop(server), lambda: _safely(hang_up))
    ticking = asyncio.create_task(_tick(every_second))
    await server.serve(list(sockets))
    ticking.cancel()


def _stop(server: _Server) -> None:
    server.should_exit = True


def _heed_signals(stop: Callable[[], None], hang_up: Callable[[], None]) -> None:
    """Calls ``stop`` on the loop at SIGTERM and SIGINT, and ``hang_up`` at SIGHUP."""
    loop = asyncio.get_running_loop()
    for number, work in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, hang_up)):
        loop.add_signal_handler(number, work)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


async def _tick(every_second: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(1)
        _safely(every_second)


def _safely(work: Callable[[], object]) -> None:
    """Does ``work``; a fault of ours is one line in the log and ends nothing else."""
    try:
        work()
    except Exception as error:  # noqa: BLE001  # The loop would swallow it, and the tick would end by it.
        _log.error("a work beside the serving broke", extra={"fields": {"error": type(error).__name__}})
