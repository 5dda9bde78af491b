"""What an agent told us, as values: the answers to ``self``, ``members``, ``health`` and ``autopilot``.

Everything that the agent did not say is None, an empty text or missing from its mapping; nothing is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nomad_exporter.nomad.stats import Number


class Role(StrEnum):
    """A role of an agent; one agent can have both."""

    SERVER = "server"
    CLIENT = "client"


RAFT_STATES = ("Follower", "Candidate", "Leader", "Shutdown", "Unknown")
SUFFRAGES = ("Voter", "Nonvoter", "Staging")
MEMBER_STATUSES = ("alive", "leaving", "left", "failed")


@dataclass(frozen=True, slots=True)
class RaftServer:
    """One server of the raft configuration. ``id`` is the address too where the raft protocol is below 3."""

    suffrage: str
    id: str
    address: str


@dataclass(frozen=True, slots=True)
class Member:
    """One server in gossip. ``address`` is the ``host:port`` of its RPC, as raft has it.

    ``nonvoter`` says that it is meant to have no vote, or one only where its redundancy zone needs it.
    """

    name: str
    status: str = ""
    id: str = ""
    address: str = ""
    region: str = ""
    datacenter: str = ""
    build: str = ""
    raft_version: str = ""
    protocol: int | None = None
    delegate: int | None = None
    expect: str = ""
    nonvoter: bool = False


@dataclass(frozen=True, slots=True)
class AgentSelf:
    """``GET /v1/agent/self``.

    ``numbers`` and ``texts`` hold the known stats by path (``raft.commit_index``), ``silent`` the paths of those that
    said that there is nothing to say, ``unknown`` the texts of stats that are not in ``stats.STATS``. ``invalid_fields`` names
    what could not be read; it cost only itself.
    """

    roles: frozenset[Role]
    region: str = ""
    datacenter: str = ""
    node_name: str = ""
    version: str = ""
    acl_enabled: bool | None = None
    tls_http: bool | None = None
    tls_verify_https_client: bool | None = None
    bootstrap_expect: int | None = None
    member: Member | None = None
    numbers: Mapping[str, Number] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    null_paths: frozenset[str] = frozenset()
    configuration: tuple[RaftServer, ...] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    invalid_fields: tuple[str, ...] = ()

    @property
    def is_leader(self) -> bool:
        """Whether it is the leader of its region."""
        return self.numbers.get("nomad.leader") == 1

    @property
    def leader_address(self) -> str:
        """The RPC address of the leader that it believes in; empty where it knows none."""
        return self.texts.get("nomad.leader_addr", "")


@dataclass(frozen=True, slots=True)
class Members:
    """``GET /v1/agent/members``: the servers of all federated regions, in the order of their names."""

    members: tuple[Member, ...]
    invalid_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """Nomad's verdict on one role."""

    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """One answer of ``GET /v1/agent/health``: its HTTP status (200 or 500) and the check of each role that it named."""

    status: int
    checks: Mapping[Role, Check]


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one cycle, from one or two questions.

    ``plain`` is what a plain question says, ``stale`` what the agent says of itself without asking its leader.
    ``leader_reachable`` is None on an agent that is no server.
    """

    plain: HealthAnswer
    stale: HealthAnswer
    leader_reachable: bool | None = None
    invalid_fields: tuple[str, ...] = ()

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(self.plain.checks)


@dataclass(frozen=True, slots=True)
class AutopilotServer:
    """One server of the raft configuration, as the leader finds it."""

    id: str
    name: str = ""
    address: str = ""
    healthy: bool = False
    voter: bool = False


@dataclass(frozen=True, slots=True)
class Autopilot:
    """``GET /v1/operator/autopilot/health`` of a leader: what it thinks of each server of its region."""

    healthy: bool
    failure_tolerance: int | None = None
    servers: tuple[AutopilotServer, ...] = ()
    invalid_fields: tuple[str, ...] = ()


def is_same(server: RaftServer, member: Member) -> bool:
    """Whether the member of gossip is this server of the raft configuration.

    Below raft protocol 3 the ID is the address. From 3 on the ID alone tells: a server whose disk was wiped comes back
    at its address as another one.
    """
    if server.id == server.address:
        return server.address == member.address
    return server.id == member.id


def own_server(own: AgentSelf) -> RaftServer | None:
    """The agent itself in its own raft configuration."""
    member = own.member
    if member is None:
        return None
    return next((server for server in own.configuration or () if is_same(server, member)), None)


def denies_vote(own: AgentSelf) -> bool:
    """Whether the agent tells a raft configuration in which it is no voter."""
    server = own_server(own)
    told = own.configuration is not None and own.member is not None
    return told and (server is None or server.suffrage != "Voter")
