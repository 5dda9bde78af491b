"""Polling of all agents once, at the same time and within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial, reduce
from math import ceil
from queue import Empty, SimpleQueue
from typing import Any

from nomad_exporter.clock import Clock, Instant
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.poller import Wire, poll, sources_to_poll
from nomad_exporter.polling.snapshot import Reading, Snapshot

MAX_THREADS = 1000

# A thread that takes longer than this past its deadline is stuck in name resolution, which has no timeout.
GRACE_SECONDS = 0.1

NOT_POLLED = Failure(FailureReason.INTERNAL, "not polled: the time of the check was used up by other agents")
"""The failure of a poll that did not begin."""


def collect(
    wires: Mapping[Agent, Wire], sources: Collection[Source[Any]], clock: Clock, seconds: float
) -> list[Snapshot]:
    """Poll ``sources`` once, and return a snapshot of each agent. Raises nothing.

    Returns after at most ``seconds`` and ``GRACE_SECONDS``. A poll that has not ended by then has timed out; one that
    did not begin is a failure of the check, which proves nothing about the agent.
    """
    began = clock()
    agents = {agent: _AgentPolls(agent, sources) for agent in wires}
    # As many threads for an agent as sources to begin with: a leader that delays the response about health does not
    # shorten the time for the others.
    first = [(agent, polls) for source in sources for agent, polls in agents.items() if source in polls.first]
    # With more polls than threads, a poll gets less time, so that hanging agents leave time for all others.
    limit = seconds / max(1, ceil(len(first) / MAX_THREADS))
    tasks = [partial(_poll_claimed, polls, wires[agent], clock, began + seconds, limit) for agent, polls in first]
    _run_all(tasks, clock, began + (seconds + GRACE_SECONDS))
    return [polls.snapshot_after(began, seconds) for polls in agents.values()]


class _AgentPolls:
    """The polls of one agent, shared by several threads: each source is claimed by one of them.

    ``first`` are the sources to poll before anything is known of the agent.
    """

    def __init__(self, agent: Agent, enabled: Collection[Source[Any]]) -> None:
        self._agent, self._enabled = agent, enabled
        self._lock = threading.Lock()
        self._claimed: set[Source[Any]] = set()
        self._readings: dict[Source[Any], Reading[Any]] = {}
        self.first = sources_to_poll(Snapshot(agent), enabled)

    def claim(self) -> Source[Any] | None:
        """Claim a source that is to be polled, as far as the readings show; return None if all are claimed."""
        with self._lock:
            to_poll = sources_to_poll(self._snapshot(self._readings), self._enabled)
            source = next((source for source in to_poll if source not in self._claimed), None)
            if source:
                self._claimed.add(source)
            return source

    def record(self, reading: Reading[Any]) -> None:
        with self._lock:
            self._readings[reading.source] = reading

    def snapshot_after(self, began: Instant, seconds: float) -> Snapshot:
        """Return the snapshot after a timeout of ``seconds``; a source of ``first`` without a reading has failed."""
        with self._lock:
            failures = {source: _timeout(seconds) if source in self._claimed else NOT_POLLED for source in self.first}
            missed = {source: Reading(source, failure, began, seconds) for source, failure in failures.items()}
            return self._snapshot({**missed, **self._readings})

    def _snapshot(self, readings: Mapping[Source[Any], Reading[Any]]) -> Snapshot:
        # In the order of the sources, not of the readings: a failed poll of health counts only if no other is answered.
        ordered = [readings[source] for source in self._enabled if source in readings]
        return reduce(Snapshot.after, ordered, Snapshot(self._agent))


def _poll_claimed(polls: _AgentPolls, wire: Wire, clock: Clock, deadline: Instant, limit: float) -> None:
    """Poll one source after the other, until no source is left to claim or no time."""
    while deadline.since(clock()) > 0 and (source := polls.claim()):
        polls.record(_poll(wire, clock, deadline, limit, source))


def _poll(wire: Wire, clock: Clock, deadline: Instant, limit: float, source: Source[Any]) -> Reading[Any]:
    """Poll a source once before the deadline, for ``limit`` seconds at most; return a bug as a failure, too."""
    began = clock()
    try:
        return poll(source, wire, clock, min(limit, deadline.since(began)))
    except Exception as error:  # noqa: BLE001  # A thread would print the traceback.
        failure = Failure(FailureReason.INTERNAL, f"internal error: {type(error).__name__}")
        return Reading(source, failure, began, 0.0)


def _run_all(tasks: Iterable[Callable[[], None]], clock: Clock, deadline: Instant) -> None:
    """Run tasks on daemon threads until ``deadline``, and abandon those that run longer."""
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for task in tasks:
        queue.put(task)
    threads = _start_threads(min(queue.qsize(), MAX_THREADS), partial(_run_queued, queue))
    for thread in threads:
        thread.join(max(0.0, deadline.since(clock())))


def _start_threads(number: int, target: Callable[[], None]) -> list[threading.Thread]:
    """Start at most ``number`` threads; fewer if the operating system refuses more."""
    started = []
    with suppress(RuntimeError):
        for _ in range(number):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            started.append(thread)
    return started


def _run_queued(queue: SimpleQueue[Callable[[], None]]) -> None:
    with suppress(Empty):
        while True:
            queue.get_nowait()()


def _timeout(seconds: float) -> Failure:
    return Failure(FailureReason.TIMEOUT, f"no complete response within {durations.text(seconds)}")
