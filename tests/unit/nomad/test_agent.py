"""Agents: how an address reads, and that a secret cannot be shown by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls


@pytest.mark.parametrize(
    ("address", "text"),
    [
        pytest.param(Address("http", "127.0.0.1", 4646), "http://127.0.0.1:4646", id="IPv4"),
        pytest.param(Address("https", "nomad.example", 443), "https://nomad.example:443", id="a name"),
        pytest.param(Address("https", "2001:db8::1", 4646), "https://[2001:db8::1]:4646", id="IPv6 in brackets"),
        pytest.param(Address("unix", path="/secrets/api.sock"), "unix:///secrets/api.sock", id="a socket"),
    ],
)
def test_an_address_reads_as_nomad_writes_it(address: Address, text: str) -> None:
    assert str(address) == text


def test_the_host_and_port_of_a_socket_is_its_path() -> None:
    assert Address("unix", path="/secrets/api.sock").host_port == "/secrets/api.sock"


def test_a_secret_is_revealed_only_where_that_is_asked() -> None:
    assert Secret("b4d").reveal() == "b4d"


@pytest.mark.parametrize("show", ["{}", "{!r}", "{!s}", "{!a}"])
def test_a_secret_is_not_shown_by_any_way_to_format_it(show: str) -> None:
    shown = show.format(Secret("b4d"))

    assert shown == "Secret(********)"


def test_an_agent_is_shown_without_its_secrets() -> None:
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


def test_agents_with_different_tokens_are_different_agents() -> None:
    address = Address("http", "127.0.0.1", 4646)
    before, after = (Agent("s1", address, Credentials(token=Secret(text))) for text in ("old", "new"))

    assert before != after
