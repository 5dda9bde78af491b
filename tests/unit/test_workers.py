"""Worker threads: one for each call that blocks, used again, and few when the calls have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest

from nomad_exporter import workers as module
from nomad_exporter.workers import SLOTS, Workers
from tests.support.schedules import Calls
from tests.support.waiting import PATIENCE, eventually


class Gate:
    """Calls that block until the test opens the gate."""

    def __init__(self) -> None:
        self.entered = Calls()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.entered()
        assert self._open.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers("test")
    yield workers
    workers.stop()
    assert workers.join(PATIENCE)


def threads() -> int:
    return sum(thread.name == "test" for thread in threading.enumerate())


def test_calls_run_in_their_order(workers: Workers) -> None:
    numbers: list[int] = []
    done = Calls()
    gate = Gate()
    for _ in range(SLOTS - 1):
        workers.submit(gate)

    def run(number: int) -> None:
        numbers.append(number)
        done()

    for number in range(50):
        workers.submit(partial(run, number))

    assert done.wait_for(50)
    assert numbers == [*range(50)]
    gate.open()


def test_few_calls_compute_at_the_same_time(workers: Workers) -> None:
    gate, calls = Gate(), Calls()
    for _ in range(SLOTS):
        workers.submit(gate)
    assert gate.entered.wait_for(SLOTS)
    workers.submit(calls)

    assert calls.number == 0
    gate.open()
    assert calls.wait_for(1)


def test_calls_that_wait_delay_no_other_call(workers: Workers) -> None:
    gate, calls = Gate(), Calls()

    def wait() -> None:
        with workers.waiting():
            gate()

    for _ in range(100):
        workers.submit(wait)
    assert gate.entered.wait_for(100)
    workers.submit(calls)

    assert calls.wait_for(1)
    gate.open()


def test_call_that_has_waited_goes_on_before_a_new_one(workers: Workers) -> None:
    waited, gate, others, order, done = Gate(), Gate(), Gate(), list[str](), Calls()

    def wait() -> None:
        with workers.waiting():
            waited()
        order.append("waited")
        done()

    def run() -> None:
        order.append("new")
        done()

    calls: list[Callable[[], None]] = [wait, gate, *[others] * (SLOTS - 1), run]
    for call in calls:
        workers.submit(call)
    assert waited.entered.wait_for(1)
    assert gate.entered.wait_for(1)
    assert others.entered.wait_for(SLOTS - 1)
    waited.open()
    eventually(lambda: workers._returning)
    gate.open()

    assert done.wait_for(2)
    assert order == ["waited", "new"]
    others.open()


def test_exception_while_waiting_returns_to_the_slot(workers: Workers) -> None:
    caught, calls = Calls(), Calls()

    def wait() -> None:
        with suppress(TimeoutError), workers.waiting():
            raise TimeoutError
        caught()

    for _ in range(3 * SLOTS):
        workers.submit(wait)
    workers.submit(calls)

    assert caught.wait_for(3 * SLOTS)
    assert calls.wait_for(1)
    eventually(lambda: workers._free_slots == SLOTS)


def test_idle_thread_is_used_again(workers: Workers) -> None:
    calls = Calls()
    for _ in range(20):
        workers.submit(calls)
        assert calls.wait_for(1)
        eventually(lambda: len(workers._idle) == 1)

    assert threads() == 1


def test_spare_threads_stay_and_further_ones_end(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE_THREADS", 3)
    gate = Gate()

    def wait() -> None:
        with workers.waiting():
            gate()

    for _ in range(10):
        workers.submit(wait)
    assert gate.entered.wait_for(10)
    gate.open()

    eventually(lambda: threads() == 3)


def test_call_waits_while_threads_are_refused(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, calls = Gate(), Calls()
    workers.submit(gate)
    assert gate.entered.wait_for(1)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        workers.submit(calls)
        workers.submit(calls)
    assert workers.is_refused
    gate.open()

    assert calls.wait_for(2)


def refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_no_call_starts_after_stop(workers: Workers) -> None:
    calls = Calls()
    workers.stop()
    workers.submit(calls)

    assert workers.join(PATIENCE)
    assert calls.number == 0


def test_join_waits_for_running_calls(workers: Workers) -> None:
    gate = Gate()
    workers.submit(gate)
    assert gate.entered.wait_for(1)
    workers.stop()

    assert not workers.join(0.0)
    gate.open()
    assert workers.join(PATIENCE)


def test_threads_do_not_keep_the_process(workers: Workers) -> None:
    gate = Gate()
    workers.submit(gate)

    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "test")
    gate.open()
