"""The stats of an agent: groups by role and version, with string values."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nomad_sim.api.statistics import Group, stats
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import (
    calm_cluster,
    client_of,
    followers,
    leader,
    new_cluster,
    pass_time,
    raft_of,
    server_setups,
    time_until,
)
from tests.support.sim_requests import api_of_one_agent, api_of_two_regions, with_clients

DURATION = re.compile(r"(\d+(\.\d+)?(h|m|s|ms|µs|ns))+")


def stats_of(cluster: Cluster, name: str) -> dict[str, Group]:
    return stats(cluster.world, cluster.world.agents[name])


@pytest.mark.parametrize("series", VERSIONS)
def test_server_has_groups_of_its_version(series: str) -> None:
    vault = {"vault"} if series in ("1.6", "1.2", "0.12") else set()

    assert stats_of(calm_cluster(version=VERSIONS[series]), "s1.global").keys() == {
        "runtime",
        "nomad",
        "raft",
        "serf",
        *vault,
    }


@pytest.mark.parametrize("series", VERSIONS)
def test_client_has_two_groups(series: str) -> None:
    assert stats_of(calm_cluster(clients=1, version=VERSIONS[series]), "c1").keys() == {"runtime", "client"}


def test_agent_of_both_roles_has_groups_of_both() -> None:
    assert stats_of(api_of_one_agent().cluster, "s1.global").keys() == {"runtime", "nomad", "raft", "serf", "client"}


@pytest.mark.parametrize("series", VERSIONS)
def test_every_value_is_a_string(series: str) -> None:
    groups = stats_of(api_of_one_agent(VERSIONS[series]).cluster, "s1.global")

    assert {type(value) for group in groups.values() for value in group.values()} == {str}


@pytest.mark.parametrize(("series", "has_log_store"), [("2.0", True), ("1.10", False), ("0.12", False)])
def test_only_newest_version_has_logstore_backend(series: str, has_log_store: bool) -> None:
    assert (
        "logstore_backend" in stats_of(calm_cluster(version=VERSIONS[series]), "s1.global")["raft"]
    ) is has_log_store


def test_all_servers_name_the_same_leader_address() -> None:
    cluster = calm_cluster()
    address = cluster.world.agents[leader(cluster)].setup.rpc_address
    groups = {name: stats_of(cluster, name)["nomad"] for name in cluster.world.agents}

    assert {group["leader_addr"] for group in groups.values()} == {address}
    assert {group["server"] for group in groups.values()} == {"true"}
    assert [name for name, group in groups.items() if group["leader"] == "true"] == [leader(cluster)]


def test_server_without_leader_has_empty_leader_address() -> None:
    cluster = new_cluster()
    group = stats_of(cluster, "s1.global")

    assert (group["nomad"]["leader"], group["nomad"]["leader_addr"]) == ("false", "")
    assert (group["raft"]["last_contact"], group["raft"]["state"]) == ("never", "Follower")
    assert (group["raft"]["latest_configuration"], group["raft"]["num_peers"]) == ("[]", "0")


def test_last_contact_is_0_for_leader_and_recent_for_follower() -> None:
    cluster = calm_cluster()
    contacts = {name: stats_of(cluster, name)["raft"]["last_contact"] for name in cluster.world.agents}

    assert contacts[leader(cluster)] == "0"
    for name in followers(cluster):
        assert DURATION.fullmatch(contacts[name])


def test_last_contact_grows_without_leader() -> None:
    cluster = calm_cluster()
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (remaining,) = cluster.world.running()
    pass_time(cluster, 30)
    group = stats_of(cluster, remaining)

    assert (group["raft"]["state"], group["nomad"]["leader_addr"]) == ("Candidate", "")
    assert re.fullmatch(r"(29|30)\.\d+s", group["raft"]["last_contact"])


def test_raft_group_reflects_raft_state() -> None:
    cluster = calm_cluster(clients=1)
    pass_time(cluster, 60)
    name = leader(cluster)
    group, raft = stats_of(cluster, name)["raft"], raft_of(cluster, name)

    assert group.pop("latest_configuration").startswith("[{Suffrage:")
    assert group == {
        "state": "Leader",
        "term": str(raft.term),
        "last_log_index": str(raft.log.last),
        "last_log_term": str(raft.log.last_term),
        "commit_index": str(raft.commit_index),
        "applied_index": str(raft.commit_index),
        "fsm_pending": "0",
        "last_snapshot_index": "0",
        "last_snapshot_term": "0",
        "protocol_version": "3",
        "protocol_version_min": "0",
        "protocol_version_max": "3",
        "snapshot_version_min": "0",
        "snapshot_version_max": "1",
        "latest_configuration_index": "0",
        "num_peers": "2",
        "last_contact": "0",
        "logstore_backend": "boltdb",
    }


def test_raft_group_has_index_and_term_of_snapshot() -> None:
    cluster = calm_cluster(servers=1)
    server = cluster.world.server("s1.global")
    cluster.world.put_server("s1.global", replace(server, raft=replace(server.raft, snapshot=(8192, 7))))
    group = stats_of(cluster, "s1.global")["raft"]

    assert (group["last_snapshot_index"], group["last_snapshot_term"]) == ("8192", "7")


@pytest.mark.parametrize(("series", "id"), [("2.0", "id-global-s1"), ("0.12", "127.0.1.1:4647")])
def test_latest_configuration_has_format_of_go(series: str, id: str) -> None:
    cluster = calm_cluster(servers=1, version=VERSIONS[series])
    group = stats_of(cluster, "s1.global")["raft"]

    assert group["latest_configuration"] == f"[{{Suffrage:Voter ID:{id} Address:127.0.1.1:4647}}]"
    assert group["protocol_version"] == str(VERSIONS[series].raft_protocol)


def test_peers_in_latest_configuration_are_separated_by_space() -> None:
    configuration = stats_of(calm_cluster(), "s1.global")["raft"]["latest_configuration"]

    assert (
        len(re.findall(r"\{Suffrage:Voter ID:id-global-s\d Address:127\.0\.1\.\d:4647\}(?: |\])", configuration)) == 3
    )


def test_num_peers_counts_other_voters() -> None:
    assert stats_of(calm_cluster(), "s1.global")["raft"]["num_peers"] == "2"


def test_num_peers_of_nonvoter_is_0() -> None:
    cluster = calm_cluster()
    (fourth,) = [replace(setup, nonvoter=True, bootstrap_expect=0) for setup in server_setups(4) if setup.name == "s4"]
    cluster.add(fourth)
    pass_time(cluster, 10)

    assert "Suffrage:Nonvoter ID:id-global-s4" in stats_of(cluster, "s4.global")["raft"]["latest_configuration"]
    assert stats_of(cluster, "s4.global")["raft"]["num_peers"] == "0"
    assert stats_of(cluster, "s1.global")["raft"]["num_peers"] == "2"


def test_serf_group_counts_failed_and_left_members() -> None:
    cluster = calm_cluster(servers=5, version=VERSIONS["2.0"])
    cluster.kill("s4.global")
    cluster.leave("s5.global")
    pass_time(cluster, 40)
    group = stats_of(cluster, "s1.global")["serf"]

    assert int(group.pop("member_time")) == cluster.world.server("s1.global").gossip.lamport_time > 1
    assert group == {
        "members": "5",
        "failed": "1",
        "left": "1",
        "health_score": "0",
        "event_time": "1",
        "query_time": "1",
        "intent_queue": "0",
        "event_queue": "0",
        "query_queue": "0",
        "encrypted": "false",
        "coordinate_resets": "0",
    }


@pytest.mark.parametrize(("dead", "score"), [(0, "0"), (1, "1"), (2, "2"), (7, "7"), (8, "7")])
def test_health_score_counts_suspected_members_up_to_7(dead: int, score: str) -> None:
    cluster = calm_cluster(servers=9)
    for number in range(2, 2 + dead):
        cluster.kill(f"s{number}.global")
    pass_time(cluster, 10)

    assert stats_of(cluster, "s1.global")["serf"]["health_score"] == score


def test_serf_group_reports_encryption() -> None:
    (setup,) = server_setups(1)
    cluster = Cluster([replace(setup, encrypted=True)], Timing(), 1, 0.0)

    assert stats_of(cluster, "s1.global")["serf"]["encrypted"] == "true"


def test_known_regions_have_a_live_server() -> None:
    cluster = api_of_two_regions().cluster

    assert stats_of(cluster, "s1.east")["nomad"]["known_regions"] == "2"
    cluster.kill("s1.west")
    pass_time(cluster, 40)
    assert stats_of(cluster, "s1.east")["nomad"]["known_regions"] == "1"


@pytest.mark.parametrize(("servers", "bootstrap"), [(1, "true"), (3, "false")])
def test_bootstrap_is_true_for_single_server(servers: int, bootstrap: str) -> None:
    assert stats_of(calm_cluster(servers=servers), "s1.global")["nomad"]["bootstrap"] == bootstrap


def test_client_group_has_heartbeats_and_servers() -> None:
    cluster = with_clients()
    client = client_of(cluster, "c1")
    group = stats_of(cluster, "c1")["client"]

    assert group["node_id"] == "id-global-c1"
    assert group["known_servers"] == "127.0.1.1:4647,127.0.1.2:4647,127.0.1.3:4647"
    assert group["num_allocations"] == str(client.allocations)
    assert DURATION.fullmatch(group["last_heartbeat"])
    assert 10 <= float(group["heartbeat_ttl"].removesuffix("s")) <= 20


def test_last_heartbeat_of_unregistered_client_is_its_uptime() -> None:
    cluster = new_cluster(clients=1)
    for name in cluster.world.running():
        cluster.kill(name)
    pass_time(cluster, 90)
    group = stats_of(cluster, "c1")["client"]

    assert (group["last_heartbeat"], group["heartbeat_ttl"]) == ("1m30s", "0s")


def test_known_servers_are_empty_without_servers() -> None:
    cluster = new_cluster(clients=1)
    cluster.set_servers("c1", ())

    assert stats_of(cluster, "c1")["client"]["known_servers"] == ""


def test_last_heartbeat_of_isolated_client_exceeds_ttl() -> None:
    cluster = with_clients()
    for name in cluster.world.running():
        cluster.pause(name)
    pass_time(cluster, 70)
    group = stats_of(cluster, "c1")["client"]

    assert group["last_heartbeat"].startswith("1m")
    assert float(group["heartbeat_ttl"].removesuffix("s")) <= 20


@pytest.mark.parametrize("series", VERSIONS)
def test_runtime_group_has_go_version(series: str) -> None:
    group = stats_of(calm_cluster(version=VERSIONS[series]), "s1.global")["runtime"]

    assert int(group.pop("goroutines")) > 0
    assert group == {
        "kernel.name": "linux",
        "arch": "amd64",
        "version": VERSIONS[series].go,
        "max_procs": "8",
        "cpu_count": "8",
    }


def test_older_server_has_vault_group() -> None:
    groups = stats_of(calm_cluster(version=VERSIONS["1.2"]), "s1.global")

    assert groups["vault"] == {"tracked_for_revoked": "0", "token_ttl": "0s", "token_expire_time": ""}


def test_vault_group_of_1_6_has_renewal_times() -> None:
    groups = stats_of(calm_cluster(version=VERSIONS["1.6"]), "s1.global")

    assert groups["vault"] == {
        "tracked_for_revoked": "0",
        "token_ttl": "0s",
        "token_expire_time": "",
        "token_last_renewal_time": "",
        "token_next_renewal_time": "",
    }


def test_goroutines_grow_with_leadership_and_allocations() -> None:
    cluster = with_clients()
    time_until(cluster, lambda: client_of(cluster, "c1").allocations >= 3)
    goroutines = {name: int(stats_of(cluster, name)["runtime"]["goroutines"]) for name in cluster.world.agents}

    assert goroutines[leader(cluster)] >= 60 + min(goroutines[name] for name in followers(cluster)) - 8
    assert goroutines["c1"] >= 60 + 3 * 15
