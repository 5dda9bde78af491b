"""The parts of an incident: roles, actions, expectations, steps and requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Role(StrEnum):
    """The role of an agent in an incident, assigned at its start and kept until its end.

    The ``remote`` roles belong to the second region, all others to the first. ``NEW_SERVER`` is assigned when the
    server is added.
    """

    LEADER = "leader"
    FOLLOWER = "follower"
    OTHER_FOLLOWER = "other_follower"
    CLIENT = "client"
    REMOTE_LEADER = "remote_leader"
    REMOTE_FOLLOWER = "remote_follower"
    REMOTE_OTHER_FOLLOWER = "remote_other_follower"
    REMOTE_CLIENT = "remote_client"
    NEW_SERVER = "new_server"


Roles = tuple[Role, ...]

SERVERS: Roles = (Role.LEADER, Role.FOLLOWER, Role.OTHER_FOLLOWER)
FOLLOWERS: Roles = (Role.FOLLOWER, Role.OTHER_FOLLOWER)
LOCAL: Roles = (*SERVERS, Role.CLIENT)
REMOTE_SERVERS: Roles = (Role.REMOTE_LEADER, Role.REMOTE_FOLLOWER, Role.REMOTE_OTHER_FOLLOWER)
REMOTE: Roles = (*REMOTE_SERVERS, Role.REMOTE_CLIENT)


OBSERVATION_SECONDS = 10.0
"""Seconds to observe the result of a step, in Nomad's own time."""

ADD = "add"
"""The action that adds the new server."""


@dataclass(frozen=True, slots=True)
class Action:
    """A fault that is applied to each of ``roles`` in turn, or to the cluster as a whole without roles.

    ``fault`` is a key of ``FAULTS`` or ``CLUSTER_FAULTS``, or ``ADD``.
    """

    fault: str
    roles: Roles = ()


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request to an agent's API. The path may contain roles, such as ``{leader.serf}``."""

    role: Role
    method: str
    path: str


class Match(Enum):
    """The comparison of a sample with its expected value."""

    EQUALS = "equals"
    ABSENT = "absent"
    INCREASED = "increased"
    """A counter that has increased by at least the value since the incident began."""


@dataclass(frozen=True, slots=True)
class SampleExpectation:
    """The expected value of a metric of an agent. The values of ``labels`` may contain roles."""

    name: str
    value: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)
    match: Match = Match.EQUALS


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected reasons of the verdicts about each agent of ``roles``, if not empty, and its expected samples.

    An expectation is met within ``within_polls`` polls after ``after`` seconds of Nomad's own time. It then remains met
    until the next step, unless it is ``transient``.
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
        """The expected reasons by question, without the empty ones."""
        reasons = {"live": self.live, "ready": self.ready, "quorum": self.quorum}
        return {question: reason for question, reason in reasons.items() if reason}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an incident: a description in one sentence or two, actions, and expectations."""

    description: str
    actions: tuple[Action | ApiCall, ...] = ()
    expectations: tuple[Expectation, ...] = ()

    @property
    def duration(self) -> float:
        """The time from this step to the next one in a complete run, in seconds of Nomad's own time."""
        return OBSERVATION_SECONDS + max((expectation.after for expectation in self.expectations), default=0.0)


SUPPORTED_VERSIONS = ("2.0", "1.10", "1.6", "1.2")
"""The versions in which a returning server starts as a non-voter."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """The requirements of an incident: the exact number of servers per region, and minimum clients and regions.

    ``acl`` is None if the incident runs with and without ACLs.
    """

    servers: int = 3
    clients: int = 1
    regions: int = 1
    acl: bool | None = None
    tls: bool = False
    versions: tuple[str, ...] = SUPPORTED_VERSIONS


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident: its name, a one-line title, and its steps.

    In a ``strict`` incident, tests check at every moment that servers are reported as safe to stop exactly while all of
    them are running voters.
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    requirements: Requirements = Requirements()
    strict: bool = False
