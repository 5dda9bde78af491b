"""The table of settings: for each its flag, its variable, how its text is read, its default and its help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from nomad_exporter import logs
from nomad_exporter.config import parsers
from nomad_exporter.nomad.agent import DEFAULT_CLUSTER, Address, Secret
from nomad_exporter.serving.listen import Listen

T = TypeVar("T")

PREFIX = "NOMAD_EXPORTER_"

TASK_ADDRESS = "NOMAD_UNIX_ADDR"
"""Where Nomad tells a task the socket of its own agent; it counts where nothing else tells an address."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``name`` is dotted; ``nomad`` are Nomad's own variables for it.

    A ``secret`` has no flag and no variable but Nomad's, for arguments can be read by every user of a machine. A
    ``switch`` takes no value; of one that can ``repeat`` the value is a tuple.
    """

    name: str
    help: str
    read: Callable[[str], Any]
    metavar: str = ""
    default: str | None = None
    nomad: tuple[str, ...] = ()
    secret: bool = False
    switch: bool = False
    repeat: bool = False

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def section(self) -> str:
        """Where it stands in a configuration file: ``poll``, ``web`` or ``log``; ``nomad`` for those of an agent."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Its key there: ``--poll.health-interval`` is ``health_interval``, ``--nomad.agent-name`` is ``name``."""
        return self.name.partition(".")[2].replace("-", "_").removeprefix("agent_")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it; the first one that is not empty counts."""
        own = PREFIX + self.name.upper().replace(".", "_").replace("-", "_")
        return self.nomad if self.secret else (own, *self.nomad)


def _row(name: str, help: str, read: Callable[[str], T], **rest: Any) -> T:
    return cast(T, field(metadata={"row": Setting(name, help, read, **rest)}))


def _optional(name: str, help: str, read: Callable[[str], T], **rest: Any) -> T | None:
    return cast("T | None", field(metadata={"row": Setting(name, help, read, **rest)}))


def _repeated(name: str, help: str, read: Callable[[str], T], **rest: Any) -> tuple[T, ...]:
    return cast("tuple[T, ...]", field(metadata={"row": Setting(name, help, read, repeat=True, **rest)}))


def _switch(name: str, help: str, **rest: Any) -> bool:
    return cast(bool, field(metadata={"row": Setting(name, help, bool, switch=True, **rest)}))


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, read. Durations are in seconds."""

    address: tuple[Address, Secret | None] = _row(
        "nomad.address",
        "The agent to watch: http, https or unix.",
        parsers.agent_url,
        metavar="URL",
        default="http://127.0.0.1:4646",
        nomad=("NOMAD_ADDR", TASK_ADDRESS),
    )
    agent_name: str | None = _optional(
        "nomad.agent-name",
        "Its name in labels; default: host and port, or this machine's.",
        parsers.name,
        metavar="NAME",
    )
    cluster: str | None = _optional(
        "nomad.cluster",
        f"Value of the label nomad_cluster (default: {DEFAULT_CLUSTER}).",
        parsers.name,
        metavar="NAME",
    )
    token_file: Path | None = _optional(
        "nomad.token-file", "File with the ACL token; wins over NOMAD_TOKEN.", parsers.path, metavar="FILE"
    )
    token: Secret | None = _optional(
        "nomad.token", "The ACL token.", parsers.secret, secret=True, nomad=("NOMAD_TOKEN",)
    )
    http_auth: Secret | None = _optional(
        "nomad.http-auth",
        "user:password for a proxy in front of the agent.",
        parsers.secret,
        secret=True,
        nomad=("NOMAD_HTTP_AUTH",),
    )
    ca_file: Path | None = _optional(
        "nomad.ca-file", "CA certificates to trust, PEM.", parsers.path, metavar="FILE", nomad=("NOMAD_CACERT",)
    )
    ca_path: Path | None = _optional(
        "nomad.ca-path", "Folder of CA certificates to trust.", parsers.path, metavar="DIR", nomad=("NOMAD_CAPATH",)
    )
    cert_file: Path | None = _optional(
        "nomad.cert-file", "Client certificate, PEM.", parsers.path, metavar="FILE", nomad=("NOMAD_CLIENT_CERT",)
    )
    key_file: Path | None = _optional(
        "nomad.key-file", "Its private key, PEM.", parsers.path, metavar="FILE", nomad=("NOMAD_CLIENT_KEY",)
    )
    server_name: str | None = _optional(
        "nomad.server-name",
        "Name to expect in the agent's certificate.",
        parsers.name,
        metavar="NAME",
        nomad=("NOMAD_TLS_SERVER_NAME",),
    )
    skip_verify: bool = _switch(
        "nomad.skip-verify", "Accept any certificate of the agent.", nomad=("NOMAD_SKIP_VERIFY",)
    )
    interval: float = _row(
        "poll.interval", "Between two polls of self and members.", parsers.duration, metavar="DURATION", default="15s"
    )
    health_interval: float = _row(
        "poll.health-interval", "Between two polls of health.", parsers.duration, metavar="DURATION", default="5s"
    )
    timeout: float | None = _optional(
        "poll.timeout",
        "For one attempt, whole; default: 4s, at most 0.8 of an interval.",
        parsers.duration,
        metavar="DURATION",
    )
    max_age: float | None = _optional(
        "poll.max-age", "Older values are dropped; default: 3 intervals.", parsers.duration, metavar="DURATION"
    )
    autopilot: bool = _switch("poll.autopilot", "Ask the leader what autopilot says, too; needs operator:read.")
    failure_threshold: int = _row(
        "verdict.failure-threshold",
        "Attempts in a row that meet silence until an agent is not live.",
        parsers.count,
        metavar="NUMBER",
        default="3",
    )
    heartbeat_grace: float = _row(
        "verdict.heartbeat-grace",
        "How much older than its TTL the heartbeat of a ready client may be.",
        parsers.duration,
        metavar="DURATION",
        default="10s",
    )
    max_leader_contact: float = _row(
        "verdict.max-leader-contact",
        "How long ago a ready server may have heard from its leader.",
        parsers.duration,
        metavar="DURATION",
        default="10s",
    )
    max_apply_lag: int = _row(
        "verdict.max-apply-lag",
        "How many committed entries a ready server may have still to apply.",
        parsers.count,
        metavar="NUMBER",
        default="1000",
    )
    trust_gossip: bool = _switch(
        "verdict.trust-gossip", "Let gossip alone vouch for a server that is not watched; it notices a death late."
    )
    listen: tuple[Listen, ...] = _repeated(
        "web.listen-address",
        "Where to serve; repeatable; host:port or unix:path.",
        parsers.listen_address,
        metavar="ADDRESS",
        default=":9441",
    )
    enable_lifecycle: bool = _switch("web.enable-lifecycle", "Let POST /-/reload read the configuration again.")
    log_level: str = _row(
        "log.level",
        "Lines to write: debug, info, warn or error.",
        parsers.one_of(logs.LEVELS),
        metavar="LEVEL",
        default="info",
    )
    log_format: str = _row(
        "log.format", "logfmt or json.", parsers.one_of(logs.FORMATS), metavar="FORMAT", default="logfmt"
    )


AGENT = "nomad"
"""The section of the settings that describe one agent."""

SETTINGS: dict[str, Setting] = {of.name: of.metadata["row"] for of in fields(Settings)}
"""The row of each field of ``Settings``, in the order of the help."""
