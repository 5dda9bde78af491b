"""``config`` of a simulated agent is, to its last value, what a real agent of that version and role said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from nomad_exporter.nomad.sources import SELF_PATH
from nomad_sim.api.config import agent_config
from nomad_sim.setup import Setup, Tls
from nomad_sim.versions import VERSIONS
from tests.support.recordings import situation, situations

BY_BUILD = {version.build: version for version in VERSIONS.values()}

RECORDED = [
    result.name
    for result in situations()
    if (response := result.answers.get(SELF_PATH))
    and response.status == 200
    and result.name.partition("/")[0] in BY_BUILD
]

EXCEPT = {
    "Server.ServerJoin.RetryInterval": "the recorded servers were told to join every 2 s, which is no part of a Setup",
}

SERVER = Setup("s1", "2a4b3d0c-0000-4000-8000-000000000001", bootstrap_expect=3)
CLIENT = replace(SERVER, name="c1", server=False, client=True, bootstrap_expect=0)
BOTH = replace(SERVER, client=True, bootstrap_expect=1)

every_version = pytest.mark.parametrize("series", VERSIONS)


def config_of(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(situation(name).answers[SELF_PATH].body)["config"]
    return config


def setup_of(config: Mapping[str, Any]) -> Setup:
    """The setup of a recorded agent."""
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
    """Every value that holds no others, as JSON, by its path: ``true`` is not ``1`` there, and ``80`` not ``80.0``."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {
        name: leaf for key, pending in inner for name, leaf in leaves(pending, f"{path}.{key}".lstrip(".")).items()
    }
    return found or {path: json.dumps(value)}


def of(setup: Setup, series: str) -> dict[str, Any]:
    return agent_config(replace(setup, version=VERSIONS[series]))


# As real agents have it.


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_agent_has_the_same_keys_types_and_values(name: str) -> None:
    real = leaves(config_of(name))
    ours = leaves(agent_config(setup_of(config_of(name))))

    assert ours.keys() == real.keys()
    assert {path: text for path, text in ours.items() if real[path] != text and path not in EXCEPT} == {}


def test_every_exception_is_needed() -> None:
    configs = [config_of(name) for name in RECORDED]
    pairs = [(leaves(config), leaves(agent_config(setup_of(config)))) for config in configs]

    assert {path for real, ours in pairs for path in ours if ours[path] != real[path]} == EXCEPT.keys()


def test_every_version_but_0_12_was_recorded_as_a_server_as_a_client_and_as_both() -> None:
    observed = {(setup.version.series, setup.server, setup.client) for setup in map(setup_of, map(config_of, RECORDED))}
    roles = {(True, False), (False, True), (True, True)}

    assert observed == {(series, *role) for series in VERSIONS if series != "0.12" for role in roles}


def test_a_0_12_has_no_more_keys_than_a_1_2_but_those_that_ended_with_it() -> None:
    removed = leaves(of(SERVER, "0.12")).keys() - leaves(of(SERVER, "1.2")).keys()

    assert removed == {
        "Client.TemplateConfig.FunctionBlacklist.0",
        "Telemetry.BackwardsCompatibleMetrics",
        "Telemetry.DisableTaggedMetrics",
    }


def test_a_client_of_0_12_tells_what_it_uses_to_connect_among_its_metadata() -> None:
    assert of(SERVER, "0.12")["Client"]["Meta"] == {}
    assert of(CLIENT, "0.12")["Client"]["Meta"].keys() == {
        "connect.gateway_image",
        "connect.log_level",
        "connect.sidecar_image",
    }


@pytest.mark.parametrize(("setup", "loader"), [(SERVER, {}), (BOTH, {}), (CLIENT, None)])
def test_only_a_server_of_0_12_has_something_that_loads_keys(setup: Setup, loader: object) -> None:
    assert of(setup, "0.12")["TLSConfig"]["KeyLoader"] == loader


# As the setup has it.


@every_version
def test_an_agent_says_where_it_is(series: str) -> None:
    config = of(replace(SERVER, region="west", datacenter="dc7"), series)

    assert (config["NodeName"], config["Region"], config["Datacenter"]) == ("s1", "west", "dc7")


@every_version
def test_an_agent_says_its_version(series: str) -> None:
    assert of(SERVER, series)["Version"]["Version"] == VERSIONS[series].build


@every_version
def test_a_server_listens_and_advertises_at_its_own_address_and_ports(series: str) -> None:
    config = of(replace(SERVER, host="127.0.1.7", http=5646, rpc=5647, serf=5648), series)

    assert config["BindAddr"] == "127.0.1.7"
    assert config["Addresses"] == {"HTTP": "127.0.1.7", "RPC": "127.0.1.7", "Serf": "127.0.1.7"}
    assert config["Ports"] == {"HTTP": 5646, "RPC": 5647, "Serf": 5648}
    assert config["AdvertiseAddrs"] == {"HTTP": "127.0.1.7:5646", "RPC": "127.0.1.7:5647", "Serf": "127.0.1.7:5648"}


@every_version
def test_an_address_of_ipv6_is_bracketed_only_before_a_port(series: str) -> None:
    config = of(replace(CLIENT, host="::1"), series)

    assert config["BindAddr"] == "::1"
    assert config["AdvertiseAddrs"] == {"HTTP": "[::1]:4646", "RPC": "[::1]:4647", "Serf": "::1"}


@every_version
@pytest.mark.parametrize("setup", [SERVER, CLIENT, BOTH])
def test_an_agent_says_its_roles(series: str, setup: Setup) -> None:
    config = of(setup, series)

    assert (config["Server"]["Enabled"], config["Client"]["Enabled"]) == (setup.server, setup.client)


@every_version
def test_a_server_says_how_many_it_expects_whom_it_joins_and_whether_it_votes(series: str) -> None:
    config = of(replace(SERVER, retry_join=("127.0.1.1:4648", "127.0.1.2:4648"), nonvoter=True), series)

    assert config["Server"]["BootstrapExpect"] == 3
    assert config["Server"]["ServerJoin"]["RetryJoin"] == ["127.0.1.1:4648", "127.0.1.2:4648"]
    assert config["Server"]["NonVotingServer"] is True


@every_version
def test_a_client_says_its_servers_and_null_where_it_was_told_none(series: str) -> None:
    assert of(replace(CLIENT, servers=("127.0.1.1:4647",)), series)["Client"]["Servers"] == ["127.0.1.1:4647"]
    assert of(CLIENT, series)["Client"]["Servers"] is None


@every_version
def test_access_control_and_debugging_are_told(series: str) -> None:
    config = of(replace(SERVER, acl=True, enable_debug=True), series)

    assert config["ACL"]["Enabled"] is True
    assert config["EnableDebug"] is True


@every_version
def test_tls_changes_what_it_was_told_and_nothing_else(series: str) -> None:
    plain = leaves(of(SERVER, series))
    ours = leaves(of(replace(SERVER, tls=Tls("/ca.pem", "/cert.pem", "/key.pem", verify_https_client=True)), series))

    assert {path: text for path, text in ours.items() if plain.get(path) != text} == {
        "TLSConfig.CAFile": '"/ca.pem"',
        "TLSConfig.CertFile": '"/cert.pem"',
        "TLSConfig.EnableHTTP": "true",
        "TLSConfig.KeyFile": '"/key.pem"',
        "TLSConfig.VerifyHTTPSClient": "true",
    }


@every_version
def test_what_one_agent_was_told_does_not_stay_for_the_next(series: str) -> None:
    before = leaves(of(SERVER, series))

    of(replace(SERVER, name="s2", host="127.0.1.2", client=True, acl=True, retry_join=("127.0.1.1:4648",)), series)

    assert leaves(of(SERVER, series)) == before


# The files.


@every_version
def test_a_file_is_written_to_be_read(series: str) -> None:
    text = files("nomad_sim.api").joinpath("configs", f"{series}.json").read_text("utf-8")

    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
