"""Reloads: one at a time, in a thread of their own, because a file on a dead mount can block it indefinitely."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Reloads:
    """Runs ``reload`` once for all requests that arrive before it begins. Safe for threads."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._lock = threading.Lock()
        self._next: Future[None] | None = None
        self._is_running = False

    def request(self) -> Future[None]:
        """Return the end of a reload that begins now, or once the running one has ended; it has the exception."""
        with self._lock:
            self._next = self._next or Future()
            if not self._is_running:
                # A daemon: it must not keep the process.
                threading.Thread(target=self._run, name="reload", daemon=True).start()
                self._is_running = True
            return self._next

    def _run(self) -> None:
        while request := self._take():
            try:
                self._reload()
            except Exception as error:  # noqa: BLE001  # The request receives the exception.
                request.set_exception(error)
            else:
                request.set_result(None)

    def _take(self) -> Future[None] | None:
        """Return the next request; None, for the end of the thread, if there is none."""
        with self._lock:
            request, self._next = self._next, None
            self._is_running = request is not None
            return request
