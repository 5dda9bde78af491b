"""From settings to the plan: the agents to watch, the cadence of the polls, where to serve."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from nomad_exporter.config.settings import ROWS, Row, Settings
from nomad_exporter.judge.limits import Limits
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Tls
from nomad_exporter.serving.listen import Listen

TIMEOUT = 4.0
TIMEOUT_SHARE = 0.8
MAX_AGE_INTERVALS = 3


class ConfigError(Exception):
    """A setting is wrong, by itself or beside another, which ``{}`` in ``why`` stands for; ``field`` is in ``ROWS``."""

    def __init__(self, field: str, why: str, beside: str = "") -> None:
        super().__init__(field, why, beside)
        self.field, self._why, self._beside = field, why, beside

    def why(self, name: Callable[[Row], str]) -> str:
        """What is wrong, with another setting by the name that ``name`` gives it."""
        return self._why.replace("{}", name(ROWS[self._beside])) if self._beside else self._why

    def __str__(self) -> str:
        return f"{ROWS[self.field].flag}: {self.why(lambda row: row.flag)}"


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often is asked and how long is waited, in seconds."""

    interval: float
    health_interval: float
    timeout: float
    max_age: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the exporter is told to do."""

    agents: tuple[Agent, ...]
    cadence: Cadence
    limits: Limits
    listen: tuple[Listen, ...]
    enable_lifecycle: bool
    log_level: str
    log_format: str
    warnings: tuple[str, ...] = ()


def plan(settings: Settings, agents: tuple[Agent, ...], warnings: tuple[str, ...] = ()) -> Plan:
    """The plan that ``settings`` make for ``agents``. Raises ConfigError."""
    if not settings.listen:
        raise ConfigError("listen", "names no address")
    cadence = _cadence(settings)
    return Plan(
        agents,
        cadence,
        _limits(settings, cadence),
        settings.listen,
        settings.enable_lifecycle,
        settings.log_level,
        settings.log_format,
        warnings,
    )


def agent(settings: Settings, host_name: str) -> Agent:
    """The one agent that ``settings`` describe; ``host_name`` names one on this very machine. Raises ConfigError."""
    if bool(settings.cert_file) != bool(settings.key_file):
        given, lacking = ("cert_file", "key_file") if settings.cert_file else ("key_file", "cert_file")
        raise ConfigError(given, "needs {} beside it", lacking)
    address, user_info = settings.address
    return Agent(
        name=settings.agent_name or default_name(address, host_name),
        address=address,
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


def _cadence(settings: Settings) -> Cadence:
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
    return Cadence(
        settings.interval,
        settings.health_interval,
        min(TIMEOUT, most) if settings.timeout is None else settings.timeout,
        longest * MAX_AGE_INTERVALS if settings.max_age is None else settings.max_age,
    )


def _limits(settings: Settings, cadence: Cadence) -> Limits:
    return Limits(
        health_interval=cadence.health_interval,
        max_age=cadence.max_age,
        attempts=settings.attempts,
        heartbeat_grace=settings.heartbeat_grace,
        max_contact=settings.max_contact,
        max_apply_lag=settings.max_apply_lag,
        trust_gossip=settings.trust_gossip,
        autopilot=settings.autopilot,
    )
