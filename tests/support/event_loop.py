"""An event loop in a thread, with listeners for tests that connect like any client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from nomad_sim.asgi import Application
from nomad_sim.listener import Listener
from nomad_sim.sockets import Address
from tests.support.waiting import PATIENCE, eventually

T = TypeVar("T")

LOOPBACK = Address("127.0.0.1", 0)


@dataclass
class EventLoop:
    """An event loop in another thread, and its listeners."""

    loop: asyncio.AbstractEventLoop
    listeners: list[Listener] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def start_listener(self, application: Application, address: Address = LOOPBACK, **options: Any) -> Listener:
        listener = Listener(application, address, **options)
        self.listeners.append(listener)
        self.do(listener.start())
        return listener

    def stop_listener(self, listener: Listener) -> None:
        self.do(listener.stop())

    def is_idle(self) -> bool:
        return not asyncio.all_tasks(self.loop)


@contextmanager
def running_loop(new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop) -> Iterator[EventLoop]:
    """Run an event loop in a thread; stop its listeners at the end and check that no task is left."""
    event_loop = EventLoop(new_loop())
    thread = threading.Thread(target=event_loop.loop.run_forever)
    thread.start()
    try:
        yield event_loop
        for listener in event_loop.listeners:
            event_loop.stop_listener(listener)
        eventually(event_loop.is_idle)
    finally:
        event_loop.loop.call_soon_threadsafe(event_loop.loop.stop)
        thread.join()
        event_loop.loop.close()
