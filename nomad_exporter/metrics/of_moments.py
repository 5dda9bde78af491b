"""The families that depend on the instant of the scrape, and so are drawn then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.families import Family, Sample, one
from nomad_exporter.watch.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Moment:
    """An agent as it is known at an instant; what is older than ``max_age`` seconds counts no more."""

    snapshot: Snapshot
    at: Instant
    max_age: float


def _up(moment: Moment) -> Iterable[Sample]:
    """An answer that grew old without another attempt, as while a name is being resolved for ever, is no life."""
    last = moment.snapshot.own.last
    if last is None:
        return ()
    return one(int(moment.snapshot.own.failure is None and moment.at.since(last.ended) <= moment.max_age))


MOMENTS: tuple[Family[Moment], ...] = (
    Family(
        "nomad_agent_up",
        "Whether the newest attempt to ask the agent for self gave an answer; absent before the first one ended.",
        "polls",
        _up,
    ),
    Family(
        "nomad_exporter_tls_peer_not_after_timestamp_seconds",
        "When the certificate expires that the agent served last.",
        "polls",
        lambda moment: one(moment.snapshot.certificates.peer),
    ),
    Family(
        "nomad_exporter_tls_client_not_after_timestamp_seconds",
        "When the client certificate expires that the exporter shows to the agent.",
        "polls",
        lambda moment: one(moment.snapshot.certificates.own),
    ),
)
