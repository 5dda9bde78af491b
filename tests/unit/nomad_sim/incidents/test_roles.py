"""The assignment of roles to agents."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.incidents.roles import assign_roles
from nomad_sim.incidents.scenario import LOCAL, REMOTE, Role
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from tests.support.clusters import calm_cluster, client_setups, followers, leader, new_cluster, pass_time, server_setups


def test_leader_and_followers_are_assigned_in_order() -> None:
    cluster = calm_cluster(3, clients=2)
    role_map = assign_roles(cluster.world.agents)

    assert [role_map[role].name for role in LOCAL] == [leader(cluster), *followers(cluster), "c1"]
    assert role_map.keys() == set(LOCAL)


def test_role_has_names_and_addresses() -> None:
    role_map = assign_roles(calm_cluster().world.agents)
    name = role_map[Role.LEADER].name
    host = f"127.0.1.{name[1]}"

    assert role_map[Role.LEADER].agent == name.partition(".")[0]
    assert (role_map[Role.LEADER].member, role_map[Role.LEADER].rpc, role_map[Role.LEADER].serf) == (
        name,
        f"{host}:4647",
        f"{host}:4648",
    )


def test_second_region_has_roles_and_third_has_none() -> None:
    regions = [server_setups(3, region=region, net=net) for net, region in enumerate(("east", "west", "north"), 1)]
    clients = [replace(client_setups(1, servers)[0], name=f"c{net}") for net, servers in enumerate(regions, 1)]
    cluster = Cluster([*regions[0], *regions[1], *regions[2], *clients], Timing(), 1, 0.0)
    pass_time(cluster, 20.0)
    role_map = assign_roles(cluster.world.agents)

    assert role_map[Role.LEADER].agent == leader(cluster, "east")
    assert role_map[Role.REMOTE_LEADER].agent == leader(cluster, "west")
    assert role_map.keys() == {*LOCAL, *REMOTE}
    assert (role_map[Role.CLIENT].name, role_map[Role.REMOTE_CLIENT].name) == ("c1", "c2")
    assert not any("north" in agent.name for agent in role_map.values())


def test_servers_have_no_roles_without_leader() -> None:
    cluster = new_cluster(3, clients=1)

    assert assign_roles(cluster.world.agents).keys() == {Role.CLIENT}


def test_killed_leader_has_no_role() -> None:
    cluster = calm_cluster()
    cluster.kill(leader(cluster))

    assert not assign_roles(cluster.world.agents)
