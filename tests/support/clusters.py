"""Simulated clusters whose clock a test turns by hand: it stands at 0 until the test lets time pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from nomad_sim.model.clients import Client
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.raft import Raft
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup
from nomad_sim.versions import NEWEST, Version

ELECTION_SECONDS = 10.0
"""Seconds after which a new cluster has elected its first leader."""


def server_setups(count: int = 3, version: Version = NEWEST, region: str = "global", net: int = 1) -> list[Setup]:
    """Servers ``s1`` to ``s<count>`` of a region, at 127.0.<net>.1 and so on, that expect and join each other."""
    hosts = [f"127.0.{net}.{number}" for number in range(1, count + 1)]
    return [
        Setup(
            f"s{number}",
            f"id-{region}-s{number}",
            host=host,
            region=region,
            version=version,
            bootstrap_expect=count,
            retry_join=tuple(f"{one}:4648" for one in hosts),
        )
        for number, host in enumerate(hosts, 1)
    ]


def client_setups(count: int, servers: list[Setup]) -> list[Setup]:
    """Clients ``c1`` to ``c<count>`` in the region of ``servers``, which were told all of these."""
    first = servers[0]
    return [
        Setup(
            f"c{number}",
            f"id-{first.region}-c{number}",
            host=f"{first.host.rpartition('.')[0]}.{100 + number}",
            server=False,
            client=True,
            region=first.region,
            version=first.version,
            servers=tuple(server.rpc_address for server in servers),
        )
        for number in range(1, count + 1)
    ]


def new_cluster(servers: int = 3, clients: int = 0, version: Version = NEWEST, seed: int = 1) -> Cluster:
    """A cluster of one region at time 0, at which nothing has happened yet."""
    setups = server_setups(servers, version)
    return Cluster([*setups, *client_setups(clients, setups)], Timing(), seed, 0.0)


def calm_cluster(servers: int = 3, clients: int = 0, version: Version = NEWEST, seed: int = 1) -> Cluster:
    """The same when it has a leader."""
    cluster = new_cluster(servers, clients, version, seed)
    pass_time(cluster, ELECTION_SECONDS)
    return cluster


def cluster_with_unencrypted_follower(version: Version = NEWEST) -> tuple[Cluster, str]:
    """A cluster whose gossip is encrypted, and a follower that was started again without the key.

    Three real servers of 2.0.5 were seen to do so: the one knew itself alone, its contact to the leader stayed below
    0.1 s, and it had no way to the leader for a question. The others had it failed 42 and 47 s later; within 10 s more
    it was no peer and knew so. With the key again it was alive at once, and a voter 15 s later.
    """
    setups = [replace(setup, encrypted=True) for setup in server_setups(3, version)]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, 30)
    name = followers(cluster)[0]
    cluster.kill(name)
    cluster.start(name, replace(cluster.world.agents[name].setup, encrypted=False))
    pass_time(cluster, 5)
    return cluster, name


def pass_time(cluster: Cluster, seconds: float) -> None:
    """Lets so much time pass."""
    cluster.advance(cluster.world.now + seconds)


def instants(cluster: Cluster, seconds: float) -> Iterator[float]:
    """Lets so much time pass, and stops at every instant at which something happened; gives how long it took to it."""
    begin = cluster.world.now
    events = cluster.world.events._events
    while events and events[0][0] <= begin + seconds:
        cluster.advance(events[0][0])
        yield cluster.world.now - begin
    cluster.advance(begin + seconds)


def time_until(cluster: Cluster, condition: Callable[[], object], timeout: float = 120.0) -> float:
    """Advance the clock until ``condition`` returns a true value; return the seconds passed, fail after ``timeout``."""
    for passed in instants(cluster, timeout):
        if condition():
            return passed
    raise AssertionError(f"it did not come to be in {timeout} seconds")


def leaders(cluster: Cluster, region: str = "global") -> list[str]:
    """The running servers of a region that lead it and may be asked."""
    world = cluster.world
    return [
        name for name in world.running() if world.server(name).is_leader and world.agents[name].setup.region == region
    ]


def leader(cluster: Cluster, region: str = "global") -> str:
    """The only one."""
    (name,) = leaders(cluster, region)
    return name


def followers(cluster: Cluster, region: str = "global") -> list[str]:
    """The running servers of a region that do not lead it."""
    world = cluster.world
    running = [name for name in world.running() if world.agents[name].setup.region == region]
    return [name for name in running if name not in leaders(cluster, region)]


def raft_of(cluster: Cluster, name: str) -> Raft:
    return cluster.world.server(name).raft


def status(cluster: Cluster, viewer: str, name: str) -> str | None:
    """What the server ``viewer`` takes ``name`` for; None where it does not know it."""
    known = cluster.world.server(viewer).gossip.members.get(name)
    return known.status if known else None


def suffrage(cluster: Cluster, viewer: str, name: str) -> str | None:
    """How ``name`` stands in the raft configuration that ``viewer`` has; None where it is not in it."""
    peer = raft_of(cluster, viewer).log.configuration.peer(cluster.world.agents[name].setup.raft_id)
    return peer.suffrage if peer else None


def client_of(cluster: Cluster, name: str) -> Client:
    """The client part of an agent that has one."""
    client = cluster.world.agents[name].client
    assert client
    return client


def messages(cluster: Cluster, name: str) -> list[str]:
    """What an agent wrote into its log."""
    return [line.message for line in cluster.world.logs[name].read_from(0).lines]
