"""The configuration built from the settings: derived values and conflicting settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.config import parsers
from nomad_exporter.config.model import Config, ConfigError, PollConfig, build_agent, build_config, default_name
from nomad_exporter.config.settings import Settings
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.server.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.settings import DEFAULTS, HTTP

HTTPS = Address("https", "nomad.example.org", 4646)


def settings(**changed: Any) -> Settings:
    """Return the default settings with some ``changed``."""
    return Settings(**{**DEFAULTS, **changed})


def config_of(**changed: Any) -> Config:
    values = settings(**changed)
    return build_config(values, (build_agent(values, "host-1"),))


def error_of(**changed: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        config_of(**changed)
    return str(raised.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        pytest.param(HTTP, "nomad.example.org:4646", id="host-and-port"),
        pytest.param(Address("http", "10.0.0.1", 4646), "10.0.0.1:4646", id="ipv4"),
        pytest.param(Address("http", "2001:db8::1", 4646), "[2001:db8::1]:4646", id="ipv6"),
        pytest.param(Address("http", "127.0.0.1", 4646), "host-1", id="loopback"),
        pytest.param(Address("http", "127.9.9.9", 4646), "host-1", id="any-loopback"),
        pytest.param(Address("http", "::1", 4646), "host-1", id="ipv6-loopback"),
        pytest.param(Address("http", "localhost", 4646), "host-1", id="localhost"),
        pytest.param(Address("http", "nomad.localhost", 4646), "host-1", id="below-localhost"),
        pytest.param(Address("http", "localhost.example.org", 4646), "localhost.example.org:4646", id="like-localhost"),
        pytest.param(Address("unix", path="/secrets/api.sock"), "host-1", id="unix"),
    ],
)
def test_default_name_is_address_or_local_host_name(address: Address, name: str) -> None:
    assert default_name(address, "host-1") == name


def test_agent_has_configured_name() -> None:
    assert [agent.name for agent in config_of(agent_name="n1").agents] == ["n1"]


def test_agent_without_name_has_default_name() -> None:
    local = Address("http", "127.0.0.1", 4646)

    assert [agent.name for agent in config_of(address=parsers.AgentUrl(local)).agents] == ["host-1"]


def test_agent_has_all_configured_values() -> None:
    token, auth = Secret("hidden-1"), Secret("hidden-2")
    tls = Tls(Path("ca"), Path("folder"), Path("cert"), Path("key"), "server.global.nomad", True)

    (agent,) = config_of(
        address=parsers.AgentUrl(HTTPS),
        token=token,
        token_file=Path("token"),
        http_auth=auth,
        ca_file=Path("ca"),
        ca_path=Path("folder"),
        cert_file=Path("cert"),
        key_file=Path("key"),
        server_name="server.global.nomad",
        skip_verify=True,
    ).agents

    assert agent == Agent("nomad.example.org:4646", HTTPS, Credentials(token, Path("token"), auth), tls)


def test_password_in_url_precedes_http_auth() -> None:
    (agent,) = config_of(address=parsers.AgentUrl(HTTP, Secret("of:url")), http_auth=Secret("of:environment")).agents

    assert agent.credentials.basic_auth == Secret("of:url")


def test_listen_addresses_and_log_settings_are_kept() -> None:
    config = config_of(listen=(Listen("", 1), Listen(path="/x")), log_level="debug", log_format="json")

    assert (config.listen, config.log_level, config.log_format) == ((Listen("", 1), Listen(path="/x")), "debug", "json")


@pytest.mark.parametrize("enabled", [False, True])
def test_thresholds_include_autopilot(enabled: bool) -> None:
    assert config_of(autopilot=enabled).thresholds.autopilot is enabled


def test_default_settings_build_default_thresholds() -> None:
    assert config_of().thresholds == Thresholds()


@pytest.mark.parametrize(
    ("changed", "thresholds"),
    [
        pytest.param({"health_interval": 2.0}, Thresholds(health_interval=2.0), id="health-interval"),
        pytest.param({"interval": 20.0}, Thresholds(max_age=60.0), id="default-max-age"),
        pytest.param({"max_age": 20.0}, Thresholds(max_age=20.0), id="max-age"),
        pytest.param({"failure_threshold": 5}, Thresholds(failure_threshold=5), id="failure-threshold"),
        pytest.param({"heartbeat_grace": 1.0}, Thresholds(heartbeat_grace=1.0), id="heartbeat-grace"),
        pytest.param({"max_leader_contact": 2.5}, Thresholds(max_leader_contact=2.5), id="max-leader-contact"),
        pytest.param({"max_apply_lag": 7}, Thresholds(max_apply_lag=7), id="max-apply-lag"),
        pytest.param({"trust_gossip": True}, Thresholds(trust_gossip=True), id="trust-gossip"),
        pytest.param({"autopilot": True}, Thresholds(autopilot=True), id="autopilot"),
    ],
)
def test_thresholds_follow_from_settings(changed: dict[str, Any], thresholds: Thresholds) -> None:
    assert config_of(**changed).thresholds == thresholds


@pytest.mark.parametrize(
    ("changed", "poll"),
    [
        pytest.param({}, PollConfig(15.0, 5.0, 4.0, 45.0), id="defaults"),
        pytest.param({"interval": 60.0, "health_interval": 30.0}, PollConfig(60.0, 30.0, 4.0, 180.0), id="at-most-4s"),
        pytest.param({"health_interval": 1.0}, PollConfig(15.0, 1.0, 0.8, 45.0), id="share-of-short-health-interval"),
        pytest.param({"interval": 1.0}, PollConfig(1.0, 5.0, 0.8, 15.0), id="share-of-short-interval"),
        pytest.param({"timeout": 2.0, "max_age": 20.0}, PollConfig(15.0, 5.0, 2.0, 20.0), id="configured"),
        pytest.param({"timeout": 4.0, "max_age": 15.0}, PollConfig(15.0, 5.0, 4.0, 15.0), id="largest-allowed"),
    ],
)
def test_timeout_and_max_age_follow_from_intervals(changed: dict[str, float], poll: PollConfig) -> None:
    assert config_of(**changed).poll == poll


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        pytest.param(
            {"timeout": 4.5},
            "--poll.timeout 4.5s exceeds 80 % of --poll.health-interval (5s); maximum is 4s",
            id="timeout-of-health-interval",
        ),
        pytest.param(
            {"timeout": 2.0, "interval": 2.0},
            "--poll.timeout 2s exceeds 80 % of --poll.interval (2s); maximum is 1.6s",
            id="timeout-of-interval",
        ),
        pytest.param({"max_age": 14.0}, "--poll.max-age 14s is shorter than --poll.interval (15s)", id="max-age"),
        pytest.param({"cert_file": Path("c")}, "--nomad.cert-file requires --nomad.key-file", id="lone-cert"),
        pytest.param({"key_file": Path("k")}, "--nomad.key-file requires --nomad.cert-file", id="lone-key"),
    ],
)
def test_conflicting_settings_are_refused_by_name(changed: dict[str, Any], line: str) -> None:
    assert error_of(**changed) == line


def test_repr_hides_secrets() -> None:
    config = config_of(
        address=parsers.AgentUrl(HTTP, Secret("hidden-1")), token=Secret("hidden-2"), http_auth=Secret("hidden-3")
    )

    assert "hidden-" not in f"{config} {config!r} {config.agents[0].credentials}"


@pytest.mark.parametrize(("interval", "timeout"), [("145ms", "116ms"), ("350ms", "280ms"), ("700ms", "560ms")])
def test_longest_timeout_is_accepted(interval: str, timeout: str) -> None:
    seconds = parsers.duration(timeout)

    assert config_of(health_interval=parsers.duration(interval), timeout=seconds).poll.timeout == seconds


def test_default_max_age_exceeds_long_health_interval() -> None:
    poll = config_of(interval=15.0, health_interval=60.0).poll

    assert poll.max_age > poll.health_interval


def test_listen_address_is_listed_once() -> None:
    with pytest.raises(ConfigError, match=r"^--web\.listen-address must list each address once \(got :1 twice\)$"):
        config_of(listen=(Listen("", 1), Listen("", 2), Listen("", 1)))
