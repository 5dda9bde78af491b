"""The log of changes: what the readings changed, and, once a second, which verdicts changed.

Many equal lines become one. Its own thread evaluates the verdicts: with 2,000 agents that takes up to 25 ms, too long
for the event loop. And a log that blocks then stops neither the event loop nor the schedule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nomad_exporter import logs
from nomad_exporter.clock import Clock, Instant
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.polling.line_groups import Line, LineGroups
from nomad_exporter.polling.transitions import EVENTS, Change, truncate
from nomad_exporter.verdicts.changes import Known, changes

CHECK_SECONDS = 1.0
"""How often verdicts are evaluated for the log."""

STOP_SECONDS = 0.2
"""How long to wait for the end of the thread, which may be blocked by the log."""

_log = logs.get_logger(__name__)


class ChangeLog:
    """Writes one log line for each change, or one for many equal lines. Safe for threads.

    ``update`` returns what is known of all agents and clusters at an instant, given what was known before.
    """

    def __init__(self, clock: Clock, update: Callable[[Known, Instant], Known]) -> None:
        self._clock, self._update = clock, update
        self._lock, self._groups = threading.Lock(), LineGroups()
        self._known = Known()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="change-log", daemon=True)

    def start(self) -> None:
        """Check the verdicts once a second from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the checks, and write the lines that wait."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        self._write_ended(float("inf"))

    def log_changes(self, agent: Agent, changed: Sequence[Change]) -> None:
        """Log the changes that one reading of ``agent`` caused."""
        self._add(_to_line(agent, change) for change in truncate(changed))

    def check(self) -> None:
        """Log the verdicts that changed since the previous call, and the lines that have waited for long enough."""
        now = self._clock()
        try:
            before, self._known = self._known, self._update(self._known, now)
            self._add(changes(before, self._known))
        finally:
            self._write_ended(now.monotonic)

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                self.check()
            except Exception as error:  # noqa: BLE001  # An exception would end the thread for good.
                _log.error("check of verdicts failed", error=type(error).__name__)

    # The lock is held only to decide, never to write: a log that blocks must not block the decisions of other threads.

    def _add(self, lines: Iterable[Line]) -> None:
        now = self._clock().monotonic
        with self._lock:
            written = [line for line in lines if self._groups.add(line, now)]
        _write(written)

    def _write_ended(self, now: float) -> None:
        with self._lock:
            ended = self._groups.end(now)
        _write(ended)


def _to_line(agent: Agent, change: Change) -> Line:
    return Line(EVENTS[change.event], {"event": change.event, **change.fields}, agent.name)


def _write(lines: Iterable[Line]) -> None:
    for line in lines:
        fields: dict[str, Any] = {**line.all_fields}
        _log.log(line.kind.level, line.kind.message, **fields)
