"""A loop in a thread of its own, and doors on it, for tests that knock as any client would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from nomad_exporter.serving.asgi import Application
from nomad_exporter.serving.door import Door
from nomad_exporter.serving.listen import Listen
from tests.support.waiting import PATIENCE, eventually

T = TypeVar("T")

HERE = Listen("127.0.0.1", 0)


@dataclass
class House:
    """A loop that runs elsewhere, and the doors that were opened on it."""

    loop: asyncio.AbstractEventLoop
    doors: list[Door] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def open(self, application: Application, address: Listen = HERE, **given: Any) -> Door:
        door = Door(application, address, **given)
        self.doors.append(door)
        self.do(door.open())
        return door

    def shut(self, door: Door) -> None:
        self.do(door.shut())

    def is_at_rest(self) -> bool:
        return not asyncio.all_tasks(self.loop)


@contextmanager
def housed(new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop) -> Iterator[House]:
    """A house whose doors are shut in the end; then nothing may run any more."""
    house = House(new_loop())
    thread = threading.Thread(target=house.loop.run_forever)
    thread.start()
    try:
        yield house
        for door in house.doors:
            house.shut(door)
        eventually(house.is_at_rest)
    finally:
        house.loop.call_soon_threadsafe(house.loop.stop)
        thread.join()
        house.loop.close()
