"""Which agents the demo has, and where."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nomad_sim import layout
from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import check_port_free, exporter_name, new_server_setup, region_names, resolve_ports, setups
from nomad_sim.options import Options
from nomad_sim.sockets import ListenError


def test_one_region_is_global_and_several_have_names_of_their_own() -> None:
    assert region_names(1) == ("global",)
    assert region_names(2) == ("east", "west")
    assert region_names(6) == ("east", "west", "north", "south", "region-5", "region-6")


def test_the_servers_come_first_each_ten_ports_after_the_one_before() -> None:
    placed = setups(Options(servers=3, clients=2, port=20000), None)

    assert [(one.name, one.http) for one in placed] == [
        ("s1", 20000),
        ("s2", 20010),
        ("s3", 20020),
        ("c1", 20030),
        ("c2", 20040),
    ]
    assert (placed[1].rpc, placed[1].serf) == (20011, 20012)


def test_a_server_joins_all_servers_and_expects_those_of_its_region() -> None:
    placed = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    servers = [one for one in placed if one.server]

    assert {one.bootstrap_expect for one in servers} == {2}
    assert {one.retry_join for one in servers} == {tuple(one.serf_address for one in servers)}


def test_a_client_knows_the_servers_of_its_own_region() -> None:
    placed = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    clients = {one.name: one for one in placed if one.client}

    assert clients["c1"].region == "east"
    assert clients["c1"].servers == ("127.0.0.1:20001", "127.0.0.1:20011")
    assert clients["c2"].region == "west"
    assert clients["c2"].servers == ("127.0.0.1:20021", "127.0.0.1:20031")
    assert not clients["c1"].bootstrap_expect


def test_the_same_seed_gives_the_same_ids_and_another_one_others() -> None:
    ids = [{one.id for one in setups(Options(seed=seed, port=20000), None)} for seed in (1, 1, 2)]

    assert ids[0] == ids[1]
    assert not ids[0] & ids[2]
    assert len(ids[0]) == 5


def test_port_0_gives_free_ports_and_what_was_chosen_stays() -> None:
    options = resolve_ports(Options(port=0, exporter_port=0))
    ports = [one.http for one in setups(options, None)] + [options.exporter_port]

    assert len(set(ports)) == 6
    for port in ports:
        check_port_free("127.0.0.1", port)
    assert (options.control_port, options.prometheus_port) == (14640, 9090)
    assert resolve_ports(Options()) == Options()


def test_where_no_ports_are_free_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        monkeypatch.setattr(layout, "FREE_PORTS", range(port, port + 34))
        with pytest.raises(ListenError, match="there are not 7 free ports"):
            resolve_ports(Options(servers=1, clients=0, port=0))


def test_with_certificates_each_agent_has_that_of_its_role_and_region(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    placed = setups(Options(port=20000, verify_https_client=True, servers=1, clients=1), files)

    assert [one.tls for one in placed] == [files.tls("server", "global", True), files.tls("client", "global", True)]


def test_a_taken_port_is_found_out() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as used,
        pytest.raises(ListenError, match="Address already in use"),
    ):
        check_port_free("127.0.0.1", used.getsockname()[1])


def test_an_agent_is_watched_by_its_name_and_a_server_of_several_regions_with_its_region() -> None:
    one, two = Options(servers=1, clients=1, port=20000), Options(servers=1, clients=1, regions=2, port=20000)

    assert [exporter_name(setup, multi_region=False) for setup in setups(one, None)] == ["s1", "c1"]
    assert [exporter_name(setup, multi_region=True) for setup in setups(two, None)] == [
        "s1.east",
        "s1.west",
        "c1",
        "c2",
    ]


def test_one_more_server_is_like_its_peers_and_joins_all_servers() -> None:
    placed = setups(Options(servers=2, clients=1, regions=2, port=20000), None)
    more = new_server_setup(placed, "west")

    assert (more.full_name, more.http, more.rpc, more.serf) == ("s3.west", 20060, 20061, 20062)
    assert (more.bootstrap_expect, more.server, more.client, more.encrypted) == (2, True, False, True)
    assert more.retry_join == tuple(one.serf_address for one in placed if one.server)
    assert more.id not in {one.id for one in placed}
    assert new_server_setup(placed, "west") == more
    with pytest.raises(LookupError, match="there is no server in north"):
        new_server_setup(placed, "north")


def test_each_of_several_more_has_a_name_an_id_and_ports_of_its_own() -> None:
    placed = setups(Options(servers=1, clients=0, port=20000), None)
    for _ in range(3):
        placed.append(new_server_setup(placed, "global"))

    assert [one.name for one in placed] == ["s1", "s2", "s3", "s4"]
    assert len({one.id for one in placed}) == len({one.http for one in placed}) == 4


def test_where_free_ports_are_taken_there_are_some_for_agents_that_come_later() -> None:
    placed = setups(resolve_ports(Options(servers=1, clients=0, port=0)), None)
    for _ in range(layout.SPARE_AGENTS):
        placed.append(new_server_setup(placed, "global"))
        check_port_free("127.0.0.1", placed[-1].http)


def test_gossip_is_encrypted_unless_it_was_chosen_otherwise() -> None:
    assert {one.encrypted for one in setups(Options(port=20000), None)} == {True}
    assert {one.encrypted for one in setups(Options(port=20000, encrypted=False), None)} == {False}
