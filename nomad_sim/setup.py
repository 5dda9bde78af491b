"""How a simulated agent is set up: what the operator would have written into its configuration file."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.go import join_host_port
from nomad_sim.versions import NEWEST, Version


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypted HTTP: the paths of the files, and whether a client must show a certificate."""

    ca_file: str
    cert_file: str
    key_file: str
    verify_https_client: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """One agent, and what it was told at its start. Ports are those of its own address ``host``.

    Nothing listens on ``rpc`` and ``serf``: they are what the agent advertises, and what others call it by.
    """

    name: str
    id: str
    """A UUID: the server's raft ID, the client's node ID."""
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
    """The RPC addresses of the servers that a client was told."""
    retry_join: tuple[str, ...] = ()
    """The serf addresses of the servers that a server joins at its start."""
    acl: bool = False
    tls: Tls | None = None
    enable_debug: bool = False
    encrypted: bool = False
    """Whether the gossip is encrypted."""

    @property
    def member(self) -> str:
        """The name in the gossip pool."""
        return f"{self.name}.{self.region}"

    @property
    def full_name(self) -> str:
        """What the cluster knows the agent by: a server by the name of its member, a client by its own."""
        return self.member if self.server else self.name

    @property
    def url(self) -> str:
        """Where its HTTP API is, without a path."""
        return f"{'https' if self.tls else 'http'}://{join_host_port(self.host, self.http)}"

    @property
    def rpc_address(self) -> str:
        return join_host_port(self.host, self.rpc)

    @property
    def serf_address(self) -> str:
        return join_host_port(self.host, self.serf)

    @property
    def raft_id(self) -> str:
        """The ID in the raft configuration: before raft protocol 3 it is the address."""
        return self.id if self.version.raft_protocol >= 3 else self.rpc_address
