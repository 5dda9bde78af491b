"""The options of the demo."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.versions import NEWEST, Version

MAX_AGENTS = 1000
"""The maximum number of agents: their ports fit below the ports that the system assigns itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """The cluster, the ports, and the programs beside the cluster.

    ``servers`` and ``clients`` are per region. ``port`` is the first agent's; port 0 is any free port. ``interval`` is
    the exporter's poll interval in seconds. ``pace`` is the speed relative to Nomad. ``incident`` runs at the start.
    """

    servers: int = 3
    clients: int = 2
    regions: int = 1
    version: Version = NEWEST
    acl: bool = False
    tls: bool = False
    verify_https_client: bool = False
    enable_debug: bool = True
    encrypted: bool = True
    """Whether gossip is encrypted."""
    pace: float = 1.0
    interval: float = 1.0
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 14646
    control_port: int = 14640
    exporter: bool = True
    exporter_port: int = 9441
    prometheus: bool = False
    prometheus_port: int = 9090
    incident: str = ""

    @property
    def agents(self) -> int:
        """The number of agents in all regions."""
        return (self.servers + self.clients) * self.regions
