"""A monitored agent: its name, its address, and the credentials and TLS settings for it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Literal

from nomad_exporter.nomad.models import Role

Scheme = Literal["http", "https", "unix"]

DEFAULT_CLUSTER = "default"
"""Value of the label ``nomad_cluster`` if no cluster is configured."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is masked in every page, log line and ``repr``."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text, for request headers only."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an agent's HTTP API: a TCP host and port, or the path of a Unix socket."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def http_host(self) -> str:
        """The host for HTTP and TLS, without the zone of an IPv6 address: only this machine knows the zone."""
        return self.host.partition("%")[0]

    @property
    def host_port(self) -> str:
        """``host:port`` in Nomad's notation, with an IPv6 host in brackets; for a Unix socket, its path."""
        if self.scheme == "unix":
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_port.replace('%', '%25') if self.host else self.path}"


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS settings for one agent, with the meaning that they have for Nomad's own client.

    ``ca_file`` takes precedence over ``ca_path``. Without either, the system's root certificates are trusted.
    """

    ca_file: Path | None = None
    ca_path: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that the exporter sends to one agent.

    ``token_file`` takes precedence over ``token`` and is read again for every request. ``basic_auth`` is
    ``user:password``, for a proxy in front of the agent.
    """

    token: Secret | None = None
    token_file: Path | None = None
    basic_auth: Secret | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A monitored Nomad agent.

    ``name`` and ``cluster`` are the labels ``agent`` and ``nomad_cluster`` of every series about the agent. ``labels``
    are pairs of name and value, exported on ``nomad_exporter_agent_info`` for joins. ``roles`` and ``region`` are what
    the configuration says of an agent that never answered; empty if it says nothing.
    """

    name: str
    address: Address
    credentials: Credentials = Credentials()
    tls: Tls = Tls()
    cluster: str = DEFAULT_CLUSTER
    labels: tuple[tuple[str, str], ...] = ()
    _: KW_ONLY
    roles: frozenset[Role] = frozenset()
    region: str = ""
