"""Families that depend on the instant of the scrape and are rendered for each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Family, Lifetime, Sample, one
from nomad_exporter.nomad.sources import SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question


@dataclass(frozen=True, slots=True)
class AgentAtScrape:
    """An agent and its verdicts at the instant of a scrape; ``max_age`` limits the age of an answer, in seconds."""

    evaluation: Evaluation
    now: Instant
    max_age: float

    @property
    def snapshot(self) -> Snapshot:
        return self.evaluation.snapshot

    @property
    def is_polled(self) -> bool:
        """Whether the first poll has ended; before that, no verdict is exported."""
        return self.snapshot.last_poll_ended is not None

    def exports(self, source: Source[Any], lifetime: Lifetime) -> bool:
        """Return whether the newest answer of ``source`` is exported in families with this ``lifetime``."""
        if lifetime is Lifetime.CONFIGURED:
            return self.snapshot[source].answer is not None
        is_fresh = self.snapshot[source].age(self.now) <= self.max_age
        return is_fresh and (lifetime is Lifetime.MAX_AGE or self._is_of_the_moment(source, lifetime))

    def _is_of_the_moment(self, source: Source[Any], lifetime: Lifetime) -> bool:
        is_outdated = lifetime is Lifetime.TERM and self._leads_an_older_term()
        return not is_outdated and self.snapshot[source].failure is None and not self.snapshot.is_silent_since(source)

    def _leads_an_older_term(self) -> bool:
        state, agent_self = self.evaluation.quorum_state, self.snapshot[SELF].answer
        if agent_self is None or not agent_self.is_leader or not (state and state.elected):
            return False
        return agent_self.numbers.get("raft.term", 0) < state.elected.term


def _up(agent: AgentAtScrape) -> Iterable[Sample]:
    state = agent.snapshot[SELF]
    if state.last is None:
        return ()
    # A stale answer is not "up": the poller may be stuck, for example in name resolution.
    is_fresh = agent.now.since(state.last.ended) <= agent.max_age
    return one(int(state.failure is None and is_fresh))


def _verdict(question: Question) -> Callable[[AgentAtScrape], Iterable[Sample]]:
    def samples(agent: AgentAtScrape) -> Iterable[Sample]:
        return one(int(agent.evaluation.verdicts[question].ok) if agent.is_polled else None)

    return samples


def _reasons(agent: AgentAtScrape) -> Iterable[Sample]:
    if not agent.is_polled:
        return ()
    return [((question, verdict.reason), 1) for question, verdict in agent.evaluation.verdicts.items()]


VERDICTS: tuple[Family[AgentAtScrape], ...] = (
    Family(
        "nomad_agent_up",
        "Whether the last poll of /v1/agent/self succeeded; absent before the first poll.",
        "polls",
        _up,
    ),
    Family(
        "nomad_agent_live",
        "Whether the agent is live, as reported by /health/live.",
        "verdict",
        _verdict(Question.LIVE),
    ),
    Family(
        "nomad_agent_ready",
        "Whether the agent is ready, as reported by /health/ready.",
        "verdict",
        _verdict(Question.READY),
    ),
    Family(
        "nomad_agent_safe_to_stop",
        "Whether the cluster keeps its quorum without the agent, as reported by /health/quorum.",
        "verdict",
        _verdict(Question.QUORUM),
    ),
    Family(
        "nomad_agent_verdict_reason",
        "Reason of each verdict: 1 for the current reason.",
        "verdict",
        _reasons,
        ("verdict", "reason"),
    ),
    Family(
        "nomad_agent_certificate_expiry_timestamp_seconds",
        "Expiry time of the agent's certificate.",
        "polls",
        lambda agent: one(agent.snapshot.certificates.peer),
    ),
    Family(
        "nomad_exporter_client_certificate_expiry_timestamp_seconds",
        "Expiry time of the client certificate presented to the agent.",
        "polls",
        lambda agent: one(agent.snapshot.certificates.own),
    ),
)
