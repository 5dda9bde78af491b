"""An agent that we watch: who it is, where it is, and what we show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Scheme = Literal["http", "https", "unix"]

DEFAULT_CLUSTER = "default"
"""Value of the label ``nomad_cluster`` when no cluster is configured."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no page, log line or ``repr`` may show; ``reveal`` is for the wire alone."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Address:
    """Where an agent listens: a TCP host and port, or the path of a Unix socket."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def host_port(self) -> str:
        """``host:port`` as Nomad writes it, an IPv6 host in brackets; of a socket, its path."""
        if self.scheme == "unix":
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS side of an agent, as Nomad's own client has it.

    ``ca_file`` wins over ``ca_path``; with neither, the system's roots are trusted.
    """

    ca_file: Path | None = None
    ca_path: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves to the agent who we are.

    ``token_file`` is read again at every attempt and wins over ``token``; ``basic_auth`` is ``user:password``, for a
    proxy in front of the agent.
    """

    token: Secret | None = None
    token_file: Path | None = None
    basic_auth: Secret | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A Nomad agent to monitor.

    ``name`` and ``cluster`` are the labels ``agent`` and ``nomad_cluster`` of every series about the agent. ``labels``
    are pairs of name and value, exported on ``nomad_exporter_agent_info`` for joins.
    """

    name: str
    address: Address
    credentials: Credentials = Credentials()
    tls: Tls = Tls()
    cluster: str = DEFAULT_CLUSTER
    labels: tuple[tuple[str, str], ...] = ()
