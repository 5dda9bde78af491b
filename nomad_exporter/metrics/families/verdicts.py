"""The families that depend on the instant of the scrape, and so are drawn then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.family import Family, Sample, one
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.quorum_state import QuorumState
from nomad_exporter.verdicts.reasons import Question


@dataclass(frozen=True, slots=True)
class ScrapeState:
    """An agent as it is known and judged at an instant; what is older than ``max_age`` seconds counts no more."""

    judged: Evaluation
    at: Instant
    max_age: float

    @property
    def snapshot(self) -> Snapshot:
        return self.judged.snapshot

    @property
    def is_polled(self) -> bool:
        """Whether the first attempt has ended; until then, every verdict is still to come."""
        return self.snapshot.last_poll_ended is not None


def _up(moment: ScrapeState) -> Iterable[Sample]:
    """An answer that grew old without another attempt, as while a name is being resolved for ever, is no life."""
    last = moment.snapshot.agent_self.last
    if last is None:
        return ()
    return one(int(moment.snapshot.agent_self.failure is None and moment.at.since(last.ended) <= moment.max_age))


def _holds(question: Question) -> Callable[[ScrapeState], Iterable[Sample]]:
    """Whether the answer is yes, from the first attempt on."""

    def samples(moment: ScrapeState) -> Iterable[Sample]:
        return one(int(moment.judged.verdicts[question].ok) if moment.is_polled else None)

    return samples


def _of_standing(number: Callable[[QuorumState], int | None]) -> Callable[[ScrapeState], Iterable[Sample]]:
    """A number of the quorum of the agent's cluster; none where nothing is known of it."""

    def samples(moment: ScrapeState) -> Iterable[Sample]:
        quorum_state = moment.judged.quorum_state
        return one(number(quorum_state) if quorum_state else None)

    return samples


def _reasons(moment: ScrapeState) -> Iterable[Sample]:
    if not moment.is_polled:
        return ()
    return [((question, verdict.reason), 1) for question, verdict in moment.judged.verdicts.items()]


VERDICTS: tuple[Family[ScrapeState], ...] = (
    Family(
        "nomad_agent_up",
        "Whether the newest attempt to ask the agent for self gave an answer; absent before the first one ended.",
        "polls",
        _up,
    ),
    Family(
        "nomad_agent_live",
        "Whether the agent lives, so that a restart would not help it; as /health/live.",
        "verdict",
        _holds(Question.LIVE),
    ),
    Family(
        "nomad_agent_ready",
        "Whether the agent can do its work; as /health/ready.",
        "verdict",
        _holds(Question.READY),
    ),
    Family(
        "nomad_agent_safe_to_stop",
        "Whether the agent's cluster survives without it; as /health/quorum.",
        "verdict",
        _holds(Question.QUORUM),
    ),
    Family(
        "nomad_agent_quorum_voters",
        "Voters in the raft configuration of the server's cluster.",
        "verdict",
        _of_standing(lambda quorum_state: quorum_state.count.voters),
    ),
    Family(
        "nomad_agent_quorum_voters_healthy",
        "Voters of the server's cluster that are proven well.",
        "verdict",
        _of_standing(lambda quorum_state: quorum_state.count.healthy),
    ),
    Family(
        "nomad_agent_quorum_size",
        "Voters that the server's cluster needs: their majority.",
        "verdict",
        _of_standing(lambda quorum_state: quorum_state.count.quorum_size),
    ),
    Family(
        "nomad_agent_quorum_margin",
        "Well voters that the cluster can lose; negative where too few are left, absent while some are unproven.",
        "verdict",
        _of_standing(lambda quorum_state: quorum_state.margin),
    ),
    Family(
        "nomad_agent_verdict_reason",
        "1 for the reason of each verdict: live, ready and quorum.",
        "verdict",
        _reasons,
        ("verdict", "reason"),
    ),
    Family(
        "nomad_agent_certificate_expiry_timestamp_seconds",
        "When the certificate expires that the agent served last.",
        "polls",
        lambda moment: one(moment.snapshot.certificates.peer),
    ),
    Family(
        "nomad_exporter_client_certificate_expiry_timestamp_seconds",
        "When the client certificate expires that the exporter shows to the agent.",
        "polls",
        lambda moment: one(moment.snapshot.certificates.own),
    ),
)
