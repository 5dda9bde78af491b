"""Replay of recorded agents: their recorded responses through the poller into a store, without sockets or threads."""

from __future__ import annotations

from collections.abc import Mapping

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import AUTOPILOT, Reply, enabled_sources
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Entry, Store
from tests.support.polls import poll_wanted
from tests.support.recordings import Situation

AT = Instant(wall=1_800_000_000.0, monotonic=1000.0)
"""The instant of all polls and of the scrape."""

TIMEOUT = 4.0
MAX_AGE = 45.0
ADDRESS = Address("http", "127.0.0.1", 4646)


class RecordedWire:
    """A transport that returns recorded responses, and a timeout for those that took too long."""

    certificates = Certificates()

    def __init__(self, situation: Situation) -> None:
        self._situation = situation

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        recorded = self._situation.answer(path)
        if recorded.status is None or recorded.seconds > seconds:
            return Failure(FailureReason.TIMEOUT, "recorded so")
        return Reply(recorded.status, recorded.body)


def replay(agents: Mapping[str, Situation]) -> tuple[Entry[Rendered], ...]:
    """Return the entries of recorded agents, given by name, after one poll of every source.

    Autopilot is polled if the recording has an answer of autopilot.
    """
    fleet = [Agent(name, ADDRESS) for name in agents]
    store = Store(fleet, render_agent)
    wires = {name: RecordedWire(situation) for name, situation in agents.items()}
    for agent in fleet:
        has_autopilot = AUTOPILOT.path in agents[agent.name].answers
        poller = Poller(
            store=store,
            wires=wires,
            clock=lambda: AT,
            seconds=TIMEOUT,
            sources=enabled_sources(autopilot=has_autopilot),
            on_changes=lambda *_: None,
        )
        poll_wanted(poller, agent)
    return store.entries()
