"""Decoded answers of an agent: ``self``, ``members``, ``health`` and ``autopilot``.

A value that the agent did not send is None, an empty text or missing from its mapping. No default replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nomad_exporter.nomad.stats import Number


class Role(StrEnum):
    """A role of an agent; an agent can have both."""

    SERVER = "server"
    CLIENT = "client"


RAFT_STATES = ("Follower", "Candidate", "Leader", "Shutdown", "Unknown")
SUFFRAGES = ("Voter", "Nonvoter", "Staging")
MEMBER_STATUSES = ("alive", "leaving", "left", "failed")


@dataclass(frozen=True, slots=True)
class RaftServer:
    """A server in the raft configuration. Below raft protocol 3, ``id`` is the address."""

    suffrage: str
    id: str
    address: str


@dataclass(frozen=True, slots=True)
class Member:
    """A server in gossip.

    ``address`` is the ``host:port`` of its RPC port, in raft's notation. ``nonvoter`` is True if the server is
    configured to have no vote, or a vote only when its redundancy zone needs a voter.
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
    """The answer to ``GET /v1/agent/self``.

    ``numbers`` and ``texts`` are the known stats by path (``raft.commit_index``). ``null_paths`` are the paths of known
    stats with a null value. ``unknown`` are the texts of stats that are not in ``stats.STATS``. ``invalid_fields``
    names the fields that could not be decoded. ``omitted`` is the number of values left out because of a limit, by
    what they are. ``node_name`` is empty if the agent's configuration sets no name; of a
    client, the poller adds the name of its node.
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
    omitted: Mapping[str, int] = field(default_factory=dict)

    @property
    def node_id(self) -> str:
        """The node ID of a client; empty for an agent that is only a server."""
        return self.texts.get("client.node_id", "")

    @property
    def name(self) -> str:
        """The gossip name of a server, else the node name, else the node ID; empty if the agent has none of them."""
        return self.member.name if self.member else self.node_name or self.node_id

    @property
    def is_leader(self) -> bool:
        """Whether the agent is the leader of its region."""
        return self.numbers.get("nomad.leader") == 1

    @property
    def leader_address(self) -> str:
        """The RPC address of the leader known to the agent; empty if it knows none."""
        return self.texts.get("nomad.leader_addr", "")


@dataclass(frozen=True, slots=True)
class Members:
    """The answer to ``GET /v1/agent/members``: the servers of all federated regions, sorted by name.

    ``omitted`` as in ``AgentSelf``.
    """

    members: tuple[Member, ...]
    invalid_fields: tuple[str, ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """Nomad's health check of one role."""

    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """One answer to ``GET /v1/agent/health``: the HTTP status (200 or 500) and the check of each role."""

    status: int
    checks: Mapping[Role, Check]


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to one health poll, from one or two requests.

    ``plain`` is the answer without parameters. ``stale`` is the answer with ``?stale``, for which the agent does not
    contact its leader. ``leader_reachable`` is None for an agent that is not a server.
    """

    plain: HealthAnswer
    stale: HealthAnswer
    leader_reachable: bool | None = None
    invalid_fields: tuple[str, ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict)

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(self.plain.checks)


@dataclass(frozen=True, slots=True)
class AutopilotServer:
    """A server of the raft configuration, with its health as determined by the leader."""

    id: str
    name: str = ""
    address: str = ""
    healthy: bool = False
    voter: bool = False


@dataclass(frozen=True, slots=True)
class Autopilot:
    """The answer of a leader to ``GET /v1/operator/autopilot/health``: the health of each server of its region."""

    healthy: bool
    failure_tolerance: int | None = None
    servers: tuple[AutopilotServer, ...] = ()
    invalid_fields: tuple[str, ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict)


ServerKey = tuple[str, str]
"""What identifies a server: ``id`` or ``address``, and its value."""


def server_key(server: RaftServer) -> ServerKey:
    """Return what identifies a server in the raft configuration among the members of gossip."""
    # Below raft protocol 3 the ID is the address. From 3 on only the ID counts: a server whose disk was wiped returns
    # at the same address with another ID.
    return ("address", server.address) if server.id == server.address else ("id", server.id)


def member_keys(member: Member) -> tuple[ServerKey, ServerKey]:
    """Return what can identify a member of gossip in the raft configuration."""
    return ("address", member.address), ("id", member.id)


def is_same_server(server: RaftServer, member: Member) -> bool:
    """Return whether a server in the raft configuration and a member of gossip are the same server."""
    return server_key(server) in member_keys(member)


def find_own_server(agent_self: AgentSelf) -> RaftServer | None:
    """Return the agent's own server in its raft configuration; None if it is not there."""
    member = agent_self.member
    if member is None:
        return None
    return next((server for server in agent_self.configuration or () if is_same_server(server, member)), None)


def is_nonvoter(agent_self: AgentSelf) -> bool:
    """Return whether the agent has no vote in its own raft configuration; False if it sent no configuration."""
    if agent_self.configuration is None or agent_self.member is None:
        return False
    server = find_own_server(agent_self)
    return server is None or server.suffrage != "Voter"
