"""A poller of a simulated cluster, in process, for tests of verdicts."""

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
"""Health is polled at every interval, the other sources at every third."""


class ModelTransport:
    """The transport to a simulated agent. No time passes in a poll: a response is immediate or a timeout."""

    certificates = Certificates()

    def __init__(self, api: NomadApi, name: str) -> None:
        self._api, self._name = api, name

    def get(self, path: str, seconds: float) -> Reply | Failure:
        if self._api.cluster.world.agents[self._name].state is State.DEAD:
            return Failure(FailureReason.REFUSED, "connection refused")
        response = send(self._api, self._name, f"GET {path}")
        if isinstance(response, ApiResponse):
            return Reply(response.status, response.body)
        return Failure(FailureReason.TIMEOUT, f"no complete response within {seconds}s")


class ModelPoller:
    """A poller of some agents of a simulated cluster, and the evaluation of their verdicts."""

    def __init__(self, cluster: Cluster, names: Iterable[str], thresholds: Thresholds) -> None:
        self.cluster, self._thresholds, self._polls = cluster, thresholds, 0
        self._agents = [agent(name) for name in names]
        api = NomadApi(cluster)
        self._store: Store[None] = Store(self._agents, lambda *_: None)
        transports = {monitored.name: ModelTransport(api, monitored.name) for monitored in self._agents}
        self._poller = Poller(
            self._store, transports, self.now, TIMEOUT, lambda *_: None, autopilot=thresholds.autopilot
        )

    def now(self) -> Instant:
        return Instant(self.cluster.world.now, self.cluster.world.now)

    def polls(self, count: int) -> None:
        """Let ``count`` poll intervals pass, and poll all agents at the end of each."""
        for _ in range(count):
            pass_time(self.cluster, POLL_INTERVAL)
            for monitored in self._agents:
                self._poller.poll_health(monitored)
                if self._polls % STATE_EVERY == 0:
                    self._poller.poll_state(monitored)
            self._polls += 1

    def evaluations(self) -> dict[str, Evaluation]:
        """Evaluate the verdicts about all agents now, by agent name."""
        fleet = [entry.snapshot for entry in self._store.entries()]
        evaluations = evaluate(fleet, fleet, self.now(), self._thresholds)
        return {evaluation.snapshot.agent.name: evaluation for evaluation in evaluations}
