"""Worker threads: few compute at the same time, and as many wait as there are calls that wait.

Only one thread at a time computes in Python. If hundreds want to, each of them asks for its turn every 5 ms, and
nothing proceeds. So a call needs one of ``SLOTS`` to compute, and returns it while it waits for an agent. For the same
reason, ``sys.setswitchinterval`` stays at its default: with 1 ms, a thousand hanging agents stopped the exporter.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

SLOTS = 2
"""How many calls compute at the same time."""

SPARE_THREADS = 32
"""How many threads are kept for further calls; the others end."""

Call = Callable[[], object]


class Workers:
    """Runs calls in the order of ``submit``, each in a thread. A call must not raise.

    The number of threads has no limit here: the caller limits the number of calls that wait at the same time. While the
    operating system refuses another thread, which ``is_refused`` shows, a call waits for a thread that is free.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._free_slots = SLOTS
        self._calls: deque[Call] = deque()
        self._returning: deque[SimpleQueue[None]] = deque()
        self._idle: list[SimpleQueue[Call | None]] = []
        self._threads: set[threading.Thread] = set()
        self._is_stopped = False
        self.is_refused = False

    def submit(self, call: Call) -> None:
        """Run ``call`` in a thread; do nothing after ``stop``."""
        with self._lock:
            if not self._is_stopped:
                self._calls.append(call)
                self._assign_slots()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Leave the slot of the running call to other calls while the block waits for an agent."""
        with self._lock:
            self._free_slots += 1
            self._assign_slots()
        try:
            yield
        finally:
            slot: SimpleQueue[None] = SimpleQueue()
            with self._lock:
                self._returning.append(slot)
                self._assign_slots()
            slot.get()

    def stop(self) -> None:
        """Start no more calls; running calls go on."""
        with self._lock:
            self._is_stopped = True
            self._calls.clear()
            while self._idle:
                self._idle.pop().put(None)

    def join(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the end of all threads, after ``stop``; return whether all have ended."""
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = [*self._threads]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    # The lock is held.

    def _assign_slots(self) -> None:
        """Assign the free slots: first to calls that have waited, then to new calls."""
        while self._free_slots and self._returning:
            self._free_slots -= 1
            self._returning.popleft().put(None)
        while self._free_slots and self._calls and (self._idle or self._start_thread()):
            self._free_slots -= 1
            self._idle.pop().put(self._calls.popleft())

    def _start_thread(self) -> bool:
        """Start a thread, which is idle at first; return False if the operating system refuses it."""
        inbox: SimpleQueue[Call | None] = SimpleQueue()
        # Daemons: a call that never ends must not keep the process.
        thread = threading.Thread(target=self._run, args=(inbox,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self.is_refused = True
            return False
        self.is_refused = False
        self._threads.add(thread)
        self._idle.append(inbox)
        return True

    # The threads.

    def _run(self, inbox: SimpleQueue[Call | None]) -> None:
        while call := inbox.get():
            call()
            self._end_call(inbox)
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _end_call(self, inbox: SimpleQueue[Call | None]) -> None:
        """Return the slot of a call that has ended. The thread is idle, or ends if there are enough idle ones."""
        with self._lock:
            self._free_slots += 1
            self._idle.append(inbox)
            self._assign_slots()  # The thread that became idle last is the first to be used again.
            if self._idle and (self._is_stopped or len(self._idle) > SPARE_THREADS):
                self._idle.pop().put(None)
