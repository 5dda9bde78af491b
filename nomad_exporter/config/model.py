"""From settings to the plan: the agents to watch, the poll of the polls, where to serve."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from nomad_exporter.config.settings import SETTINGS, Setting, Settings
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import DEFAULT_CLUSTER, Address, Agent, Credentials, Tls
from nomad_exporter.serving.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds

TIMEOUT = 4.0
TIMEOUT_SHARE = 0.8
MAX_AGE_INTERVALS = 3


class ConfigError(Exception):
    """A setting is wrong, by itself or beside another, which ``{}`` in ``why`` stands for; ``field`` is in ``SETTINGS``."""

    def __init__(self, field: str, why: str, beside: str = "") -> None:
        super().__init__(field, why, beside)
        self.field, self._why, self._beside = field, why, beside

    def why(self, name: Callable[[Setting], str]) -> str:
        """What is wrong, with another setting by the name that ``name`` gives it."""
        return self._why.replace("{}", name(SETTINGS[self._beside])) if self._beside else self._why

    def __str__(self) -> str:
        return f"{SETTINGS[self.field].flag}: {self.why(lambda row: row.flag)}"


@dataclass(frozen=True, slots=True)
class PollConfig:
    """How often is asked and how long is waited, in seconds."""

    interval: float
    health_interval: float
    timeout: float
    max_age: float


@dataclass(frozen=True, slots=True)
class Config:
    """All that the exporter is told to do."""

    agents: tuple[Agent, ...]
    poll: PollConfig
    thresholds: Thresholds
    listen: tuple[Listen, ...]
    enable_lifecycle: bool
    log_level: str
    log_format: str
    warnings: tuple[str, ...] = ()


def build_config(settings: Settings, agents: tuple[Agent, ...], warnings: tuple[str, ...] = ()) -> Config:
    """The plan that ``settings`` make for ``agents``. Raises ConfigError."""
    if not settings.listen:
        raise ConfigError("listen", "names no address")
    poll = _poll_config(settings)
    return Config(
        agents,
        poll,
        _thresholds(settings, poll),
        settings.listen,
        settings.enable_lifecycle,
        settings.log_level,
        settings.log_format,
        warnings,
    )


def build_agent(settings: Settings, host_name: str) -> Agent:
    """The one agent that ``settings`` describe; ``host_name`` names one on this very machine. Raises ConfigError."""
    if bool(settings.cert_file) != bool(settings.key_file):
        given, lacking = ("cert_file", "key_file") if settings.cert_file else ("key_file", "cert_file")
        raise ConfigError(given, "needs {} beside it", lacking)
    address, user_info = settings.address
    return Agent(
        name=settings.agent_name or default_name(address, host_name),
        address=address,
        cluster=settings.cluster or DEFAULT_CLUSTER,
        credentials=Credentials(settings.token, settings.token_file, user_info or settings.http_auth),
        tls=Tls(
            settings.ca_file,
            settings.ca_path,
            settings.cert_file,
            settings.key_file,
            settings.server_name,
            settings.skip_verify,
        ),
    )


def default_name(address: Address, host_name: str) -> str:
    """The host and port; for an agent on this machine, which is ``127.0.0.1`` everywhere, the machine's own name."""
    return host_name if address.scheme == "unix" or _is_loopback(address.host) else address.host_port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _poll_config(settings: Settings) -> PollConfig:
    shortest = min(settings.interval, settings.health_interval)
    most = shortest * TIMEOUT_SHARE
    if settings.timeout is not None and settings.timeout > most + 1e-9:
        raise ConfigError(
            "timeout",
            f"{durations.text(settings.timeout)} is too long beside {{}} of {durations.text(shortest)}: "
            f"at most {durations.text(most)}",
            "interval" if settings.interval == shortest else "health_interval",
        )
    longest = max(settings.interval, settings.health_interval)
    if settings.max_age is not None and settings.max_age < longest:
        raise ConfigError(
            "max_age",
            f"{durations.text(settings.max_age)} is shorter than {{}} of {durations.text(longest)}",
            "interval" if settings.interval == longest else "health_interval",
        )
    return PollConfig(
        settings.interval,
        settings.health_interval,
        min(TIMEOUT, most) if settings.timeout is None else settings.timeout,
        longest * MAX_AGE_INTERVALS if settings.max_age is None else settings.max_age,
    )


def _thresholds(settings: Settings, poll: PollConfig) -> Thresholds:
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
