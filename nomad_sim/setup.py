"""The setup of a simulated agent, which in Nomad is its configuration file."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.go import join_host_port
from nomad_sim.versions import NEWEST, Version


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings of an agent: PEM files, and whether HTTPS clients must present a certificate."""

    ca_file: str
    cert_file: str
    key_file: str
    verify_https_client: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup of one agent.

    The agent listens on ``host`` and the port ``http``. The ports ``rpc`` and ``serf`` are only advertised.
    """

    name: str
    id: str
    """A UUID: the Raft ID of a server, the node ID of a client."""
    host: str = "127.0.0.1"
    http: int = 4646
    rpc: int = 4647
    serf: int = 4648
    server: bool = True
    client: bool = False
    region: str = "global"
    datacenter: str = "dc1"
    version: Version = NEWEST
    bootstrap_expect: int = 0
    nonvoter: bool = False
    servers: tuple[str, ...] = ()
    """The RPC addresses of a client's initial servers."""
    retry_join: tuple[str, ...] = ()
    """The Serf addresses that a server joins at its start."""
    acl: bool = False
    tls: Tls | None = None
    enable_debug: bool = False
    encrypted: bool = False
    """Whether gossip is encrypted."""
    sets_name: bool = True
    """Whether the configuration sets ``name``; otherwise ``name`` is the host name, which Nomad uses instead."""

    @property
    def member(self) -> str:
        """The member name in the gossip pool."""
        return f"{self.name}.{self.region}"

    @property
    def full_name(self) -> str:
        """The name in the simulated cluster: the member name of a server, the node name of a client."""
        return self.member if self.server else self.name

    @property
    def url(self) -> str:
        """The base URL of the HTTP API."""
        return f"{'https' if self.tls else 'http'}://{join_host_port(self.host, self.http)}"

    @property
    def rpc_address(self) -> str:
        return join_host_port(self.host, self.rpc)

    @property
    def serf_address(self) -> str:
        return join_host_port(self.host, self.serf)

    @property
    def raft_id(self) -> str:
        """The ID in the Raft configuration; before Raft protocol 3 the RPC address."""
        return self.id if self.version.raft_protocol >= 3 else self.rpc_address
