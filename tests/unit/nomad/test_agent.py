"""Agents: the format of addresses, and the masking of secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls


@pytest.mark.parametrize(
    ("address", "text"),
    [
        pytest.param(Address("http", "127.0.0.1", 4646), "http://127.0.0.1:4646", id="IPv4"),
        pytest.param(Address("https", "nomad.example", 443), "https://nomad.example:443", id="host name"),
        pytest.param(Address("https", "2001:db8::1", 4646), "https://[2001:db8::1]:4646", id="IPv6 in brackets"),
        pytest.param(Address("http", "fe80::1%eth0", 4646), "http://[fe80::1%25eth0]:4646", id="IPv6 with a zone"),
        pytest.param(Address("unix", path="/secrets/api.sock"), "unix:///secrets/api.sock", id="Unix socket"),
    ],
)
def test_address_is_formatted_like_nomad(address: Address, text: str) -> None:
    assert str(address) == text


def test_host_port_of_unix_socket_is_its_path() -> None:
    assert Address("unix", path="/secrets/api.sock").host_port == "/secrets/api.sock"


def test_reveal_returns_the_secret() -> None:
    assert Secret("b4d").reveal() == "b4d"


@pytest.mark.parametrize("show", ["{}", "{!r}", "{!s}", "{!a}"])
def test_formatting_masks_the_secret(show: str) -> None:
    shown = show.format(Secret("b4d"))

    assert shown == "Secret(********)"


def test_repr_of_agent_masks_its_secrets() -> None:
    agent = Agent(
        "s1",
        Address("https", "127.0.0.1", 4646),
        Credentials(token=Secret("t0ken"), basic_auth=Secret("user:passw0rd")),
        Tls(ca_file=Path("/ca.pem")),
    )

    shown = repr(agent)

    assert "127.0.0.1" in shown
    assert "t0ken" not in shown
    assert "passw0rd" not in shown


def test_agents_with_different_tokens_are_not_equal() -> None:
    address = Address("http", "127.0.0.1", 4646)
    before, after = (Agent("s1", address, Credentials(token=Secret(text))) for text in ("old", "new"))

    assert before != after
