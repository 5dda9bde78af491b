"""Polling and evaluation of a simulated cluster in process, on the schedule of the exporter."""

from __future__ import annotations

from collections.abc import Iterable

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import HEALTH, SOURCES, Reply, enabled_sources
from nomad_exporter.nomad.tls import Certificates
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
from tests.support.polls import poll_wanted
from tests.support.sim_requests import send

TIMEOUT = 4.0
POLL_INTERVAL = 5.0
STATE_POLL_EVERY = 3
"""Intervals between two state polls; health is polled in every interval."""


class ModelTransport:
    """A transport to one simulated agent."""

    # No time passes during a poll, so a response that is not immediate counts as a timeout.

    certificates = Certificates()

    def __init__(self, api: NomadApi, name: str) -> None:
        self._api, self._name = api, name

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        """Return the agent's immediate response to GET ``path``, or the failure."""
        if self._api.cluster.world.agents[self._name].state is State.DEAD:
            return Failure(FailureReason.REFUSED, "connection refused")
        reply = send(self._api, self._name, f"GET {path}")
        if isinstance(reply, ApiResponse):
            return Reply(reply.status, reply.body)
        return Failure(FailureReason.TIMEOUT, f"no complete response within {seconds}s")


class ModelPoller:
    """Polls some agents of a cluster and evaluates their verdicts."""

    def __init__(self, cluster: Cluster, names: Iterable[str], thresholds: Thresholds) -> None:
        self.cluster, self._thresholds, self._intervals = cluster, thresholds, 0
        api, self._agents = NomadApi(cluster), [agent(name) for name in names]
        self._store: Store[None] = Store(self._agents, lambda *_: None)
        transports = {each.name: ModelTransport(api, each.name) for each in self._agents}
        self._poller = Poller(
            store=self._store,
            wires=transports,
            clock=self.now,
            seconds=TIMEOUT,
            sources=enabled_sources(autopilot=thresholds.autopilot),
            on_changes=lambda *_: None,
        )

    def now(self) -> Instant:
        """Return the cluster's time as wall clock and monotonic clock."""
        return Instant(self.cluster.world.now, self.cluster.world.now)

    def run(self, intervals: int) -> None:
        """Advance the clock by ``intervals`` poll intervals, and poll all agents at the end of each."""
        for _ in range(intervals):
            pass_time(self.cluster, POLL_INTERVAL)
            for each in self._agents:
                poll_wanted(self._poller, each, SOURCES if self._intervals % STATE_POLL_EVERY == 0 else (HEALTH,))
            self._intervals += 1

    def evaluations(self) -> dict[str, Evaluation]:
        """Return the current evaluation of each polled agent, by name."""
        fleet = [entry.snapshot for entry in self._store.entries()]
        return {each.snapshot.agent.name: each for each in evaluate(fleet, fleet, self.now(), self._thresholds)}
