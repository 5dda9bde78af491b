"""``config`` of a simulated agent equals that of a real agent of the same version and role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from nomad_exporter.nomad.sources import SELF
from nomad_sim.api.config import agent_config
from nomad_sim.setup import Setup, Tls
from nomad_sim.versions import VERSIONS
from tests.support.recordings import situation, situations

BY_BUILD = {version.build: version for version in VERSIONS.values()}

RECORDED = [
    result.name
    for result in situations()
    if (response := result.answers.get(SELF.path))
    and response.status == 200
    and result.name.partition("/")[0] in BY_BUILD
]

DIFFERENCES = {
    "Server.ServerJoin.RetryInterval": "the recorded servers retried joins every 2 s, which a Setup cannot express",
}

SERVER = Setup("s1", "2a4b3d0c-0000-4000-8000-000000000001", bootstrap_expect=3)
CLIENT = replace(SERVER, name="c1", server=False, client=True, bootstrap_expect=0)
BOTH = replace(SERVER, client=True, bootstrap_expect=1)

every_version = pytest.mark.parametrize("series", VERSIONS)


def recorded_config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(situation(name).answers[SELF.path].body)["config"]
    return config


def setup_of(config: Mapping[str, Any]) -> Setup:
    """Return the setup of a recorded agent."""
    return Setup(
        name=config["NodeName"],
        id="",
        host=config["BindAddr"],
        server=config["Server"]["Enabled"],
        client=config["Client"]["Enabled"],
        region=config["Region"],
        version=BY_BUILD[config["Version"]["Version"]],
        bootstrap_expect=config["Server"]["BootstrapExpect"],
        servers=tuple(config["Client"]["Servers"] or ()),
        retry_join=tuple(config["Server"]["ServerJoin"]["RetryJoin"]),
        acl=config["ACL"]["Enabled"],
    )


def leaves(value: object, path: str = "") -> dict[str, str]:
    """Return every scalar as JSON, which distinguishes ``true`` from ``1`` and ``80`` from ``80.0``, by its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {name: leaf for key, child in inner for name, leaf in leaves(child, f"{path}.{key}".lstrip(".")).items()}
    return found or {path: json.dumps(value)}


def config_of(setup: Setup, series: str) -> dict[str, Any]:
    return agent_config(replace(setup, version=VERSIONS[series]))


# Compared with real agents.


@pytest.mark.parametrize("name", RECORDED)
def test_config_equals_that_of_recorded_agent(name: str) -> None:
    real = leaves(recorded_config(name))
    ours = leaves(agent_config(setup_of(recorded_config(name))))

    assert ours.keys() == real.keys()
    assert {path: text for path, text in ours.items() if real[path] != text and path not in DIFFERENCES} == {}


def test_listed_differences_exist() -> None:
    configs = [recorded_config(name) for name in RECORDED]
    pairs = [(leaves(config), leaves(agent_config(setup_of(config)))) for config in configs]

    assert {path for real, ours in pairs for path in ours if ours[path] != real[path]} == DIFFERENCES.keys()


def test_every_version_but_0_12_was_recorded_in_every_role() -> None:
    observed = {
        (setup.version.series, setup.server, setup.client) for setup in map(setup_of, map(recorded_config, RECORDED))
    }
    roles = {(True, False), (False, True), (True, True)}

    assert observed == {(series, *role) for series in VERSIONS if series != "0.12" for role in roles}


def test_1_2_dropped_only_known_keys_of_0_12() -> None:
    removed = leaves(config_of(SERVER, "0.12")).keys() - leaves(config_of(SERVER, "1.2")).keys()

    assert removed == {
        "Client.TemplateConfig.FunctionBlacklist.0",
        "Telemetry.BackwardsCompatibleMetrics",
        "Telemetry.DisableTaggedMetrics",
    }


def test_client_of_0_12_lists_connect_images_in_metadata() -> None:
    assert config_of(SERVER, "0.12")["Client"]["Meta"] == {}
    assert config_of(CLIENT, "0.12")["Client"]["Meta"].keys() == {
        "connect.gateway_image",
        "connect.log_level",
        "connect.sidecar_image",
    }


@pytest.mark.parametrize(("setup", "loader"), [(SERVER, {}), (BOTH, {}), (CLIENT, None)])
def test_only_server_of_0_12_has_a_key_loader_object(setup: Setup, loader: object) -> None:
    assert config_of(setup, "0.12")["TLSConfig"]["KeyLoader"] == loader


# Values of the setup.


@every_version
def test_config_has_name_region_and_datacenter(series: str) -> None:
    config = config_of(replace(SERVER, region="west", datacenter="dc7"), series)

    assert (config["NodeName"], config["Region"], config["Datacenter"]) == ("s1", "west", "dc7")


@every_version
def test_config_has_version(series: str) -> None:
    assert config_of(SERVER, series)["Version"]["Version"] == VERSIONS[series].build


@every_version
def test_config_has_addresses_and_ports(series: str) -> None:
    config = config_of(replace(SERVER, host="127.0.1.7", http=5646, rpc=5647, serf=5648), series)

    assert config["BindAddr"] == "127.0.1.7"
    assert config["Addresses"] == {"HTTP": "127.0.1.7", "RPC": "127.0.1.7", "Serf": "127.0.1.7"}
    assert config["Ports"] == {"HTTP": 5646, "RPC": 5647, "Serf": 5648}
    assert config["AdvertiseAddrs"] == {"HTTP": "127.0.1.7:5646", "RPC": "127.0.1.7:5647", "Serf": "127.0.1.7:5648"}


@every_version
def test_ipv6_address_is_bracketed_only_before_a_port(series: str) -> None:
    config = config_of(replace(CLIENT, host="::1"), series)

    assert config["BindAddr"] == "::1"
    assert config["AdvertiseAddrs"] == {"HTTP": "[::1]:4646", "RPC": "[::1]:4647", "Serf": "::1"}


@every_version
@pytest.mark.parametrize("setup", [SERVER, CLIENT, BOTH])
def test_config_has_enabled_roles(series: str, setup: Setup) -> None:
    config = config_of(setup, series)

    assert (config["Server"]["Enabled"], config["Client"]["Enabled"]) == (setup.server, setup.client)


@every_version
def test_config_has_bootstrap_expect_joins_and_nonvoter(series: str) -> None:
    config = config_of(replace(SERVER, retry_join=("127.0.1.1:4648", "127.0.1.2:4648"), nonvoter=True), series)

    assert config["Server"]["BootstrapExpect"] == 3
    assert config["Server"]["ServerJoin"]["RetryJoin"] == ["127.0.1.1:4648", "127.0.1.2:4648"]
    assert config["Server"]["NonVotingServer"] is True


@every_version
def test_config_has_servers_or_null_of_a_client(series: str) -> None:
    assert config_of(replace(CLIENT, servers=("127.0.1.1:4647",)), series)["Client"]["Servers"] == ["127.0.1.1:4647"]
    assert config_of(CLIENT, series)["Client"]["Servers"] is None


@every_version
def test_config_has_acl_and_enable_debug(series: str) -> None:
    config = config_of(replace(SERVER, acl=True, enable_debug=True), series)

    assert config["ACL"]["Enabled"] is True
    assert config["EnableDebug"] is True


@every_version
def test_tls_changes_only_its_own_values(series: str) -> None:
    plain = leaves(config_of(SERVER, series))
    ours = leaves(
        config_of(replace(SERVER, tls=Tls("/ca.pem", "/cert.pem", "/key.pem", verify_https_client=True)), series)
    )

    assert {path: text for path, text in ours.items() if plain.get(path) != text} == {
        "TLSConfig.CAFile": '"/ca.pem"',
        "TLSConfig.CertFile": '"/cert.pem"',
        "TLSConfig.EnableHTTP": "true",
        "TLSConfig.KeyFile": '"/key.pem"',
        "TLSConfig.VerifyHTTPSClient": "true",
    }


@every_version
def test_config_of_one_agent_does_not_affect_another(series: str) -> None:
    before = leaves(config_of(SERVER, series))

    config_of(
        replace(SERVER, name="s2", host="127.0.1.2", client=True, acl=True, retry_join=("127.0.1.1:4648",)), series
    )

    assert leaves(config_of(SERVER, series)) == before


@every_version
def test_agent_without_name_has_an_empty_node_name(series: str) -> None:
    named, unnamed = (leaves(config_of(replace(CLIENT, sets_name=sets_name), series)) for sets_name in (True, False))

    assert {path: text for path, text in unnamed.items() if named[path] != text} == {"NodeName": '""'}


# The files.


@every_version
def test_config_file_is_indented_and_sorted(series: str) -> None:
    text = files("nomad_sim.api").joinpath("configs", f"{series}.json").read_text("utf-8")

    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
