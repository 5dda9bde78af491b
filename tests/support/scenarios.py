"""The situations of the recordings, played: simulated clusters of the same shape, brought to where the real ones were.

Chance decides who leads and when a client is heard: of the seeds from 0 on, the first is taken with which all goes as
it went when it was recorded. What a scenario asserts is what it needs of its seed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nomad_exporter.demo.face.acl import AGENT_READ, MANAGEMENT, MONITORING, Acl
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.setup import Setup
from nomad_exporter.demo.versions import VERSIONS, Version
from tests.support.clusters import (
    client_of,
    client_setups,
    leader,
    leaders,
    pass_time,
    raft_of,
    server_setups,
    status,
    suffrage,
    time_until,
)
from tests.support.questions import AGENT_READER, MANAGER, MONITOR, STRANGER, answered
from tests.support.recordings import FOLDER

BEGUN = 1_800_000_000.0
"""When every cluster begins, in Unix time."""

SEEDS = range(400)

DOCUMENTED = "0.5.5-documented"

BUILDS: Mapping[str, Version] = {
    **{version.build: version for version in VERSIONS.values()},
    DOCUMENTED: VERSIONS["0.12"],
}
"""The versions by the folder of their recordings; what is older than all that are played is played by the oldest."""

TOKENS: Mapping[str, str] = {
    "anonymous": "",
    "management": MANAGER,
    "bearer": MANAGER,
    "agent-read": AGENT_READER,
    "agent-and-node-read": MONITOR,
    "c1-client": MONITOR,
    "unknown": STRANGER,
    "malformed": "not-a-uuid",
}
"""What was shown where access control was on, by the folder of the recordings."""

_ACL = {MANAGER: MANAGEMENT, MONITOR: MONITORING, AGENT_READER: frozenset({AGENT_READ})}

NOMAD = "bacon-mac"
"""The agent that is server and client."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played: a scenario of a version, and the names of the servers that play a part in it."""

    build: str
    scenario: str

    @property
    def version(self) -> Version:
        return BUILDS[self.build]

    @property
    def first(self) -> str:
        """Who leads from the start."""
        return _leading(self.build, self.scenario if self.scenario in _OF_THEIR_OWN else "healthy")

    @property
    def lost(self) -> str:
        """The follower that is killed first."""
        return "s1.global" if self.first != "s1.global" else "s2.global"

    @property
    def last(self) -> str:
        """Who leads when all are back."""
        return _leading(self.build, "recovered")

    @property
    def survivor(self) -> str:
        """The server that is left when two are dead."""
        return next(name for name in _SERVERS if name not in (self.first, self.lost))

    def setups(self) -> list[Setup]:
        shape = _documented if self.build == DOCUMENTED else _SHAPES.get(self.scenario, _usual)
        shaped = shape(self.version)
        return [replace(setup, id=str(uuid.uuid5(uuid.NAMESPACE_DNS, setup.member))) for setup in shaped]


_SERVERS = ("s1.global", "s2.global", "s3.global")
_OF_THEIR_OWN = ("autopilot-cleaned", "rejoined-nonvoter")


def _leading(build: str, scenario: str) -> str:
    (name,) = (path.name for path in (FOLDER / build / scenario).glob("*-leader"))
    return f"{name.removesuffix('-leader')}.global"


def face(build: str, scenario: str) -> Face:
    """The cluster in the situation ``scenario`` as agents of ``build`` were recorded in it."""
    scene = Scene(build, scenario)
    for seed in SEEDS:
        played = Face(Cluster(scene.setups(), Timing(), seed, BEGUN), Acl(_ACL))
        try:
            _PLAYS[scenario](scene, played)
        except AssertionError:
            continue
        return played
    raise LookupError(f"with no seed did it go as in {build}/{scenario}")


def member_of(folder: str) -> str:
    """The agent that a folder of the recordings is named for, by its name in the cluster."""
    one, _, other = folder.partition("-")
    if one in ("east", "west"):
        return f"{other}.{one}"
    if one[0] == "c" and one[1:].isdigit():
        return one
    return f"{one if one[0] == 's' and one[1:].isdigit() else NOMAD}.global"


def _usual(version: Version) -> list[Setup]:
    servers = server_setups(version=version)
    return [*servers, *client_setups(1, servers)]


def _servers_alone(version: Version) -> list[Setup]:
    return server_setups(version=version, net=5)


def _guarded(version: Version) -> list[Setup]:
    servers = server_setups(version=version, net=42 if version.series == "2.0" else 43)
    return [replace(setup, acl=True) for setup in (*servers, *client_setups(1, servers))]


def _one(version: Version) -> list[Setup]:
    (server,) = server_setups(1, version)
    return [replace(server, name=NOMAD, client=True, servers=(server.rpc_address,), retry_join=())]


def _one_guarded(version: Version) -> list[Setup]:
    return [replace(setup, acl=True) for setup in _one(version)]


def _documented(version: Version) -> list[Setup]:
    """Nomad's documentation has an agent of the development mode, and two that it joins."""
    others = [replace(server_setups(1, version)[0], name=name, host=host) for name, host in _JOINED.items()]
    return [replace(setup, host="127.0.0.1", servers=("127.0.0.1:4647",)) for setup in _one(version)] + others


_JOINED = {"one": "1.2.3.4", "other": "5.6.7.8"}


def _lonely(version: Version) -> list[Setup]:
    """A client whose only server does not exist."""
    return [_client(version, "c9", ("127.0.1.77:4647",))]


def _without_servers(version: Version) -> list[Setup]:
    return [_client(version, "c8", ())]


def _client(version: Version, name: str, servers: tuple[str, ...]) -> Setup:
    host = f"127.0.1.{name[1:]}"
    return Setup(name, name, host=host, server=False, client=True, version=version, servers=servers)


def _two_regions(version: Version) -> list[Setup]:
    (east,), (west,) = (server_setups(1, version, region, net) for region, net in (("east", 1), ("west", 2)))
    return [east, replace(west, retry_join=(west.serf_address, east.serf_address))]


_SHAPES: Mapping[str, Callable[[Version], list[Setup]]] = {
    "single": _one,
    "single-starting": _one,
    "acl": _one_guarded,
    "acl-healthy": _guarded,
    "acl-servers-killed": _guarded,
    "acl-servers-frozen": _guarded,
    "autopilot-cleaned": _servers_alone,
    "rejoined-nonvoter": _servers_alone,
    "never-registered": _lonely,
    "never-registered-later": _lonely,
    "no-servers": _without_servers,
    "two-regions": _two_regions,
    "region-lost": _two_regions,
}


def _starting(_: Scene, face: Face) -> None:
    pass_time(face.cluster, 0.2)


def _single(scene: Scene, face: Face) -> None:
    """It has work, and a heartbeat is due while its log is watched."""
    _registered(scene, face)
    cluster = face.cluster
    time_until(cluster, lambda: client_of(cluster, _ITSELF).allocations)
    time_until(cluster, lambda: 1.0 < client_of(cluster, _ITSELF).due - cluster.world.now < 5.0)


def _registered(_: Scene, face: Face) -> None:
    cluster = face.cluster
    time_until(cluster, lambda: client_of(cluster, _ITSELF).ttl)
    pass_time(cluster, 0.02)


_ITSELF = f"{NOMAD}.global"


def _healthy(scene: Scene, face: Face) -> None:
    cluster = face.cluster
    pass_time(cluster, 4.0)
    assert leaders(cluster) == [scene.first]
    time_until(cluster, lambda: _is_at_work(cluster))
    pass_time(cluster, 2.7)


def _is_at_work(cluster: Cluster) -> bool:
    return bool(client_of(cluster, "c1").ttl and client_of(cluster, "c1").allocations)


def _frozen(scene: Scene, face: Face) -> None:
    _healthy(scene, face)
    face.cluster.freeze("s1.global")


def _unnoticed(scene: Scene, face: Face) -> None:
    _healthy(scene, face)
    face.cluster.kill(scene.lost)
    pass_time(face.cluster, 1.0)


def _failed(scene: Scene, face: Face) -> None:
    """Neither autopilot nor the client has done anything about it."""
    _unnoticed(scene, face)
    _noticed(face.cluster, scene.lost)
    pass_time(face.cluster, 0.02)
    assert len(client_of(face.cluster, "c1").servers) == 3
    assert _peers(face.cluster, scene.first) == 3


def _noticed(cluster: Cluster, name: str) -> None:
    time_until(cluster, lambda: all(status(cluster, one, name) == "failed" for one in cluster.world.running()))


def _peers(cluster: Cluster, viewer: str) -> int:
    return len(raft_of(cluster, viewer).log.configuration.peers)


def _leader_just_died(scene: Scene, face: Face) -> None:
    """The client knows of the first loss, and autopilot has not yet done anything about it."""
    _failed(scene, face)
    cluster = face.cluster
    time_until(cluster, lambda: len(client_of(cluster, "c1").servers) == 2)
    assert _peers(cluster, scene.first) == 3
    cluster.kill(scene.first)
    pass_time(cluster, 0.53)


def _no_leader(scene: Scene, face: Face) -> None:
    _leader_just_died(scene, face)
    pass_time(face.cluster, 1.5)


def _no_leader_for_long(scene: Scene, face: Face) -> None:
    """A server that is alone notices a loss later than the model has it: mostly it had not yet."""
    _no_leader(scene, face)
    noticed = scene.build == "1.6.10"
    pass_time(face.cluster, 35.0 if noticed else 31.0)
    assert status(face.cluster, scene.survivor, scene.first) == ("failed" if noticed else "alive")


def _unreachable(scene: Scene, face: Face) -> None:
    _no_leader_for_long(scene, face)
    face.cluster.freeze(scene.survivor)
    pass_time(face.cluster, 25.0)


def _recovered(scene: Scene, face: Face) -> None:
    _unreachable(scene, face)
    cluster = face.cluster
    pass_time(cluster, 12.0)
    for name in (scene.first, scene.lost):
        cluster.start(name)
    pass_time(cluster, 1.2)
    cluster.thaw(scene.survivor)
    pass_time(cluster, 5.0)
    assert leaders(cluster) == [scene.last]


def _recovered_for_clients(scene: Scene, face: Face) -> None:
    """Whether the client has been heard again, was chance."""
    _recovered(scene, face)
    cluster = face.cluster
    known = 2 if scene.build == "2.0.5" else 3
    assert len(client_of(cluster, "c1").servers) == known


def _one_left(scene: Scene, face: Face) -> None:
    _recovered(scene, face)
    cluster = face.cluster
    time_until(cluster, lambda: len(client_of(cluster, "c1").servers) == 3)
    cluster.kill("s1.global")
    _noticed(cluster, "s1.global")
    cluster.force_leave(scene.last, "s1.global")
    others = [name for name in _SERVERS if name != "s1.global"]
    time_until(
        cluster,
        lambda: all(status(cluster, one, "s1.global") == "left" and _peers(cluster, one) == 2 for one in others),
    )
    pass_time(cluster, 0.02)
    assert leaders(cluster) == [scene.last]
    assert len(client_of(cluster, "c1").servers) == 3


def _cleaned(scene: Scene, face: Face) -> None:
    cluster = face.cluster
    pass_time(cluster, 4.0)
    assert leaders(cluster) == [scene.first]
    pass_time(cluster, 12.0)
    cluster.kill(scene.lost)
    time_until(cluster, lambda: _peers(cluster, scene.first) == 2)
    pass_time(cluster, 0.02)
    if scene.build == "1.10.5":
        time_until(cluster, lambda: status(cluster, scene.survivor, scene.lost) == "left")
    else:
        assert status(cluster, scene.survivor, scene.lost) == "failed"


def _rejoined(scene: Scene, face: Face) -> None:
    _cleaned(scene, face)
    cluster = face.cluster
    cluster.start(scene.lost)
    time_until(cluster, lambda: all(suffrage(cluster, one, scene.lost) == "Nonvoter" for one in _SERVERS))
    time_until(cluster, lambda: all(status(cluster, one, scene.lost) == "alive" for one in _SERVERS))
    pass_time(cluster, 0.02)
    assert suffrage(cluster, scene.first, scene.lost) == "Nonvoter"


def _alone_for_long(scene: Scene, face: Face) -> None:
    _starting(scene, face)
    pass_time(face.cluster, 32.0)


def _in_two_regions(_: Scene, face: Face) -> None:
    cluster = face.cluster
    pass_time(cluster, 8.0)
    assert (leader(cluster, "east"), leader(cluster, "west")) == ("s1.east", "s1.west")
    assert status(cluster, "s1.east", "s1.west") == "alive"


def _region_lost(scene: Scene, face: Face) -> None:
    _in_two_regions(scene, face)
    face.cluster.kill("s1.east")
    _noticed(face.cluster, "s1.east")


def _guarded_and_well(_: Scene, face: Face) -> None:
    """The client has asked about the token once, and so knows it."""
    cluster = face.cluster
    time_until(cluster, lambda: leaders(cluster) and client_of(cluster, "c1").ttl)
    pass_time(cluster, 3.0)
    assert answered(face, "c1", "GET /v1/agent/self", MONITOR).status == 200


def _guarded_and_killed(scene: Scene, face: Face) -> None:
    _guarded_and_well(scene, face)
    for name in _SERVERS:
        face.cluster.kill(name)
    pass_time(face.cluster, 70.0)


def _guarded_and_frozen(scene: Scene, face: Face) -> None:
    _guarded_and_well(scene, face)
    for name in _SERVERS:
        face.cluster.freeze(name)
    pass_time(face.cluster, 70.0)


_PLAYS: Mapping[str, Callable[[Scene, Face], None]] = {
    "single-starting": _starting,
    "single": _single,
    "acl": _registered,
    "healthy": _healthy,
    "frozen": _frozen,
    "failed-follower-unnoticed": _unnoticed,
    "failed-follower": _failed,
    "autopilot-cleaned": _cleaned,
    "rejoined-nonvoter": _rejoined,
    "leader-just-died": _leader_just_died,
    "no-leader": _no_leader,
    "no-leader-for-long": _no_leader_for_long,
    "servers-unreachable": _unreachable,
    "recovered": _recovered_for_clients,
    "one-left": _one_left,
    "never-registered": _starting,
    "never-registered-later": _alone_for_long,
    "no-servers": _starting,
    "two-regions": _in_two_regions,
    "region-lost": _region_lost,
    "acl-healthy": _guarded_and_well,
    "acl-servers-killed": _guarded_and_killed,
    "acl-servers-frozen": _guarded_and_frozen,
}
