"""The scenarios of the recordings, replayed by simulated clusters with the same agents.

The assertions in a scenario state what it requires of its seed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from nomad_sim.api.acl import AGENT_READ, MANAGEMENT, MONITORING, Acl
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup
from nomad_sim.versions import VERSIONS, Version
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
from tests.support.recordings import FOLDER
from tests.support.sim_requests import AGENT_READER, MANAGER, MONITOR, UNKNOWN_TOKEN, respond

START_TIME = 1_800_000_000.0
"""Unix time at which every cluster starts."""

# The seed decides which server leads and when a client registers. Each seed is the first, starting at 0, with which
# the assertions of the scenario pass, so that the simulated cluster ends in the recorded state. ``find_seed`` found the
# seeds; use it again after changes of the model.
SEEDS: Mapping[str, Mapping[str, int]] = {
    "2.0.5": {
        **dict.fromkeys(("autopilot-cleaned", "rejoined-nonvoter"), 1),
        **dict.fromkeys(("failed-follower", "failed-follower-unnoticed", "frozen", "healthy"), 4),
        **dict.fromkeys(("leader-just-died", "no-leader", "no-leader-for-long", "servers-unreachable"), 7),
        "one-left": 15,
        "recovered": 65,
    },
    "1.10.5": {
        **dict.fromkeys(("autopilot-cleaned", "rejoined-nonvoter"), 1),
        **dict.fromkeys(("leader-just-died", "no-leader", "no-leader-for-long", "servers-unreachable"), 2),
        "one-left": 23,
        "recovered": 256,
    },
    "1.6.10": {
        **dict.fromkeys(("autopilot-cleaned", "rejoined-nonvoter"), 1),
        "recovered": 22,
    },
    "1.2.16": {
        **dict.fromkeys(("autopilot-cleaned", "rejoined-nonvoter"), 4),
        **dict.fromkeys(("failed-follower", "failed-follower-unnoticed", "frozen", "healthy"), 4),
        **dict.fromkeys(("leader-just-died", "no-leader", "no-leader-for-long", "servers-unreachable"), 4),
        "one-left": 4,
        "recovered": 10,
    },
}
"""Seeds by build and scenario; 0 for every other scenario."""

DOCUMENTED = "0.5.5-documented"

BUILDS: Mapping[str, Version] = {
    **{version.build: version for version in VERSIONS.values()},
    DOCUMENTED: VERSIONS["0.12"],
}
"""Versions by folder of recordings; the oldest simulated version represents older ones."""

TOKENS: Mapping[str, str] = {
    "anonymous": "",
    "management": MANAGER,
    "bearer": MANAGER,
    "agent-read": AGENT_READER,
    "agent-and-node-read": MONITOR,
    "c1-client": MONITOR,
    "unknown": UNKNOWN_TOKEN,
    "malformed": "not-a-uuid",
}
"""ACL tokens by folder of recordings."""

_ACL = {MANAGER: MANAGEMENT, MONITOR: MONITORING, AGENT_READER: frozenset({AGENT_READ})}

SINGLE_AGENT = "bacon-mac"
"""Name of the agent that is server and client."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A recorded scenario of one build, and the names of the servers that have a role in it."""

    build: str
    name: str

    @property
    def version(self) -> Version:
        return BUILDS[self.build]

    @property
    def first_leader(self) -> str:
        """The first leader."""
        return _recorded_leader(self.build, self.name if self.name in _WITH_OWN_LEADER else "healthy")

    @property
    def killed_follower(self) -> str:
        """The follower that is killed first."""
        return "s1.global" if self.first_leader != "s1.global" else "s2.global"

    @property
    def last_leader(self) -> str:
        """The leader after all servers are running again."""
        return _recorded_leader(self.build, "recovered")

    @property
    def survivor(self) -> str:
        """The server that runs while the other two are dead."""
        return next(name for name in _SERVERS if name not in (self.first_leader, self.killed_follower))

    def setups(self) -> list[Setup]:
        make_setups = _documented_setups if self.build == DOCUMENTED else _SETUPS.get(self.name, _default_setups)
        setups = make_setups(self.version)
        return [replace(setup, id=str(uuid.uuid5(uuid.NAMESPACE_DNS, setup.member))) for setup in setups]


_SERVERS = ("s1.global", "s2.global", "s3.global")
_WITH_OWN_LEADER = ("autopilot-cleaned", "rejoined-nonvoter")


def _recorded_leader(build: str, scenario: str) -> str:
    (name,) = (path.name for path in (FOLDER / build / scenario).glob("*-leader"))
    return f"{name.removesuffix('-leader')}.global"


def play_scenario(build: str, name: str) -> NomadApi:
    """Return the cluster in the scenario ``name``, in which agents of ``build`` were recorded."""
    seed = SEEDS.get(build, {}).get(name, 0)
    try:
        return _play(build, name, seed)
    except AssertionError as error:
        raise AssertionError(f"seed {seed} does not fit {build}/{name} (find_seed returns another)") from error


def find_seed(build: str, name: str) -> int:
    """Return the first seed with which the scenario meets its own assertions; raise LookupError if none below 400 does.

    This search takes up to half a minute; its results are in ``SEEDS``.
    """
    for seed in range(400):
        with suppress(AssertionError):
            _play(build, name, seed)
            return seed
    raise LookupError(f"no seed fits {build}/{name}")


def _play(build: str, name: str, seed: int) -> NomadApi:
    scenario = Scenario(build, name)
    api = NomadApi(Cluster(scenario.setups(), Timing(), seed, START_TIME), Acl(_ACL))
    _SCENARIOS[name](scenario, api)
    return api


def member_of(folder: str) -> str:
    """Return the name in the cluster of the agent that a folder of recordings is named after."""
    first, _, rest = folder.partition("-")
    if first in ("east", "west"):
        return f"{rest}.{first}"
    if first[0] == "c" and first[1:].isdigit():
        return first
    return f"{first if first[0] == 's' and first[1:].isdigit() else SINGLE_AGENT}.global"


def _default_setups(version: Version) -> list[Setup]:
    servers = server_setups(version=version)
    return [*servers, *client_setups(1, servers)]


def _servers_only(version: Version) -> list[Setup]:
    return server_setups(version=version, net=5)


def _with_acl(version: Version) -> list[Setup]:
    servers = server_setups(version=version, net=42 if version.series == "2.0" else 43)
    return [replace(setup, acl=True) for setup in (*servers, *client_setups(1, servers))]


def _single_setups(version: Version) -> list[Setup]:
    (server,) = server_setups(1, version)
    return [replace(server, name=SINGLE_AGENT, client=True, servers=(server.rpc_address,), retry_join=())]


def _single_with_acl(version: Version) -> list[Setup]:
    return [replace(setup, acl=True) for setup in _single_setups(version)]


def _documented_setups(version: Version) -> list[Setup]:
    """Return the agents of Nomad's documentation: one in development mode and two that it joined."""
    others = [replace(server_setups(1, version)[0], name=name, host=host) for name, host in _JOINED.items()]
    return [replace(setup, host="127.0.0.1", servers=("127.0.0.1:4647",)) for setup in _single_setups(version)] + others


_JOINED = {"one": "1.2.3.4", "other": "5.6.7.8"}


def _client_without_live_server(version: Version) -> list[Setup]:
    """Return a client whose only server does not exist."""
    return [_client(version, "c9", ("127.0.1.77:4647",))]


def _client_without_servers(version: Version) -> list[Setup]:
    return [_client(version, "c8", ())]


def _client(version: Version, name: str, servers: tuple[str, ...]) -> Setup:
    host = f"127.0.1.{name[1:]}"
    return Setup(name, name, host=host, server=False, client=True, version=version, servers=servers)


def _two_region_setups(version: Version) -> list[Setup]:
    (east,), (west,) = (server_setups(1, version, region, net) for region, net in (("east", 1), ("west", 2)))
    return [east, replace(west, retry_join=(west.serf_address, east.serf_address))]


_SETUPS: Mapping[str, Callable[[Version], list[Setup]]] = {
    "single": _single_setups,
    "single-starting": _single_setups,
    "acl": _single_with_acl,
    "acl-healthy": _with_acl,
    "acl-servers-killed": _with_acl,
    "acl-servers-frozen": _with_acl,
    "autopilot-cleaned": _servers_only,
    "rejoined-nonvoter": _servers_only,
    "never-registered": _client_without_live_server,
    "never-registered-later": _client_without_live_server,
    "no-servers": _client_without_servers,
    "two-regions": _two_region_setups,
    "region-lost": _two_region_setups,
}


def _just_started(_: Scenario, api: NomadApi) -> None:
    pass_time(api.cluster, 0.2)


def _single_with_allocations(scenario: Scenario, api: NomadApi) -> None:
    """Wait until the agent has allocations, and a heartbeat is due while its log is streamed."""
    _registered(scenario, api)
    cluster = api.cluster
    time_until(cluster, lambda: client_of(cluster, _SINGLE_MEMBER).allocations)
    time_until(cluster, lambda: 1.0 < client_of(cluster, _SINGLE_MEMBER).next_heartbeat - cluster.world.now < 5.0)


def _registered(_: Scenario, api: NomadApi) -> None:
    cluster = api.cluster
    time_until(cluster, lambda: client_of(cluster, _SINGLE_MEMBER).ttl)
    pass_time(cluster, 0.02)


_SINGLE_MEMBER = f"{SINGLE_AGENT}.global"


def _healthy(scenario: Scenario, api: NomadApi) -> None:
    cluster = api.cluster
    pass_time(cluster, 4.0)
    assert leaders(cluster) == [scenario.first_leader]
    time_until(cluster, lambda: _has_allocations(cluster))
    pass_time(cluster, 2.7)


def _has_allocations(cluster: Cluster) -> bool:
    return bool(client_of(cluster, "c1").ttl and client_of(cluster, "c1").allocations)


def _paused(scenario: Scenario, api: NomadApi) -> None:
    _healthy(scenario, api)
    api.cluster.pause("s1.global")


def _follower_just_died(scenario: Scenario, api: NomadApi) -> None:
    _healthy(scenario, api)
    api.cluster.kill(scenario.killed_follower)
    pass_time(api.cluster, 1.0)


def _follower_failed(scenario: Scenario, api: NomadApi) -> None:
    """Wait until gossip detects the failure, before autopilot and the client react to it."""
    _follower_just_died(scenario, api)
    _wait_until_failed(api.cluster, scenario.killed_follower)
    pass_time(api.cluster, 0.02)
    assert len(client_of(api.cluster, "c1").servers) == 3
    assert _peers(api.cluster, scenario.first_leader) == 3


def _wait_until_failed(cluster: Cluster, name: str) -> None:
    time_until(cluster, lambda: all(status(cluster, one, name) == "failed" for one in cluster.world.running()))


def _peers(cluster: Cluster, viewer: str) -> int:
    return len(raft_of(cluster, viewer).log.configuration.peers)


def _leader_just_died(scenario: Scenario, api: NomadApi) -> None:
    """Kill the leader after the client, but not yet autopilot, has reacted to the failed follower."""
    _follower_failed(scenario, api)
    cluster = api.cluster
    time_until(cluster, lambda: len(client_of(cluster, "c1").servers) == 2)
    assert _peers(cluster, scenario.first_leader) == 3
    cluster.kill(scenario.first_leader)
    pass_time(cluster, 0.53)


def _no_leader(scenario: Scenario, api: NomadApi) -> None:
    _leader_just_died(scenario, api)
    pass_time(api.cluster, 1.5)


def _no_leader_for_long(scenario: Scenario, api: NomadApi) -> None:
    _no_leader(scenario, api)
    # A real server without peers detects failures later than the model does. Only that of 1.6.10 had detected it.
    is_detected = scenario.build == "1.6.10"
    pass_time(api.cluster, 35.0 if is_detected else 31.0)
    assert status(api.cluster, scenario.survivor, scenario.first_leader) == ("failed" if is_detected else "alive")


def _servers_unreachable(scenario: Scenario, api: NomadApi) -> None:
    _no_leader_for_long(scenario, api)
    api.cluster.pause(scenario.survivor)
    pass_time(api.cluster, 25.0)


def _recovered(scenario: Scenario, api: NomadApi) -> None:
    _servers_unreachable(scenario, api)
    cluster = api.cluster
    pass_time(cluster, 12.0)
    for name in (scenario.first_leader, scenario.killed_follower):
        cluster.start(name)
    pass_time(cluster, 1.2)
    cluster.resume(scenario.survivor)
    pass_time(cluster, 5.0)
    assert leaders(cluster) == [scenario.last_leader]


def _recovered_for_clients(scenario: Scenario, api: NomadApi) -> None:
    _recovered(scenario, api)
    # In the recordings, it was chance whether the client had already sent a heartbeat.
    known_servers = 2 if scenario.build == "2.0.5" else 3
    assert len(client_of(api.cluster, "c1").servers) == known_servers


def _one_left(scenario: Scenario, api: NomadApi) -> None:
    _recovered(scenario, api)
    cluster = api.cluster
    time_until(cluster, lambda: len(client_of(cluster, "c1").servers) == 3)
    cluster.kill("s1.global")
    _wait_until_failed(cluster, "s1.global")
    cluster.force_leave(scenario.last_leader, "s1.global")
    others = [name for name in _SERVERS if name != "s1.global"]
    time_until(
        cluster,
        lambda: all(status(cluster, one, "s1.global") == "left" and _peers(cluster, one) == 2 for one in others),
    )
    pass_time(cluster, 0.02)
    assert leaders(cluster) == [scenario.last_leader]
    assert len(client_of(cluster, "c1").servers) == 3


def _autopilot_cleaned(scenario: Scenario, api: NomadApi) -> None:
    cluster = api.cluster
    pass_time(cluster, 4.0)
    assert leaders(cluster) == [scenario.first_leader]
    pass_time(cluster, 12.0)
    cluster.kill(scenario.killed_follower)
    time_until(cluster, lambda: _peers(cluster, scenario.first_leader) == 2)
    pass_time(cluster, 0.02)
    if scenario.build == "1.10.5":
        time_until(cluster, lambda: status(cluster, scenario.survivor, scenario.killed_follower) == "left")
    else:
        assert status(cluster, scenario.survivor, scenario.killed_follower) == "failed"


def _rejoined_nonvoter(scenario: Scenario, api: NomadApi) -> None:
    _autopilot_cleaned(scenario, api)
    cluster = api.cluster
    cluster.start(scenario.killed_follower)
    time_until(cluster, lambda: all(suffrage(cluster, one, scenario.killed_follower) == "Nonvoter" for one in _SERVERS))
    time_until(cluster, lambda: all(status(cluster, one, scenario.killed_follower) == "alive" for one in _SERVERS))
    pass_time(cluster, 0.02)
    assert suffrage(cluster, scenario.first_leader, scenario.killed_follower) == "Nonvoter"


def _never_registered_later(scenario: Scenario, api: NomadApi) -> None:
    _just_started(scenario, api)
    pass_time(api.cluster, 32.0)


def _two_regions_healthy(_: Scenario, api: NomadApi) -> None:
    cluster = api.cluster
    pass_time(cluster, 8.0)
    assert (leader(cluster, "east"), leader(cluster, "west")) == ("s1.east", "s1.west")
    assert status(cluster, "s1.east", "s1.west") == "alive"


def _region_lost(scenario: Scenario, api: NomadApi) -> None:
    _two_regions_healthy(scenario, api)
    api.cluster.kill("s1.east")
    _wait_until_failed(api.cluster, "s1.east")


def _acl_healthy(_: Scenario, api: NomadApi) -> None:
    """Wait until the client has resolved the token and so cached it."""
    cluster = api.cluster
    time_until(cluster, lambda: leaders(cluster) and client_of(cluster, "c1").ttl)
    pass_time(cluster, 3.0)
    assert respond(api, "c1", "GET /v1/agent/self", MONITOR).status == 200


def _acl_servers_killed(scenario: Scenario, api: NomadApi) -> None:
    _acl_healthy(scenario, api)
    for name in _SERVERS:
        api.cluster.kill(name)
    pass_time(api.cluster, 70.0)


def _acl_servers_paused(scenario: Scenario, api: NomadApi) -> None:
    _acl_healthy(scenario, api)
    for name in _SERVERS:
        api.cluster.pause(name)
    pass_time(api.cluster, 70.0)


_SCENARIOS: Mapping[str, Callable[[Scenario, NomadApi], None]] = {
    "single-starting": _just_started,
    "single": _single_with_allocations,
    "acl": _registered,
    "healthy": _healthy,
    "frozen": _paused,
    "failed-follower-unnoticed": _follower_just_died,
    "failed-follower": _follower_failed,
    "autopilot-cleaned": _autopilot_cleaned,
    "rejoined-nonvoter": _rejoined_nonvoter,
    "leader-just-died": _leader_just_died,
    "no-leader": _no_leader,
    "no-leader-for-long": _no_leader_for_long,
    "servers-unreachable": _servers_unreachable,
    "recovered": _recovered_for_clients,
    "one-left": _one_left,
    "never-registered": _just_started,
    "never-registered-later": _never_registered_later,
    "no-servers": _just_started,
    "two-regions": _two_regions_healthy,
    "region-lost": _region_lost,
    "acl-healthy": _acl_healthy,
    "acl-servers-killed": _acl_servers_killed,
    "acl-servers-frozen": _acl_servers_paused,
}
