"""From settings to the plan: the agents to watch, the cadence of the polls, where to serve."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from nomad_exporter.config.settings import ROWS, Settings
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Tls
from nomad_exporter.serving.listen import Listen

TIMEOUT = 4.0
TIMEOUT_SHARE = 0.8
MAX_AGE_INTERVALS = 3


class ConfigError(Exception):
    """A setting is wrong, by itself or beside another; the text is one line that names it."""

    @classmethod
    def of(cls, field: str, why: str) -> ConfigError:
        return cls(f"{ROWS[field].flag}: {why}")


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
    listen: tuple[Listen, ...]
    log_level: str
    log_format: str


def plan(settings: Settings, host_name: str) -> Plan:
    """The plan that ``settings`` make; ``host_name`` names an agent on this very machine. Raises ConfigError."""
    if not settings.listen:
        raise ConfigError.of("listen", "names no address")
    return Plan(
        agents=(_agent(settings, host_name),),
        cadence=_cadence(settings),
        listen=settings.listen,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )


def _agent(settings: Settings, host_name: str) -> Agent:
    if bool(settings.cert_file) != bool(settings.key_file):
        given, lacking = ("cert_file", "key_file") if settings.cert_file else ("key_file", "cert_file")
        raise ConfigError.of(given, f"needs {ROWS[lacking].flag} beside it")
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
        least = "interval" if settings.interval == shortest else "health_interval"
        raise ConfigError.of(
            "timeout",
            f"{durations.text(settings.timeout)} is too long beside {ROWS[least].flag} of {durations.text(shortest)}: "
            f"at most {durations.text(most)}",
        )
    longest = max(settings.interval, settings.health_interval)
    if settings.max_age is not None and settings.max_age < longest:
        field = "interval" if settings.interval == longest else "health_interval"
        raise ConfigError.of(
            "max_age",
            f"{durations.text(settings.max_age)} is shorter than {ROWS[field].flag} of {durations.text(longest)}",
        )
    return Cadence(
        settings.interval,
        settings.health_interval,
        min(TIMEOUT, most) if settings.timeout is None else settings.timeout,
        longest * MAX_AGE_INTERVALS if settings.max_age is None else settings.max_age,
    )
