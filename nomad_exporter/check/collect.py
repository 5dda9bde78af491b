"""Polling of all agents once, at the same time and within a deadline."""

# Health is polled on one thread and the other sources on another: a leader that delays the response about health does
# not shorten the time for the others.

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial, reduce
from queue import Empty, SimpleQueue

from nomad_exporter.clock import Clock, Instant
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Health, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.poller import Wire, poll
from nomad_exporter.polling.snapshot import AnyReading, Reading, Snapshot

MAX_THREADS = 256

# A thread that takes longer than this past its deadline is stuck in name resolution, which has no timeout.
GRACE_SECONDS = 0.1

PollSource = Callable[[Source], AnyReading]


def collect(wires: Mapping[Agent, Wire], sources: Collection[Source], clock: Clock, seconds: float) -> list[Snapshot]:
    """Poll ``sources``, which include health, and return a snapshot of each agent. Raises nothing.

    Returns after at most ``seconds`` and ``GRACE_SECONDS``. An agent that has not responded by then has timed out.
    """
    began = clock()
    readings: dict[Agent, list[AnyReading]] = {agent: [] for agent in wires}
    tasks = [
        partial(_store_readings, plan(partial(_poll, wire, clock, began + seconds), sources), readings[agent])
        for plan in (_poll_health, _poll_state)
        for agent, wire in wires.items()
    ]
    _run_all(tasks, clock, began + (seconds + GRACE_SECONDS))
    timeouts = [_timeout(source, began, seconds) for source in (Source.HEALTH, Source.SELF) if source in sources]
    return [_build_snapshot(agent, tuple(received), timeouts) for agent, received in readings.items()]


def _poll_health(poll_source: PollSource, sources: Collection[Source]) -> Iterator[AnyReading]:
    """Poll health and, from a server that reaches its leader, the autopilot health of that leader."""
    reading = poll_source(Source.HEALTH)
    yield reading
    if Source.AUTOPILOT in sources and isinstance(reading.outcome, Health) and reading.outcome.leader_reachable:
        yield poll_source(Source.AUTOPILOT)


def _poll_state(poll_source: PollSource, sources: Collection[Source]) -> Iterator[AnyReading]:
    """Poll self and, from a server, the members."""
    if Source.SELF not in sources:
        return
    reading = poll_source(Source.SELF)
    yield reading
    # A client forwards a request for members to a server, and may wait for one without end.
    if Source.MEMBERS in sources and isinstance(reading.outcome, AgentSelf) and Role.SERVER in reading.outcome.roles:
        yield poll_source(Source.MEMBERS)


def _poll(wire: Wire, clock: Clock, deadline: Instant, source: Source) -> AnyReading:
    """Poll a source once before the deadline; return a bug of the check as a failure, too."""
    began = clock()
    try:
        return poll(source, wire, clock, deadline.since(began))
    except Exception as error:  # noqa: BLE001  # A thread would print the traceback.
        failure = Failure(FailureReason.INTERNAL, f"internal error: {type(error).__name__}")
        return Reading(source, failure, began, 0.0)


def _store_readings(polled: Iterable[AnyReading], readings: list[AnyReading]) -> None:
    for reading in polled:
        readings.append(reading)  # Not extend(), which would lose a reading if the next poll never returns.


def _run_all(tasks: Iterable[Callable[[], None]], clock: Clock, deadline: Instant) -> None:
    """Run tasks on daemon threads until ``deadline``, and abandon those that run longer."""
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for task in tasks:
        queue.put(task)
    threads = [
        threading.Thread(target=_run_queued, args=(queue,), daemon=True) for _ in range(min(queue.qsize(), MAX_THREADS))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline.since(clock())))


def _run_queued(queue: SimpleQueue[Callable[[], None]]) -> None:
    with suppress(Empty):
        while True:
            queue.get_nowait()()


def _timeout(source: Source, began: Instant, seconds: float) -> AnyReading:
    failure = Failure(FailureReason.TIMEOUT, f"no complete response within {durations.text(seconds)}")
    reading: AnyReading = Reading(source, failure, began, seconds)
    return reading


def _build_snapshot(agent: Agent, received: Iterable[AnyReading], timeouts: Iterable[AnyReading]) -> Snapshot:
    """Return the snapshot of an agent; a source without a reading has timed out."""
    by_source = {reading.source: reading for reading in (*timeouts, *received)}
    return reduce(Snapshot.after, by_source.values(), Snapshot(agent))
