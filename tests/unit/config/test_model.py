"""From settings to the plan: what follows from what, and which settings do not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.config import parsers
from nomad_exporter.config.model import Config, ConfigError, PollConfig, build_agent, build_config, default_name
from nomad_exporter.config.settings import Settings
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.serving.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.settings import HTTP, UNTOLD

HTTPS = Address("https", "nomad.example.org", 4646)


def settings(**given: Any) -> Settings:
    """The settings of an exporter that was told nothing but ``given``."""
    return Settings(**{**UNTOLD, **given})


def planned(**given: Any) -> Config:
    told = settings(**given)
    return build_config(told, (build_agent(told, "host-1"),))


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        planned(**given)
    return str(refused.value)


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
def test_an_agent_without_a_name_is_called_by_its_address_or_else_by_this_machine(address: Address, name: str) -> None:
    assert default_name(address, "host-1") == name


def test_an_agent_has_the_name_that_it_was_given() -> None:
    assert [build_agent.name for build_agent in planned(agent_name="n1").agents] == ["n1"]


def test_an_agent_without_a_name_gets_the_default_one() -> None:
    local = Address("http", "127.0.0.1", 4646)

    assert [build_agent.name for build_agent in planned(address=(local, None)).agents] == ["host-1"]


def test_all_that_was_said_of_an_agent_is_in_the_plan() -> None:
    token, auth = Secret("hidden-1"), Secret("hidden-2")
    tls = Tls(Path("ca"), Path("folder"), Path("cert"), Path("key"), "server.global.nomad", True)

    (build_agent,) = planned(
        address=(HTTPS, None),
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

    assert build_agent == Agent("nomad.example.org:4646", HTTPS, Credentials(token, Path("token"), auth), tls)


def test_the_password_in_the_url_wins_over_that_of_the_environment() -> None:
    (build_agent,) = planned(address=(HTTP, Secret("of:url")), http_auth=Secret("of:environment")).agents

    assert build_agent.credentials.basic_auth == Secret("of:url")


def test_where_to_serve_and_how_to_log_are_taken_as_they_are() -> None:
    made = planned(listen=(Listen("", 1), Listen(path="/x")), log_level="debug", log_format="json")

    assert (made.listen, made.log_level, made.log_format) == ((Listen("", 1), Listen(path="/x")), "debug", "json")


@pytest.mark.parametrize("told", [False, True])
def test_autopilot_is_asked_for_where_that_was_said(told: bool) -> None:
    assert planned(autopilot=told).thresholds.autopilot is told


def test_who_told_nothing_is_judged_by_the_usual_limits() -> None:
    assert planned().thresholds == Thresholds()


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        pytest.param({"health_interval": 2.0}, Thresholds(health_interval=2.0), id="the interval is that of the polls"),
        pytest.param({"interval": 20.0}, Thresholds(max_age=60.0), id="old is what the pages drop"),
        pytest.param({"max_age": 20.0}, Thresholds(max_age=20.0), id="or what was told"),
        pytest.param({"attempts": 5}, Thresholds(failure_threshold=5), id="attempts"),
        pytest.param({"heartbeat_grace": 1.0}, Thresholds(heartbeat_grace=1.0), id="heartbeat-grace"),
        pytest.param({"max_contact": 2.5}, Thresholds(max_leader_contact=2.5), id="max-contact"),
        pytest.param({"max_apply_lag": 7}, Thresholds(max_apply_lag=7), id="max-apply-lag"),
        pytest.param({"trust_gossip": True}, Thresholds(trust_gossip=True), id="trust-gossip"),
        pytest.param({"autopilot": True}, Thresholds(autopilot=True), id="autopilot"),
    ],
)
def test_the_limits_of_the_verdicts_follow_from_the_settings(given: dict[str, Any], thresholds: Thresholds) -> None:
    assert planned(**given).thresholds == thresholds


@pytest.mark.parametrize(
    ("given", "cadence"),
    [
        pytest.param({}, PollConfig(15.0, 5.0, 4.0, 45.0), id="nothing-told"),
        pytest.param(
            {"interval": 60.0, "health_interval": 30.0}, PollConfig(60.0, 30.0, 4.0, 180.0), id="never-above-4s"
        ),
        pytest.param({"health_interval": 1.0}, PollConfig(15.0, 1.0, 0.8, 45.0), id="most-of-a-short-health-interval"),
        pytest.param({"interval": 1.0}, PollConfig(1.0, 5.0, 0.8, 15.0), id="most-of-a-short-interval"),
        pytest.param({"timeout": 2.0, "max_age": 20.0}, PollConfig(15.0, 5.0, 2.0, 20.0), id="told"),
        pytest.param({"timeout": 4.0, "max_age": 15.0}, PollConfig(15.0, 5.0, 4.0, 15.0), id="just-possible"),
    ],
)
def test_the_cadence_follows_from_the_intervals(given: dict[str, float], cadence: PollConfig) -> None:
    assert planned(**given).poll == cadence


@pytest.mark.parametrize(
    ("given", "line"),
    [
        pytest.param(
            {"timeout": 4.5},
            "--poll.timeout: 4.5s is too long beside --poll.health-interval of 5s: at most 4s",
            id="timeout-beside-health",
        ),
        pytest.param(
            {"timeout": 2.0, "interval": 2.0},
            "--poll.timeout: 2s is too long beside --poll.interval of 2s: at most 1.6s",
            id="timeout-beside-self",
        ),
        pytest.param({"max_age": 14.0}, "--poll.max-age: 14s is shorter than --poll.interval of 15s", id="max-age"),
        pytest.param({"cert_file": Path("c")}, "--nomad.cert-file: needs --nomad.key-file beside it", id="lone-cert"),
        pytest.param({"key_file": Path("k")}, "--nomad.key-file: needs --nomad.cert-file beside it", id="lone-key"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_by_name(given: dict[str, Any], line: str) -> None:
    assert refusal(**given) == line


def test_a_plan_can_be_shown_without_its_secrets() -> None:
    made = planned(address=(HTTP, Secret("hidden-1")), token=Secret("hidden-2"), http_auth=Secret("hidden-3"))

    assert "hidden-" not in f"{made} {made!r} {made.agents[0].credentials}"


@pytest.mark.parametrize(("interval", "timeout"), [("145ms", "116ms"), ("350ms", "280ms"), ("700ms", "560ms")])
def test_the_longest_possible_timeout_is_possible(interval: str, timeout: str) -> None:
    seconds = parsers.duration(timeout)

    assert planned(health_interval=parsers.duration(interval), timeout=seconds).poll.timeout == seconds


def test_a_health_that_is_asked_for_rarely_stays_on_the_page_until_it_is_asked_for_again() -> None:
    cadence = planned(interval=15.0, health_interval=60.0).poll

    assert cadence.max_age > cadence.health_interval
