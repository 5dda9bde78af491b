"""What one can choose of the demo."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_sim.versions import NEWEST, Version

MAX_AGENTS = 1000
"""So many have ports below those that the system gives out of itself, and can live in one process."""


@dataclass(frozen=True, slots=True)
class Options:
    """The size and the kind of the cluster, where it is served, and what is started beside it.

    ``port`` is that of the first agent; 0 takes free ones for everything. ``interval`` is in seconds: between two polls
    of the exporter. ``incident`` is the one to be played, by name.
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
    """Whether the gossip is encrypted."""
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
        return (self.servers + self.clients) * self.regions
