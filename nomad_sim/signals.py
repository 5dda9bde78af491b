"""Running a coroutine until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on an event loop until it ends or SIGTERM, SIGINT or SIGHUP cancels it.

    ``main`` is cancelled once: further signals do not disturb its cleanup. Exceptions of ``main`` are raised. SIGHUP
    is unblocked; it remains ignored if it was ignored before, as under nohup.
    """
    uvloop.run(_run_until_signal(main))


async def _run_until_signal(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(main)

    def stop() -> None:
        if not task.cancelling():
            task.cancel()

    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, _ignore if is_ignored and number is signal.SIGHUP else stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _ignore() -> None:
    """Do nothing."""
