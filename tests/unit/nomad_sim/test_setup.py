"""The setup of an agent, with its names, addresses and Raft ID."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.go import join_host_port
from nomad_sim.setup import Setup, Tls
from nomad_sim.versions import VERSIONS


def test_member_name_has_region() -> None:
    assert Setup("s1", "id", region="eu").member == "s1.eu"


@pytest.mark.parametrize(
    ("host", "text"), [("127.0.0.1", "127.0.0.1:4647"), ("::1", "[::1]:4647"), ("s1.lan", "s1.lan:4647")]
)
def test_host_and_port_are_joined_as_in_go(host: str, text: str) -> None:
    assert join_host_port(host, 4647) == text


def test_agent_advertises_its_ports() -> None:
    setup = Setup("s1", "id", host="::1", rpc=1, serf=2)

    assert (setup.rpc_address, setup.serf_address) == ("[::1]:1", "[::1]:2")


def test_url_has_scheme_of_agent() -> None:
    setup = Setup("s1", "id", host="::1", http=1)

    assert setup.url == "http://[::1]:1"
    assert replace(setup, tls=Tls("ca", "cert", "key")).url == "https://[::1]:1"


@pytest.mark.parametrize(
    ("series", "raft_id"),
    [("0.12", "127.0.0.1:4647"), ("1.2", "uuid"), ("1.6", "uuid"), ("1.10", "uuid"), ("2.0", "uuid")],
)
def test_raft_id_is_address_before_raft_protocol_3(series: str, raft_id: str) -> None:
    assert Setup("s1", "uuid", version=VERSIONS[series]).raft_id == raft_id
