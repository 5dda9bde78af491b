"""The exporter's eyes on a simulated cluster, in process: it is polled as the schedule would, and then judged."""

from __future__ import annotations

from collections.abc import Iterable

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import Reply
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_sim.api.http import ApiResponse
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.agents import State
from nomad_sim.model.cluster import Cluster
from tests.support.clusters import pass_time
from tests.support.fleets import agent
from tests.support.sim_requests import send

TIMEOUT = 4.0
POLL_INTERVAL = 5.0
STATE_EVERY = 3
"""Health is asked at every beat, the facts at every third."""


class ModelTransport:
    """The wire to a simulated agent. What is not answered at once is not answered in time: no time passes in a poll."""

    certificates = Certificates()

    def __init__(self, api: NomadApi, name: str) -> None:
        self._api, self._name = api, name

    def get(self, path: str, seconds: float) -> Reply | Failure:
        if self._api.cluster.world.agents[self._name].state is State.DEAD:
            return Failure(FailureReason.REFUSED, "it is dead")
        reply = send(self._api, self._name, f"GET {path}")
        if isinstance(reply, ApiResponse):
            return Reply(reply.status, reply.body)
        return Failure(FailureReason.TIMEOUT, f"no whole answer within {seconds}s")


class ModelPoller:
    """Some agents of a cluster, watched from now on."""

    def __init__(self, cluster: Cluster, names: Iterable[str], thresholds: Thresholds) -> None:
        self.cluster, self._limits, self._beats = cluster, thresholds, 0
        api, fleet = NomadApi(cluster), [agent(name) for name in names]
        self._agents = fleet
        self._store: Store[None] = Store(fleet, lambda *_: None)
        wires = {each.name: ModelTransport(api, each.name) for each in fleet}
        self._rounds = Poller(self._store, wires, self.now, TIMEOUT, lambda *_: None, autopilot=thresholds.autopilot)

    def now(self) -> Instant:
        return Instant(self.cluster.world.now, self.cluster.world.now)

    def polls(self, beats: int) -> None:
        """Lets time pass for so many beats, and asks at the end of each."""
        for _ in range(beats):
            pass_time(self.cluster, POLL_INTERVAL)
            for each in self._agents:
                self._rounds.poll_health(each)
                if self._beats % STATE_EVERY == 0:
                    self._rounds.poll_state(each)
            self._beats += 1

    def judged(self) -> dict[str, Evaluation]:
        """The verdicts of this very moment, by agent."""
        fleet = [kept.snapshot for kept in self._store.entries()]
        return {each.snapshot.agent.name: each for each in evaluate(fleet, fleet, self.now(), self._limits)}
