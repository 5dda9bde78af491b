"""Name resolution within a deadline: the system's own has no timeout, and cannot be interrupted."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future
from typing import Any

MAX_LOOKUPS = 256
"""The maximum number of host names that are looked up at the same time, each in a thread."""

Target = tuple[int, Any]
"""An address family and a socket address."""

_Outcome = list[Target] | Exception


class Resolver:
    """Looks up host names, each at most once at a time. Safe for threads.

    A lookup that takes longer than its deadline goes on, and the next request for the name waits for it as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], Future[_Outcome]] = {}

    def resolve(self, host: str, port: int, deadline: float) -> list[Target]:
        """Return the targets of a host in the order of preference, before ``deadline`` in monotonic seconds.

        Raises socket.gaierror if that fails or takes too long, and UnicodeError for an invalid name.
        """
        try:
            return _targets(host, port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # No IP address, but a name.
        try:
            outcome = self._start(host, port).result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "name resolution takes too long") from None
        if isinstance(outcome, Exception):
            # A copy: several threads raise it.
            raise type(outcome)(*outcome.args)
        return outcome

    def _start(self, host: str, port: int) -> Future[_Outcome]:
        """Return the lookup of a name: the one that runs, or a new one."""
        with self._lock:
            if running := self._lookups.get((host, port)):
                return running
            if len(self._lookups) >= MAX_LOOKUPS:
                raise socket.gaierror(socket.EAI_AGAIN, "too many name resolutions take too long")
            lookup: Future[_Outcome] = Future()
            # A daemon: name resolution that never ends must not keep the process.
            threading.Thread(target=self._look_up, args=(host, port, lookup), name="lookup", daemon=True).start()
            self._lookups[host, port] = lookup
            return lookup

    def _look_up(self, host: str, port: int, lookup: Future[_Outcome]) -> None:
        outcome: _Outcome
        try:
            outcome = _targets(host, port)
        except (OSError, UnicodeError) as error:
            outcome = error
        with self._lock:
            del self._lookups[host, port]
        lookup.set_result(outcome)


def _targets(host: str, port: int, flags: int = 0) -> list[Target]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, target) for family, _, _, _, target in infos]
