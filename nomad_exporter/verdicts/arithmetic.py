"""The arithmetic of a quorum: which voters are healthy, and how many may be lost."""

# Crash-stop is assumed: a server that responds is believed.

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class EvidenceSource(StrEnum):
    """A source of evidence about the health of a voter."""

    GOSSIP = "gossip"
    """The members that healthy servers report. Slow: a failure is detected after about 30 seconds."""
    DIRECT = "direct"
    """The exporter's own polls of the voter, if the voter is monitored. Immediate."""
    AUTOPILOT = "autopilot"
    """The leader's autopilot health, if the exporter polls it."""


Evidence = Mapping[EvidenceSource, bool | None]
"""The evidence about one voter, by expected source: healthy, unhealthy, or None if the source has no answer."""


@dataclass(frozen=True, slots=True)
class VoterCount:
    """The number of voters in a cluster: all, proven ``healthy``, and ``unknown``.

    An unknown voter is neither proven healthy nor reported unhealthy.
    """

    voters: int
    healthy: int
    unknown: int = 0

    @property
    def quorum_size(self) -> int:
        """The number of voters in a majority."""
        return quorum_size(self.voters)

    @property
    def margin(self) -> int:
        """The number of healthy voters that can be lost; negative if there are too few already."""
        return self.healthy - self.quorum_size


def quorum_size(voters: int) -> int:
    """Return the number of voters in a majority of ``voters``."""
    return voters // 2 + 1


def is_healthy(evidence: Evidence, trust_gossip: bool = False) -> bool:
    """Return whether a voter is proven healthy.

    Every expected source must report it healthy. Gossip must be one of the sources, but is not sufficient
    alone unless ``trust_gossip`` is set.
    """
    sufficient = trust_gossip or len(evidence) > 1
    return sufficient and EvidenceSource.GOSSIP in evidence and all(evidence.values())


def is_unhealthy(evidence: Evidence) -> bool:
    """Return whether any source reports a voter unhealthy."""
    return False in evidence.values()


def count_voters(all_evidence: Collection[Evidence], trust_gossip: bool = False) -> VoterCount:
    """Count the voters of a cluster, given the evidence about each voter in any order."""
    healthy = sum(is_healthy(evidence, trust_gossip) for evidence in all_evidence)
    unhealthy = sum(is_unhealthy(evidence) for evidence in all_evidence)
    return VoterCount(len(all_evidence), healthy, len(all_evidence) - healthy - unhealthy)


def is_safe(healthy: int, quorum_size: int, counts: bool) -> bool:
    """Return whether a majority remains after a server stops; ``counts`` if it is one of the ``healthy`` voters."""
    return healthy - counts >= quorum_size


def basis(all_evidence: Collection[Evidence], trust_gossip: bool = False) -> EvidenceSource | None:
    """Return the weakest source that a healthy voter depends on, or None if no voter is healthy.

    A voter depends on its strongest source. Direct evidence is stronger than autopilot, and autopilot than gossip.
    """
    strongest = (max(evidence, key=_STRENGTH) for evidence in all_evidence if is_healthy(evidence, trust_gossip))
    return min(strongest, key=_STRENGTH, default=None)


_STRENGTH = (EvidenceSource.GOSSIP, EvidenceSource.AUTOPILOT, EvidenceSource.DIRECT).index
