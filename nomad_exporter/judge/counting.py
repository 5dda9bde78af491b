"""The arithmetic of a quorum: what the witnesses say of each voter, and what follows from it. Pure numbers.

It assumes a crash-stop: a server that answers is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Witness(StrEnum):
    """Who can tell whether a voter is well."""

    GOSSIP = "gossip"
    """The members that well servers know: late, a death is noticed after half a minute."""
    DIRECT = "direct"
    """The voter itself, where we watch it: at once."""
    AUTOPILOT = "autopilot"
    """The leader, where we ask it."""


Testimony = Mapping[Witness, bool | None]
"""What is said of one voter, by each witness that should have something to say; None where it says nothing."""


@dataclass(frozen=True, slots=True)
class Count:
    """How the voters of a cluster are.

    ``well`` are those proven; of the ``unproven`` nothing bad is known, but too little good.
    """

    voters: int
    well: int
    unproven: int = 0

    @property
    def needed(self) -> int:
        """The majority."""
        return self.voters // 2 + 1

    @property
    def margin(self) -> int:
        """How many well voters can be lost before too few are left; negative where too few are left already."""
        return self.well - self.needed


def is_well(testimony: Testimony, trust_gossip: bool = False) -> bool:
    """Whether a voter is proven well: all who should speak say so, and one of them is more than gossip.

    With ``trust_gossip``, gossip alone is enough.
    """
    enough = trust_gossip or len(testimony) > 1
    return enough and Witness.GOSSIP in testimony and all(testimony.values())


def is_unwell(testimony: Testimony) -> bool:
    """Whether any witness says that a voter is not well."""
    return False in testimony.values()


def count(testimonies: Collection[Testimony], trust_gossip: bool = False) -> Count:
    """The count over all voters of a cluster, in whatever order."""
    well = sum(is_well(testimony, trust_gossip) for testimony in testimonies)
    unwell = sum(is_unwell(testimony) for testimony in testimonies)
    return Count(len(testimonies), well, len(testimonies) - well - unwell)


def is_safe(well: int, needed: int, costs: bool) -> bool:
    """Whether a majority is left when a server stops that ``costs`` a well voter, or none."""
    return well - costs >= needed


def basis(testimonies: Collection[Testimony], trust_gossip: bool = False) -> Witness | None:
    """The weakest of what the well voters rest on; None where no voter is well."""
    strongest = (max(testimony, key=_STRENGTH) for testimony in testimonies if is_well(testimony, trust_gossip))
    return min(strongest, key=_STRENGTH, default=None)


_STRENGTH = (Witness.GOSSIP, Witness.AUTOPILOT, Witness.DIRECT).index
