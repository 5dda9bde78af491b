"""The table of settings: flag, environment variables, parser, default and help text of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from nomad_exporter import logs
from nomad_exporter.config import parsers
from nomad_exporter.nomad.agent import DEFAULT_CLUSTER, Secret
from nomad_exporter.server.listen import Listen

T = TypeVar("T")

PREFIX = "NOMAD_EXPORTER_"

FILE_FLAG, FILE_VARIABLE = "--config.file", f"{PREFIX}CONFIG_FILE"
"""What names the configuration file."""

TASK_ADDRESS = "NOMAD_UNIX_ADDR"
"""Variable in which Nomad passes a task the socket of the task's own agent; used if no other address is set."""


AGENT = "nomad"
"""Section of the settings that describe one agent."""

SECTIONS: Mapping[str, str] = {AGENT: "Agent", "poll": "Polling", "verdict": "Verdicts", "web": "Web", "log": "Logging"}
"""The sections of settings, and the heading of each in the help and in the documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    ``name`` is dotted, such as ``poll.interval``. ``nomad`` are Nomad's own variables for the setting. A ``switch``
    takes no value. The value of a setting that can ``repeat`` is a tuple. The command ``check`` has no flag for a
    setting that is not ``in_check``, because the setting has no effect on a single poll.
    """

    name: str
    help: str
    parse: Callable[[str], Any]
    metavar: str = ""
    default: str | None = None
    nomad: tuple[str, ...] = ()
    # A secret has no flag and no variable but Nomad's: every user of a machine can read the arguments of a process.
    secret: bool = False
    switch: bool = False
    repeat: bool = False
    in_check: bool = True

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def section(self) -> str:
        """Key in ``SECTIONS``, and the section in a configuration file for all but the settings of an agent."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Key in the section: ``max_age`` for ``--poll.max-age``, ``name`` for ``--nomad.agent-name``."""
        return self.name.partition(".")[2].replace("-", "_").removeprefix("agent_")

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables of the setting; the first one that is not empty counts."""
        return self.nomad if self.secret else (self.own_variable, *self.nomad)

    @property
    def own_variable(self) -> str:
        """The exporter's own variable, which a secret does not have."""
        return PREFIX + self.name.upper().replace(".", "_").replace("-", "_")


def _setting(name: str, help: str, parse: Callable[[str], T], **options: Any) -> T:
    return cast(T, field(metadata={"setting": Setting(name=name, help=help, parse=parse, **options)}))


def _optional(name: str, help: str, parse: Callable[[str], T], **options: Any) -> T | None:
    return cast("T | None", field(metadata={"setting": Setting(name=name, help=help, parse=parse, **options)}))


def _repeated(name: str, help: str, parse: Callable[[str], T], **options: Any) -> tuple[T, ...]:
    return cast(
        "tuple[T, ...]", field(metadata={"setting": Setting(name=name, help=help, parse=parse, repeat=True, **options)})
    )


def _switch(name: str, help: str, **options: Any) -> bool:
    return cast(bool, field(metadata={"setting": Setting(name=name, help=help, parse=bool, switch=True, **options)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parsed values of all settings. Durations are in seconds."""

    address: parsers.AgentUrl = _setting(
        "nomad.address",
        "URL of the agent: http, https or unix.",
        parsers.agent_url,
        metavar="URL",
        default="http://127.0.0.1:4646",
        nomad=("NOMAD_ADDR", TASK_ADDRESS),
    )
    agent_name: str | None = _optional(
        "nomad.agent-name",
        "Value of the label agent (default: host:port; this host's name if local).",
        parsers.name,
        metavar="NAME",
    )
    cluster: str | None = _optional(
        "nomad.cluster",
        f'Value of the label nomad_cluster (default: "{DEFAULT_CLUSTER}").',
        parsers.name,
        metavar="NAME",
    )
    token_file: Path | None = _optional(
        "nomad.token-file", "File with the ACL token; takes precedence over NOMAD_TOKEN.", parsers.path, metavar="FILE"
    )
    token: Secret | None = _optional("nomad.token", "ACL token.", parsers.token, secret=True, nomad=("NOMAD_TOKEN",))
    http_auth: Secret | None = _optional(
        "nomad.http-auth",
        "Basic authentication at a proxy in front of the agent, as user:password.",
        parsers.secret,
        secret=True,
        nomad=("NOMAD_HTTP_AUTH",),
    )
    ca_file: Path | None = _optional(
        "nomad.ca-file",
        "PEM file with trusted CA certificates (default: the system's).",
        parsers.path,
        metavar="FILE",
        nomad=("NOMAD_CACERT",),
    )
    ca_path: Path | None = _optional(
        "nomad.ca-path",
        "Directory with trusted CA certificates; --nomad.ca-file takes precedence.",
        parsers.path,
        metavar="DIR",
        nomad=("NOMAD_CAPATH",),
    )
    cert_file: Path | None = _optional(
        "nomad.cert-file",
        "PEM file with the client certificate.",
        parsers.path,
        metavar="FILE",
        nomad=("NOMAD_CLIENT_CERT",),
    )
    key_file: Path | None = _optional(
        "nomad.key-file",
        "PEM file with the private key of the client certificate.",
        parsers.path,
        metavar="FILE",
        nomad=("NOMAD_CLIENT_KEY",),
    )
    server_name: str | None = _optional(
        "nomad.server-name",
        "Expected name in the agent's certificate (default: host of the URL).",
        parsers.name,
        metavar="NAME",
        nomad=("NOMAD_TLS_SERVER_NAME",),
    )
    skip_verify: bool = _switch(
        "nomad.skip-verify", "Do not verify the agent's certificate.", nomad=("NOMAD_SKIP_VERIFY",)
    )
    interval: float = _setting(
        "poll.interval",
        "Interval between polls of /v1/agent/self and /v1/agent/members.",
        parsers.duration,
        metavar="DURATION",
        default="15s",
        in_check=False,
    )
    health_interval: float = _setting(
        "poll.health-interval",
        "Interval between polls of /v1/agent/health.",
        parsers.duration,
        metavar="DURATION",
        default="5s",
        in_check=False,
    )
    timeout: float | None = _optional(
        "poll.timeout",
        "Timeout for one poll (default: 4s, or 80 % of the shortest interval if less).",
        parsers.duration,
        metavar="DURATION",
    )
    max_age: float | None = _optional(
        "poll.max-age",
        "Maximum age of exported values (default: 3 × the longest interval).",
        parsers.duration,
        metavar="DURATION",
        in_check=False,
    )
    autopilot: bool = _switch("poll.autopilot", "Also poll the leader's autopilot health (requires operator:read).")
    failure_threshold: int = _setting(
        "verdict.failure-threshold",
        "Consecutive failed polls before an agent is considered not live.",
        parsers.count,
        metavar="NUMBER",
        default="3",
        in_check=False,
    )
    heartbeat_grace: float = _setting(
        "verdict.heartbeat-grace",
        "Grace period for a client's heartbeat beyond its TTL.",
        parsers.duration,
        metavar="DURATION",
        default="10s",
    )
    max_leader_contact: float = _setting(
        "verdict.max-leader-contact",
        "Maximum time since a ready server last heard from its leader.",
        parsers.duration,
        metavar="DURATION",
        default="10s",
    )
    max_apply_lag: int = _setting(
        "verdict.max-apply-lag",
        "Maximum Raft apply lag of a ready server, in log entries.",
        parsers.count,
        metavar="NUMBER",
        default="1000",
    )
    trust_gossip: bool = _switch(
        "verdict.trust-gossip", "Trust gossip alone for unmonitored servers (detects failures late)."
    )
    listen: tuple[Listen, ...] = _repeated(
        "web.listen-address",
        "Address to listen on, host:port or unix:path; repeatable.",
        parsers.listen_address,
        metavar="ADDRESS",
        default=":9441",
        in_check=False,
    )
    enable_lifecycle: bool = _switch(
        "web.enable-lifecycle", "Enable reloading the configuration by POST /-/reload.", in_check=False
    )
    log_level: str = _setting(
        "log.level",
        "Minimum level of log lines: debug, info, warn or error.",
        parsers.one_of(logs.LEVELS),
        metavar="LEVEL",
        default="info",
        in_check=False,
    )
    log_format: str = _setting(
        "log.format",
        "Format of log lines: logfmt or json.",
        parsers.one_of(logs.FORMATS),
        metavar="FORMAT",
        default="logfmt",
        in_check=False,
    )


SETTINGS: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in fields(Settings)}
"""The setting of each field of ``Settings``, in the order of the help."""
