"""The HTTP server, and the signals that stop it or reload the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import uvicorn
import uvloop

from nomad_exporter import logs
from nomad_exporter.server.http import Application
from nomad_exporter.server.protocol import Protocol

_log = logs.get_logger(__name__)

GRACE_SECONDS = 1
"""How long running responses may take after a stop was requested."""

THREADS = 4
"""How many responses that take long are made at the same time."""


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers."""

    # uvicorn raises a captured signal again after its shutdown, which would kill the process.
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn_config(application: Application, protocol: type[Protocol]) -> uvicorn.Config:
    """Return the settings of uvicorn: no header of its own except Date, and no logs."""
    return uvicorn.Config(
        application,
        http=protocol,
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
    *,
    on_start: Callable[[], None],
    every_second: Callable[[], None],
    on_hangup: Callable[[], object],
    protocol: type[Protocol] = Protocol,
) -> None:
    """Serve the ASGI ``application`` on ``sockets`` until SIGTERM or SIGINT.

    Call ``on_start`` once the threads of the server exist, ``every_second`` once per second, and ``on_hangup`` at each
    SIGHUP, all on the event loop of the server. Unblock SIGHUP: a signal that arrived while it was blocked is then
    handled.
    """
    server = _Server(_uvicorn_config(application, protocol))
    uvloop.run(_serve(server, sockets, on_start, every_second, on_hangup))


async def _serve(
    server: _Server,
    sockets: Sequence[socket.socket],
    on_start: Callable[[], None],
    every_second: Callable[[], None],
    on_hangup: Callable[[], object],
) -> None:
    await _start_threads()
    on_start()
    _add_signal_handlers(lambda: _stop(server), lambda: _run_safely(on_hangup))
    ticking = asyncio.create_task(_tick(every_second))
    await server.serve(list(sockets))
    ticking.cancel()


async def _start_threads() -> None:
    """Start the threads for responses that take long, before polls can use up the threads of the system."""
    loop, together = asyncio.get_running_loop(), threading.Barrier(THREADS)
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "serve"))
    with contextlib.suppress(RuntimeError):  # No more threads already, or BrokenBarrierError: fewer have to do.
        await asyncio.gather(*(loop.run_in_executor(None, together.wait, 1.0) for _ in range(THREADS)))


def _stop(server: _Server) -> None:
    server.should_exit = True


def _add_signal_handlers(on_stop: Callable[[], None], on_hangup: Callable[[], None]) -> None:
    """Call ``on_stop`` on the running event loop at SIGTERM and SIGINT, and ``on_hangup`` at SIGHUP."""
    loop = asyncio.get_running_loop()
    for number, handler in ((signal.SIGTERM, on_stop), (signal.SIGINT, on_stop), (signal.SIGHUP, on_hangup)):
        loop.add_signal_handler(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


async def _tick(every_second: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(1)
        _run_safely(every_second)


def _run_safely(task: Callable[[], object]) -> None:
    """Run ``task``, and log an exception as one line."""
    try:
        task()
    except Exception as error:  # noqa: BLE001  # An exception would end _tick, and no handler would report it.
        _log.error("background task failed", error=type(error).__name__)
