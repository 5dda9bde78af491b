"""Recorded agents, from their replies to the page: no sockets, no threads, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Mapping

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import AUTOPILOT_PATH, Reply
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Entry, Store
from tests.support.recordings import Situation

AT = Instant(wall=1_800_000_000.0, monotonic=1000.0)
"""The moment at which all is asked and shown."""

TIMEOUT = 4.0
MAX_AGE = 45.0
ADDRESS = Address("http", "127.0.0.1", 4646)


class RecordedWire:
    """The wire to a recorded agent; what took longer than there is time never comes."""

    certificates = Certificates()

    def __init__(self, situation: Situation) -> None:
        self._situation = situation

    def get(self, path: str, seconds: float) -> Reply | Failure:
        told = self._situation.answer(path)
        if told.status is None or told.seconds > seconds:
            return Failure(FailureReason.TIMEOUT, "recorded so")
        return Reply(told.status, told.body)


def played(agents: Mapping[str, Situation]) -> tuple[Entry[Rendered], ...]:
    """What is known of recorded agents, given by the names that they shall have, once each was asked in one round.

    A leader is asked for autopilot where it was when it was recorded.
    """
    fleet = [Agent(name, ADDRESS) for name in agents]
    store = Store(fleet, render_agent)
    wires = {name: RecordedWire(situation) for name, situation in agents.items()}
    for agent in fleet:
        told = AUTOPILOT_PATH in agents[agent.name].answers
        rounds = Poller(store, wires, lambda: AT, TIMEOUT, lambda *_: None, autopilot=told)
        rounds.poll_health(agent)
        rounds.poll_state(agent)
    return store.entries()
