"""The arithmetic of a quorum: what the witnesses say of each voter, and what follows from it. Pure numbers.

It assumes a crash-stop: a server that answers is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class EvidenceSource(StrEnum):
    """Who can tell whether a voter is well."""

    GOSSIP = "gossip"
    """The members that well servers know: late, a death is noticed after half a minute."""
    DIRECT = "direct"
    """The voter itself, where we watch it: at once."""
    AUTOPILOT = "autopilot"
    """The leader, where we ask it."""


Evidence = Mapping[EvidenceSource, bool | None]
"""What is said of one voter, by each witness that should have something to say; None where it says nothing."""


@dataclass(frozen=True, slots=True)
class VoterCount:
    """How the voters of a cluster are.

    ``healthy`` are those proven; of the ``unknown`` nothing bad is known, but too little good.
    """

    voters: int
    healthy: int
    unknown: int = 0

    @property
    def quorum_size(self) -> int:
        """The majority."""
        return self.voters // 2 + 1

    @property
    def margin(self) -> int:
        """How many well voters can be lost before too few are left; negative where too few are left already."""
        return self.healthy - self.quorum_size


def is_healthy(testimony: Evidence, trust_gossip: bool = False) -> bool:
    """Whether a voter is proven well: all who should speak say so, and one of them is more than gossip.

    With ``trust_gossip``, gossip alone is enough.
    """
    enough = trust_gossip or len(testimony) > 1
    return enough and EvidenceSource.GOSSIP in testimony and all(testimony.values())


def is_unhealthy(testimony: Evidence) -> bool:
    """Whether any witness says that a voter is not well."""
    return False in testimony.values()


def count_voters(evidence: Collection[Evidence], trust_gossip: bool = False) -> VoterCount:
    """The count over all voters of a cluster, in whatever order."""
    healthy = sum(is_healthy(testimony, trust_gossip) for testimony in evidence)
    unhealthy = sum(is_unhealthy(testimony) for testimony in evidence)
    return VoterCount(len(evidence), healthy, len(evidence) - healthy - unhealthy)


def is_safe(healthy: int, quorum_size: int, counts: bool) -> bool:
    """Whether a majority is left when a server stops that ``counts`` a well voter, or none."""
    return healthy - counts >= quorum_size


def basis(evidence: Collection[Evidence], trust_gossip: bool = False) -> EvidenceSource | None:
    """The weakest of what the well voters rest on; None where no voter is well."""
    strongest = (max(testimony, key=_STRENGTH) for testimony in evidence if is_healthy(testimony, trust_gossip))
    return min(strongest, key=_STRENGTH, default=None)


_STRENGTH = (EvidenceSource.GOSSIP, EvidenceSource.AUTOPILOT, EvidenceSource.DIRECT).index
