"""Polls: which sources of an agent are polled, and the readings. No threads, no schedule, no sleeping."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from nomad_exporter import logs
from nomad_exporter.clock import Clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import A, Reply, Source
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.node_names import with_node_name
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change

_log = logs.get_logger(__name__)


class Wire(Protocol):
    """What a poll needs of a transport: a GET request with a timeout in seconds, and the certificates in use."""

    @property
    def certificates(self) -> Certificates: ...

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure: ...


def sources_to_poll(snapshot: Snapshot, enabled: Iterable[Source[Any]]) -> tuple[Source[Any], ...]:
    """Return those of the ``enabled`` sources that an agent is polled for, as far as its snapshot shows."""
    return tuple(
        source
        for source in enabled
        if source.applies_to(snapshot.roles) and (snapshot.reaches_leader or not source.needs_leader)
    )


def poll(source: Source[A], wire: Wire, clock: Clock, seconds: float, lateness: float = 0.0) -> Reading[A]:
    """Poll ``source`` once, with a timeout of ``seconds`` for all its requests together, and return the reading.

    ``lateness`` is the seconds since the poll was due; the reading includes it.
    """
    began, sizes = clock(), [0]

    def get(path: str, seconds: float, body_limit: int) -> Reply | Failure:
        reply = wire.get(path, seconds, body_limit)
        sizes.append(0 if isinstance(reply, Failure) else len(reply.body))
        return reply

    outcome = source.poll(get, clock, seconds)
    took, size = clock().since(began), sum(sizes)
    return Reading(source, outcome, began, took, lateness=lateness, certificates=wire.certificates, size=size)


class JobOutcome(Enum):
    """The outcome of one run of a poll job. A run has hung if a poll occupied a thread for long and then failed."""

    COMPLETED = "completed"
    HUNG = "hung"


class Poller:
    """The polls of all agents: records every reading in ``store``, and passes its changes to ``on_changes``.

    ``seconds`` is the timeout of one poll. ``sources`` are the sources that are enabled.
    """

    def __init__(
        self,
        *,
        store: Store[Any],
        wires: Mapping[str, Wire],
        clock: Clock,
        seconds: float,
        sources: Collection[Source[Any]],
        on_changes: Callable[[Agent, Sequence[Change]], None],
    ) -> None:
        self._store, self._wires, self._clock, self._seconds = store, wires, clock, seconds
        self._sources, self._on_changes = sources, on_changes

    def wants(self, agent: Agent, source: Source[Any]) -> bool:
        """Return whether ``source`` is to be polled, as far as the agent's snapshot shows."""
        return source in sources_to_poll(self._snapshot(agent), self._sources)

    def poll(self, agent: Agent, source: Source[Any], lateness: float = 0.0) -> JobOutcome:
        """Poll ``source`` once, ``lateness`` seconds after the poll was due, and record the reading."""
        wire = self._wires.get(agent.name)
        if wire is None:  # The agent was removed by a reload.
            return JobOutcome.COMPLETED
        polled = poll(source, wire, self._clock, self._seconds, lateness)
        _log.debug("polled", agent=agent.name, source=source, seconds=f"{polled.seconds:.3f}", bytes=polled.size)
        reading = with_node_name(polled, self._snapshot(agent).node_name, wire.get, self._clock, self._seconds)
        self._on_changes(agent, self._store.record(agent, reading))
        return JobOutcome.HUNG if self._has_hung(reading) else JobOutcome.COMPLETED

    def _snapshot(self, agent: Agent) -> Snapshot:
        entry = self._store.get(agent.name)
        return entry.snapshot if entry else Snapshot(agent)

    def _has_hung(self, reading: Reading[Any]) -> bool:
        """Return whether the poll failed by timeout, or after half of the timeout, as slow name resolution can."""
        is_slow = reading.seconds >= self._seconds / 2
        return isinstance(reading.outcome, Failure) and (is_slow or reading.outcome.reason is FailureReason.TIMEOUT)
