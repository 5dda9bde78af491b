"""Asks agents once, all at the same time, and waits no longer than it may.

An agent is asked for its health on one thread and for the rest on another, so that a leader who keeps the first one
waiting takes no time of the second.
"""

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

WORKERS = 256
"""The most threads that ask."""

GRACE = 0.1
"""So many seconds later than told a thread may end; beyond that, it waits for a name that nobody resolves."""

Ask = Callable[[Source], AnyReading]


def collect(wires: Mapping[Agent, Wire], sources: Collection[Source], clock: Clock, seconds: float) -> list[Snapshot]:
    """What is known of each agent once it was asked for ``sources``, of which health is one; raises nothing.

    It is over within ``seconds`` and ``GRACE``: who has not answered by then was silent.
    """
    began = clock()
    readings: dict[Agent, list[AnyReading]] = {agent: [] for agent in wires}
    errands = [
        partial(_do, errand(partial(_ask, wire, clock, began + seconds), sources), readings[agent])
        for errand in (_health, _facts)
        for agent, wire in wires.items()
    ]
    _run(errands, clock, began + (seconds + GRACE))
    silent = [_silence(source, began, seconds) for source in (Source.HEALTH, Source.SELF) if source in sources]
    return [_snapshot(agent, tuple(found), silent) for agent, found in readings.items()]


def _health(ask_for: Ask, sources: Collection[Source]) -> Iterator[AnyReading]:
    """A server that reaches its leader is then asked for what that leader's autopilot says."""
    told = ask_for(Source.HEALTH)
    yield told
    if Source.AUTOPILOT in sources and isinstance(told.outcome, Health) and told.outcome.leader_reachable:
        yield ask_for(Source.AUTOPILOT)


def _facts(ask_for: Ask, sources: Collection[Source]) -> Iterator[AnyReading]:
    """A server is then asked for its members; a client would pass that question on, and might wait for ever."""
    if Source.SELF not in sources:
        return
    told = ask_for(Source.SELF)
    yield told
    if Source.MEMBERS in sources and isinstance(told.outcome, AgentSelf) and Role.SERVER in told.outcome.roles:
        yield ask_for(Source.MEMBERS)


def _ask(wire: Wire, clock: Clock, end: Instant, source: Source) -> AnyReading:
    """One attempt with what is left of the time. A fault of our own, too, is an outcome."""
    began = clock()
    try:
        return poll(source, wire, clock, end.since(began))
    except Exception as error:  # noqa: BLE001  # On a thread, it would be told by a traceback.
        return Reading(
            source, Failure(FailureReason.INTERNAL, f"an error of the check, {type(error).__name__}"), began, 0.0
        )


def _do(errand: Iterable[AnyReading], found: list[AnyReading]) -> None:
    for reading in errand:
        found.append(reading)  # At once, for the next one may never come.


def _run(errands: Iterable[Callable[[], None]], clock: Clock, end: Instant) -> None:
    """Does all errands on threads that end with the process, and leaves behind what is not done by ``end``."""
    waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for errand in errands:
        waiting.put(errand)
    threads = [
        threading.Thread(target=_work, args=(waiting,), daemon=True) for _ in range(min(waiting.qsize(), WORKERS))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end.since(clock())))


def _work(waiting: SimpleQueue[Callable[[], None]]) -> None:
    with suppress(Empty):
        while True:
            waiting.get_nowait()()


def _silence(source: Source, began: Instant, seconds: float) -> AnyReading:
    silence = Failure(FailureReason.TIMEOUT, f"no whole answer within {durations.text(seconds)}")
    reading: AnyReading = Reading(source, silence, began, seconds)
    return reading


def _snapshot(agent: Agent, found: Iterable[AnyReading], silent: Iterable[AnyReading]) -> Snapshot:
    """What was found of ``agent``; ``silent`` takes the place of what was not."""
    by_source = {reading.source: reading for reading in (*silent, *found)}
    return reduce(Snapshot.after, by_source.values(), Snapshot(agent))
