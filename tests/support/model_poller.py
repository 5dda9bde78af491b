"""The exporter's eyes on a simulated cluster, in process: it is polled as the schedule would, and then judged."""

from __future__ import annotations

from collections.abc import Iterable

from nomad_exporter.judge.judging import Judged, judge_all
from nomad_exporter.judge.limits import Limits
from nomad_exporter.watch.rounds import Rounds
from nomad_exporter.watch.store import Store

from nomad_exporter.clock import Instant
from nomad_exporter.demo.face.answers import Answer
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.agents import State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, Reason
from nomad_exporter.nomad.sources import Reply
from tests.support.clusters import pass_time
from tests.support.fleets import agent
from tests.support.questions import ask

TIMEOUT = 4.0
BEAT = 5.0
FACTS_EVERY = 3
"""Health is asked at every beat, the facts at every third."""


class ModelWire:
    """The wire to a simulated agent. What is not answered at once is not answered in time: no time passes in a poll."""

    certificates = Certificates()

    def __init__(self, face: Face, name: str) -> None:
        self._face, self._name = face, name

    def get(self, path: str, seconds: float) -> Reply | Failure:
        if self._face.cluster.world.agents[self._name].state is State.DEAD:
            return Failure(Reason.REFUSED, "it is dead")
        reply = ask(self._face, self._name, f"GET {path}")
        if isinstance(reply, Answer):
            return Reply(reply.status, reply.body)
        return Failure(Reason.TIMEOUT, f"no whole answer within {seconds}s")


class Watch:
    """Some agents of a cluster, watched from now on."""

    def __init__(self, cluster: Cluster, names: Iterable[str], limits: Limits) -> None:
        self.cluster, self._limits, self._beats = cluster, limits, 0
        face, fleet = Face(cluster), [agent(name) for name in names]
        self._agents = fleet
        self._store: Store[None] = Store(fleet, lambda *_: None)
        wires = {each.name: ModelWire(face, each.name) for each in fleet}
        self._rounds = Rounds(self._store, wires, self.now, TIMEOUT, lambda *_: None, autopilot=limits.autopilot)

    def now(self) -> Instant:
        return Instant(self.cluster.world.now, self.cluster.world.now)

    def polls(self, beats: int) -> None:
        """Lets time pass for so many beats, and asks at the end of each."""
        for _ in range(beats):
            pass_time(self.cluster, BEAT)
            for each in self._agents:
                self._rounds.health(each)
                if self._beats % FACTS_EVERY == 0:
                    self._rounds.facts(each)
            self._beats += 1

    def judged(self) -> dict[str, Judged]:
        """The verdicts of this very moment, by agent."""
        fleet = [kept.snapshot for kept in self._store.kept()]
        return {each.snapshot.agent.name: each for each in judge_all(fleet, fleet, self.now(), self._limits)}
