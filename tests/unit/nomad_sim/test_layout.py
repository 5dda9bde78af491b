"""The agents of the demo: their names, IDs, regions and ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nomad_sim import layout
from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import check_port_free, exporter_name, new_server_setup, region_names, resolve_ports, setups
from nomad_sim.options import Options
from nomad_sim.sockets import ListenError, PortInUse


def test_single_region_is_global() -> None:
    assert region_names(1) == ("global",)
    assert region_names(2) == ("east", "west")
    assert region_names(6) == ("east", "west", "north", "south", "region-5", "region-6")


def test_servers_come_first_with_ten_ports_each() -> None:
    agents = setups(Options(servers=3, clients=2, port=20000), None)

    assert [(agent.name, agent.http) for agent in agents] == [
        ("s1", 20000),
        ("s2", 20010),
        ("s3", 20020),
        ("c1", 20030),
        ("c2", 20040),
    ]
    assert (agents[1].rpc, agents[1].serf) == (20011, 20012)


def test_only_the_last_client_sets_no_name() -> None:
    agents = setups(Options(servers=3, clients=2, regions=2, port=20000), None)

    assert [agent.name for agent in agents if not agent.sets_name] == ["c4"]


def test_all_servers_set_a_name() -> None:
    assert all(agent.sets_name for agent in setups(Options(clients=0, port=20000), None))


def test_server_joins_all_and_expects_those_of_its_region() -> None:
    agents = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    servers = [agent for agent in agents if agent.server]

    assert {server.bootstrap_expect for server in servers} == {2}
    assert {server.retry_join for server in servers} == {tuple(server.serf_address for server in servers)}


def test_client_knows_servers_of_its_region() -> None:
    agents = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    clients = {agent.name: agent for agent in agents if agent.client}

    assert clients["c1"].region == "east"
    assert clients["c1"].servers == ("127.0.0.1:20001", "127.0.0.1:20011")
    assert clients["c2"].region == "west"
    assert clients["c2"].servers == ("127.0.0.1:20021", "127.0.0.1:20031")
    assert not clients["c1"].bootstrap_expect


def test_seed_determines_ids() -> None:
    ids = [{one.id for one in setups(Options(seed=seed, port=20000), None)} for seed in (1, 1, 2)]

    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]
    assert len(ids[0]) == 5


def test_port_0_becomes_a_free_port() -> None:
    options = resolve_ports(Options(port=0, exporter_port=0))
    ports = [one.http for one in setups(options, None)] + [options.exporter_port]

    assert len(set(ports)) == 6
    for port in ports:
        check_port_free("127.0.0.1", port)
    assert (options.control_port, options.prometheus_port) == (14640, 9090)
    assert resolve_ports(Options()) == Options()


def test_lack_of_free_ports_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        monkeypatch.setattr(layout, "FREE_PORTS", range(port, port + 34))
        with pytest.raises(ListenError, match=r"^cannot find 7 free ports on 127\.0\.0\.1 from port \d+$"):
            resolve_ports(Options(servers=1, clients=0, port=0))


def test_each_agent_has_certificate_of_its_role_and_region(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    agents = setups(Options(port=20000, verify_https_client=True, servers=1, clients=1), files)

    assert [one.tls for one in agents] == [files.tls("server", "global", True), files.tls("client", "global", True)]


def test_port_in_use_is_detected() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as used,
        pytest.raises(PortInUse, match="Address already in use"),
    ):
        check_port_free("127.0.0.1", used.getsockname()[1])


def test_exporter_name_includes_region_if_there_are_several() -> None:
    one, two = Options(servers=1, clients=1, port=20000), Options(servers=1, clients=1, regions=2, port=20000)

    assert [exporter_name(setup, multi_region=False) for setup in setups(one, None)] == ["s1", "c1"]
    assert [exporter_name(setup, multi_region=True) for setup in setups(two, None)] == [
        "s1.east",
        "s1.west",
        "c1",
        "c2",
    ]


def test_new_server_has_settings_of_its_region() -> None:
    agents = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    new = new_server_setup(agents, "west")

    assert (new.full_name, new.http, new.rpc, new.serf) == ("s3.west", 20060, 20061, 20062)
    assert (new.bootstrap_expect, new.server, new.client, new.encrypted) == (2, True, False, True)
    assert new.retry_join == tuple(agent.serf_address for agent in agents if agent.server)
    assert new.id not in {agent.id for agent in agents}
    assert new_server_setup(agents, "west") == new
    with pytest.raises(LookupError, match="region north has no server"):
        new_server_setup(agents, "north")


def test_new_servers_have_unique_names_ids_and_ports() -> None:
    agents = setups(Options(servers=1, clients=0, port=20000), None)
    for _ in range(3):
        agents.append(new_server_setup(agents, "global"))

    assert [one.name for one in agents] == ["s1", "s2", "s3", "s4"]
    assert len({agent.id for agent in agents}) == len({one.http for one in agents}) == 4


def test_free_ports_include_spare_agents() -> None:
    agents = setups(resolve_ports(Options(servers=1, clients=0, port=0)), None)
    for _ in range(layout.SPARE_AGENTS):
        agents.append(new_server_setup(agents, "global"))
        check_port_free("127.0.0.1", agents[-1].http)


def test_gossip_is_encrypted_by_default() -> None:
    assert {one.encrypted for one in setups(Options(port=20000), None)} == {True}
    assert {one.encrypted for one in setups(Options(port=20000, encrypted=False), None)} == {False}
