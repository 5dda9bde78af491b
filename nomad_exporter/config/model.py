"""The configuration of the exporter, built from the settings: agents, polls, thresholds, addresses and log."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from nomad_exporter.config.settings import SETTINGS, Settings
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import DEFAULT_CLUSTER, Address, Agent, Credentials, Tls
from nomad_exporter.server.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds

DEFAULT_TIMEOUT = 4.0
MAX_TIMEOUT_SHARE = 0.8
MAX_AGE_INTERVALS = 3


def flag_of(field: str) -> str:
    """Return the flag of the setting ``field``."""
    return SETTINGS[field].flag


class ConfigError(Exception):
    """A setting that is wrong, by itself or together with another one.

    ``field`` is a key of ``SETTINGS``. ``problem`` continues a sentence that begins with the name of the setting;
    the name of the setting ``other`` replaces ``{}`` in ``problem``. ``name`` returns the name of a field.
    """

    def __init__(self, field: str, problem: str, other: str = "", name: Callable[[str], str] = flag_of) -> None:
        super().__init__(field, problem, other, name)
        self.field, self._problem, self._other, self._name = field, problem, other, name

    def with_names(self, name: Callable[[str], str]) -> ConfigError:
        """Return the same error with the names that ``name`` returns."""
        return ConfigError(self.field, self._problem, self._other, name)

    @property
    def problem(self) -> str:
        """The problem without the name of the setting at fault."""
        return self._problem.replace("{}", self._name(self._other)) if self._other else self._problem

    def __str__(self) -> str:
        return f"{self._name(self.field)} {self.problem}"


class DocumentError(Exception):
    """An error in a configuration file; the message is one line with the file, the line and the key."""


class UnreadableFile(DocumentError):
    """A configuration file that cannot be read."""


@dataclass(frozen=True, slots=True)
class PollConfig:
    """Intervals, timeout and maximum age of polls, in seconds."""

    interval: float
    health_interval: float
    timeout: float
    max_age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of an exporter. ``warnings`` are lines for the log."""

    agents: tuple[Agent, ...]
    poll: PollConfig
    thresholds: Thresholds
    listen: tuple[Listen, ...]
    enable_lifecycle: bool
    log_level: str
    log_format: str
    warnings: tuple[str, ...] = ()


def build_config(settings: Settings, agents: tuple[Agent, ...], warnings: tuple[str, ...] = ()) -> Config:
    """Return the configuration that ``settings`` describe for ``agents``. Raises ConfigError."""
    if not settings.listen:
        raise ConfigError("listen", "must list at least one address")
    fixed = (address for address in settings.listen if address.port or address.path)
    if repeated := [address for address, number in Counter(fixed).items() if number > 1]:
        raise ConfigError("listen", f"must list each address once (got {repeated[0]} twice)")
    poll = _build_poll_config(settings)
    return Config(
        agents=agents,
        poll=poll,
        thresholds=_build_thresholds(settings, poll),
        listen=settings.listen,
        enable_lifecycle=settings.enable_lifecycle,
        log_level=settings.log_level,
        log_format=settings.log_format,
        warnings=warnings,
    )


def build_agent(settings: Settings, host_name: str) -> Agent:
    """Return the agent that ``settings`` describe; ``host_name`` is the name of a local agent. Raises ConfigError."""
    if bool(settings.cert_file) != bool(settings.key_file):
        present, missing = ("cert_file", "key_file") if settings.cert_file else ("key_file", "cert_file")
        raise ConfigError(present, "requires {}", missing)
    address, user_info, _ = settings.address
    return Agent(
        name=settings.agent_name or default_name(address, host_name),
        address=address,
        cluster=settings.cluster or DEFAULT_CLUSTER,
        credentials=Credentials(settings.token, settings.token_file, user_info or settings.http_auth),
        tls=Tls(
            ca_file=settings.ca_file,
            ca_path=settings.ca_path,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            server_name=settings.server_name,
            skip_verify=settings.skip_verify,
        ),
    )


def default_name(address: Address, host_name: str) -> str:
    """Return ``host:port`` of ``address``, or ``host_name`` for an agent on this machine."""
    # A loopback address is the same on every machine, so the agents of two machines would share a name.
    return host_name if address.scheme == "unix" or _is_loopback(address.host) else address.host_port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _build_poll_config(settings: Settings) -> PollConfig:
    shortest = min(settings.interval, settings.health_interval)
    longest = max(settings.interval, settings.health_interval)
    max_timeout = shortest * MAX_TIMEOUT_SHARE
    if settings.timeout is not None and settings.timeout > max_timeout + 1e-9:
        raise ConfigError(
            "timeout",
            f"{durations.text(settings.timeout)} exceeds {MAX_TIMEOUT_SHARE * 100:g} % of {{}} "
            f"({durations.text(shortest)}); maximum is {durations.text(max_timeout)}",
            _interval_field(settings, shortest),
        )
    if settings.max_age is not None and settings.max_age < longest:
        raise ConfigError(
            "max_age",
            f"{durations.text(settings.max_age)} is shorter than {{}} ({durations.text(longest)})",
            _interval_field(settings, longest),
        )
    return PollConfig(
        settings.interval,
        settings.health_interval,
        min(DEFAULT_TIMEOUT, max_timeout) if settings.timeout is None else settings.timeout,
        longest * MAX_AGE_INTERVALS if settings.max_age is None else settings.max_age,
    )


def _interval_field(settings: Settings, seconds: float) -> str:
    """Return the field of the interval that is ``seconds`` long."""
    return "interval" if settings.interval == seconds else "health_interval"


def _build_thresholds(settings: Settings, poll: PollConfig) -> Thresholds:
    return Thresholds(
        health_interval=poll.health_interval,
        max_age=poll.max_age,
        failure_threshold=settings.failure_threshold,
        heartbeat_grace=settings.heartbeat_grace,
        max_leader_contact=settings.max_leader_contact,
        max_apply_lag=settings.max_apply_lag,
        trust_gossip=settings.trust_gossip,
        autopilot=settings.autopilot,
    )
