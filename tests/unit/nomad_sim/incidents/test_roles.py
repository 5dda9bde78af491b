"""Who plays which role."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.incidents.cast import cast_of
from nomad_exporter.demo.incidents.story import FAR, HOME, Role
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from tests.support.clusters import calm_cluster, client_setups, followers, leader, new_cluster, pass_time, server_setups


def test_the_one_that_leads_is_the_leader_and_the_others_follow_in_order() -> None:
    cluster = calm_cluster(3, clients=2)
    cast = cast_of(cluster.world.agents)

    assert [cast[role].name for role in HOME] == [leader(cluster), *followers(cluster), "c1"]
    assert cast.keys() == set(HOME)


def test_an_agent_is_called_as_the_exporter_and_the_others_call_it() -> None:
    cast = cast_of(calm_cluster().world.agents)
    name = cast[Role.LEADER].name
    host = f"127.0.1.{name[1]}"

    assert cast[Role.LEADER].agent == name.partition(".")[0]
    assert (cast[Role.LEADER].member, cast[Role.LEADER].rpc, cast[Role.LEADER].serf) == (
        name,
        f"{host}:4647",
        f"{host}:4648",
    )


def test_a_second_region_has_roles_of_its_own_and_a_third_has_none() -> None:
    regions = [server_setups(3, region=region, net=net) for net, region in enumerate(("east", "west", "north"), 1)]
    clients = [replace(client_setups(1, servers)[0], name=f"c{net}") for net, servers in enumerate(regions, 1)]
    cluster = Cluster([*regions[0], *regions[1], *regions[2], *clients], Timing(), 1, 0.0)
    pass_time(cluster, 20.0)
    cast = cast_of(cluster.world.agents)

    assert cast[Role.LEADER].agent == leader(cluster, "east")
    assert cast[Role.FAR_LEADER].agent == leader(cluster, "west")
    assert cast.keys() == {*HOME, *FAR}
    assert (cast[Role.CLIENT].name, cast[Role.FAR_CLIENT].name) == ("c1", "c2")
    assert not any("north" in actor.name for actor in cast.values())


def test_without_a_leader_no_server_has_a_role() -> None:
    cluster = new_cluster(3, clients=1)

    assert cast_of(cluster.world.agents).keys() == {Role.CLIENT}


def test_a_leader_that_was_killed_leads_no_more() -> None:
    cluster = calm_cluster()
    cluster.kill(leader(cluster))

    assert not cast_of(cluster.world.agents)
