"""What an incident is, as a value: what is done to whom, and what is to be seen of it then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Role(StrEnum):
    """Whom a story is about. Which agents they are is settled when it begins; they keep their role until its end.

    The first four live in the first region, the ``far`` ones in the second. The newcomer is there once it was added.
    """

    LEADER = "leader"
    FOLLOWER = "follower"
    OTHER_FOLLOWER = "other_follower"
    CLIENT = "client"
    FAR_LEADER = "far_leader"
    FAR_FOLLOWER = "far_follower"
    FAR_OTHER_FOLLOWER = "far_other_follower"
    FAR_CLIENT = "far_client"
    NEWCOMER = "newcomer"


Roles = tuple[Role, ...]

SERVERS: Roles = (Role.LEADER, Role.FOLLOWER, Role.OTHER_FOLLOWER)
FOLLOWERS: Roles = (Role.FOLLOWER, Role.OTHER_FOLLOWER)
HOME: Roles = (*SERVERS, Role.CLIENT)
FAR_SERVERS: Roles = (Role.FAR_LEADER, Role.FAR_FOLLOWER, Role.FAR_OTHER_FOLLOWER)
FAR: Roles = (*FAR_SERVERS, Role.FAR_CLIENT)


OBSERVATION_SECONDS = 10.0
"""So long there is for looking at what is to be seen."""

ADD = "add"
"""The deed by which the newcomer comes to be."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done to ``roles``, one after the other: ``fault`` is a name of the table of deeds.

    A deed to nobody is done to the cluster as a whole.
    """

    fault: str
    roles: Roles = ()


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A question to an agent's own API, as a person would ask it. ``path`` names roles: ``{leader.serf}``."""

    role: Role
    method: str
    path: str


class Match(Enum):
    """How a sample is to be seen."""

    IS = "is"
    ABSENT = "absent"
    GROWN = "grown"
    """By so much since the incident began, or more: a counter."""


@dataclass(frozen=True, slots=True)
class SampleExpectation:
    """A sample on ``/metrics`` beside the label ``agent``. The values of ``labels`` may name roles."""

    name: str
    value: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)
    match: Match = Match.IS


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to be seen of each agent of ``roles``: the reasons of its verdicts, where they are told, and samples.

    It is met ``within_polls`` polls of the agent, counted from ``after`` seconds of Nomad's own time. It then
    lasts until the next step, unless it is ``transient``.
    """

    roles: Roles
    live: str = ""
    ready: str = ""
    quorum: str = ""
    samples: tuple[SampleExpectation, ...] = ()
    within_polls: int = 6
    after: float = 0.0
    transient: bool = False

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reason of each question that something is said about."""
        reasons = {"live": self.live, "ready": self.ready, "quorum": self.quorum}
        return {question: reason for question, reason in reasons.items() if reason}


@dataclass(frozen=True, slots=True)
class Step:
    """A part of an incident: one sentence, what is done, what is expected of it."""

    description: str
    actions: tuple[Action | ApiCall, ...] = ()
    expectations: tuple[Expectation, ...] = ()

    @property
    def duration(self) -> float:
        """How long it lasts when the incident plays by itself, in Nomad's own time: until all can be seen."""
        return OBSERVATION_SECONDS + max((expectation.after for expectation in self.expectations), default=0.0)


SUPPORTED_VERSIONS = ("2.0", "1.10", "1.6", "1.2")
"""Older servers vote as soon as they are there, so a story of one that comes back would be another."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the cluster must be like: exactly so many servers in a region, at least so many clients and regions.

    ``acl`` is None where it makes no difference.
    """

    servers: int = 3
    clients: int = 1
    regions: int = 1
    acl: bool | None = None
    tls: bool = False
    versions: tuple[str, ...] = SUPPORTED_VERSIONS


@dataclass(frozen=True, slots=True)
class Incident:
    """A story with a ``name`` to call it by, and one line about it.

    Where ``strict``, no server may be stopped exactly while one of them is away or no voter yet, at every moment.
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    requirements: Requirements = Requirements()
    strict: bool = False
